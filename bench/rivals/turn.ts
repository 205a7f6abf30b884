// Giving the event loop its turn, so that what was sent on a channel has left before a contestant blocks its thread.

import { setImmediate } from 'node:timers/promises';

/** Two turns: one to write, one to be sure of it. */
export async function nextTurn(): Promise<void> {
  await setImmediate();
  await setImmediate();
}
