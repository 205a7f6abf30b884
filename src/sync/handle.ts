// What a lock, a semaphore and an event have in common: their name, how a wait that blocks the thread ends, closing. Waiting itself is
// wait-queue.ts's.

import { NaruError, type NaruErrorCode } from '../errors/index.ts';
import type { SyncDriver } from './driver.ts';

/** How a call that blocks its thread may be limited. */
export interface SyncLimits {
  /** Longest wait in milliseconds; 0 = do not wait. Default: for ever. */
  readonly timeoutMs?: number | undefined;
}

export function syncError(driver: SyncDriver, code: NaruErrorCode, text: string): NaruError {
  const { text: name, place } = driver.facts;
  return new NaruError(code, `${name}: ${text}`, { place, mailbox: name });
}

export function closedError(driver: SyncDriver): NaruError {
  return syncError(driver, 'NARU_CLOSED', 'this handle is closed');
}

/**
 * Blocks the thread until `attempt` gives something.
 * @param what  completes "… within n ms" @throws NARU_TIMEOUT, NARU_INTERRUPTED
 */
export function blockFor<T>(
  driver: SyncDriver,
  attempt: () => T | undefined,
  { timeoutMs }: SyncLimits,
  what: string,
): T {
  let got: T | undefined;
  const end = driver.block(() => {
    got = attempt();
    return got !== undefined;
  }, timeoutMs ?? Number.POSITIVE_INFINITY);
  if (got !== undefined) return got;
  if (end === 'interrupted') throw syncError(driver, 'NARU_INTERRUPTED', `a signal came; it is ${what}`);
  throw syncError(driver, 'NARU_TIMEOUT', `${what} within ${timeoutMs} ms`);
}
