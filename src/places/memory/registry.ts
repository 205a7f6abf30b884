// The memory mailboxes and reply ports of this thread. It hangs on globalThis, so that two copies of the package in one
// program meet in the same mailboxes.

import { NaruError } from '../../errors/index.ts';
import type { Delivery } from '../../mailbox/driver.ts';
import type { Box } from './box.ts';

const KEY = Symbol.for('naru.memory');
/** Counts changes that another copy of the package would not understand. */
const VERSION = 1;

interface Registry {
  readonly version: number;
  readonly boxes: Map<string, Box>;
  /** Who gets an answer, by the address that requests carry. */
  readonly ports: Map<string, (delivery: Delivery) => void>;
}

/**
 * This thread's registry, made at first use.
 * @throws NARU_UNSUPPORTED  another version of the package made one that this version does not understand
 */
export function registry(): Registry {
  const holder = globalThis as { [KEY]?: Registry };
  const existing = holder[KEY];
  if (existing === undefined) {
    const fresh: Registry = { version: VERSION, boxes: new Map(), ports: new Map() };
    Object.defineProperty(globalThis, KEY, { value: fresh });
    return fresh;
  }
  if (existing.version === VERSION) return existing;
  throw new NaruError(
    'NARU_UNSUPPORTED',
    `this thread has loaded two versions of naru that cannot share memory:// (registry ${existing.version} and ${VERSION}); install one`,
    { place: 'memory' },
  );
}
