// What contestants that block their thread owe to the rest: the event loop gets its turn before, and no spinning goes on for ever.

import { setImmediate } from 'node:timers/promises';

/** Two turns: one to write what was sent on a channel, one to be sure of it. */
export async function nextTurn(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

/** Looks at the clock once in so many spins (a power of two, less one): some milliseconds. */
const LOOK_MASK = 0xfffff;
const PATIENCE_MS = 10_000;

/** Counts spins in vain; a peer that is gone must not leave a process behind that spins for ever. */
export class Patience {
  #spins = 0;
  #deadline = 0;

  /** Something came. */
  reset(): void {
    this.#spins = 0;
  }

  /** Nothing came. @throws when nothing came for ten seconds */
  spin(): void {
    this.#spins += 1;
    if ((this.#spins & LOOK_MASK) !== 0) return;
    const now = performance.now();
    if (this.#spins === LOOK_MASK + 1) this.#deadline = now + PATIENCE_MS;
    else if (now > this.#deadline) throw new Error(`nothing came from the other side in ${PATIENCE_MS} ms`);
  }
}
