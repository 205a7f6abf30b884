// How a handle ends: closed by its user, or with its place. Waiting sends get their time, what is acked is settled, requests end, the dead
// letter's handle closes, seats are given back, and the driver closes last.

import type { Driver } from './driver.ts';
import { toError } from './incoming.ts';
import type { Life } from './life.ts';
import type { Parts } from './parts.ts';
import type { PeerWaits } from './ready.ts';
import type { CloseResult } from './setup.ts';
import { atMost } from './waiting.ts';

/** Giving back may take so long even where nothing is left to flush, in milliseconds. */
const GIVE_BACK_MS = 1_000;

/** What ends with a handle. */
export interface Ending extends Pick<Parts<unknown>, 'events' | 'outbox' | 'intake' | 'deadLetter'> {
  readonly requests: { close(error: Error): Promise<void> };
  readonly consumers: { whenSettled(): Promise<void> };
  readonly life: Life;
  readonly driver: Driver;
  readonly peerWaits: PeerWaits;
}

/** The place is gone: everything that waits rejects with why. */
export function failHandle(ending: Ending, error: Error): void {
  const { life, outbox, intake, peerWaits } = ending;
  if (!life.fail(error)) return;
  outbox.close(error);
  intake.fail(error);
  peerWaits.check();
  void closeRequests(ending, error);
}

/** @param flushMs  how long sends that wait for room may still take */
export async function closeHandle(ending: Ending, flushMs: number): Promise<CloseResult> {
  const { life, events, outbox, intake, peerWaits, driver } = ending;
  const until = performance.now() + flushMs;
  if (flushMs > 0 && outbox.waitingMessages > 0 && !life.hasFailed) await atMost(outbox.whenIdle(), flushMs);
  const error = life.closedError();
  const unsent = outbox.close(error);
  intake.finish();
  peerWaits.check();
  const requests = closeRequests(ending, error);
  // No longer than that: a place out of reach gives no seat, its driver's close() ends the attempt.
  await atMost(giveBack(ending, requests), Math.max(GIVE_BACK_MS, until - performance.now()));
  const { undelivered } = await driver.close(Math.max(0, until - performance.now()));
  const result = { undelivered: unsent + undelivered };
  events.emit('close', result);
  return result;
}

async function giveBack(
  { deadLetter, consumers, intake, outbox }: Ending,
  requests: Promise<void>,
): Promise<void> {
  await requests;
  await consumers.whenSettled();
  await deadLetter?.close();
  await Promise.allSettled([intake.detach(), outbox.detach()]);
}

async function closeRequests({ requests, events }: Ending, error: Error): Promise<void> {
  try {
    await requests.close(error);
  } catch (failure) {
    events.emit('error', { error: toError(failure) });
  }
}
