// update(): read, compute, compare-and-set, and again when somebody else was faster. No lock is held while the user's
// function runs: a function that takes long, or dies, holds up nobody.

import { NaruError } from '../errors/index.ts';
import { nextTurn, timeoutError, turnIsOver, type WaitLimits } from '../mailbox/waiting.ts';
import type { MapCondition, MapDriver, MapItem, MapSetOptions } from './map-driver.ts';
import type { MapValues } from './map-values.ts';

export type Change = (value: unknown) => unknown;

/** Conflicts after which it waits before it tries again: by then the others' functions are slower than a turn. */
const EAGER_ATTEMPTS = 4;
const PAUSE_MS_MAX = 32;

/** @returns what is stored now, frozen */
export async function updateSoon(
  driver: MapDriver,
  values: MapValues,
  key: string,
  change: Change,
  ttlMs: number | undefined,
  { signal, timeoutMs }: WaitLimits,
): Promise<unknown> {
  const deadline = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  for (let attempt = 1; ; attempt += 1) {
    if (turnIsOver()) await nextTurn();
    const item = await driver.get(key);
    const before = item === undefined ? undefined : await values.decode(key, item.value);
    const after = checked(await change(before), key, driver);
    if (item !== undefined && after === before && ttlMs === undefined) return before;
    const body = await values.encode(key, after);
    signal?.throwIfAborted();
    if (await driver.set(key, body, { only: conditionOf(item), ttlMs })) return values.decode(key, body);
    if (deadline !== undefined && performance.now() >= deadline)
      throw timeoutError(
        `"${key}" was changed by others ${attempt} times`,
        timeoutMs ?? 0,
        driver.facts.text,
      );
    if (attempt >= EAGER_ATTEMPTS) await pause(attempt);
  }
}

/** The same for functions and drivers that are not asynchronous. */
export function updateNow(
  driver: MapDriver,
  values: MapValues,
  key: string,
  change: Change,
  ttlMs: number | undefined,
): unknown {
  for (;;) {
    const item = driver.get(key) as MapItem | undefined;
    const before = item === undefined ? undefined : values.decodeSync(key, item.value);
    const after = checked(change(before), key, driver);
    if (item !== undefined && after === before && ttlMs === undefined) return before;
    const body = values.encodeSync(key, after);
    if (setNow(driver, key, body, { only: conditionOf(item), ttlMs })) return values.decodeSync(key, body);
  }
}

/** set() of a driver that can do it at once. */
export function setNow(driver: MapDriver, key: string, body: Uint8Array, options: MapSetOptions): boolean {
  return (driver.setSync?.(key, body, options) ?? driver.set(key, body, options)) as boolean;
}

function conditionOf(item: MapItem | undefined): MapCondition {
  return item === undefined ? { absent: true } : { version: item.version };
}

function checked(after: unknown, key: string, { facts }: MapDriver): unknown {
  const isLater = after instanceof Promise;
  if (after !== undefined && !isLater) return after;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${facts.text}: the function given to update("${key}") returned ${isLater ? 'a promise: use update()' : 'undefined: return the new value (delete() deletes)'}`,
    { mailbox: facts.text },
  );
}

/** Random, so that those who collide do not meet again. */
function pause(attempt: number): Promise<void> {
  const most = Math.min(2 ** (attempt - EAGER_ATTEMPTS), PAUSE_MS_MAX);
  return new Promise((resolve) => {
    setTimeout(resolve, Math.random() * most);
  });
}
