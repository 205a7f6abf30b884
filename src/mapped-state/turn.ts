// Waiting for the lock of an object: one flag says that somebody waits, one word is slept on. Whoever lets go wakes all; each looks
// for itself. A ring that a death swallowed is made good by the sleepers, who look every PROBE_MS anyway.

import { headerWord } from '../ring/memory.ts';
import type { StateEdges } from './edges.ts';
import { STATE_HEADER } from './layout.ts';
import type { StateObject } from './object.ts';

/** How often a sleeper asks whether the holder lives. */
export const PROBE_MS = 50;
const WAITING_AT: number = headerWord(STATE_HEADER.waiting);
const TURN_AT: number = headerWord(STATE_HEADER.turn);

/** Says that somebody waits. @returns what to sleep on; the caller must look again before it does */
export function announceWait({ memory }: StateObject): number {
  const turn = Atomics.load(memory.words, TURN_AT);
  // SYNC: wait/wake. Pairs with wakeTurn(): either it sees this, or the look after this sees what it announces.
  Atomics.store(memory.words, WAITING_AT, 1);
  return turn;
}

/** Wakes everybody who waits, if anybody does. Call it after the lock was let go of. */
export function wakeTurn({ memory, buffer }: StateObject, { native }: Pick<StateEdges, 'native'>): void {
  const { words } = memory;
  if (Atomics.load(words, WAITING_AT) === 0 || Atomics.exchange(words, WAITING_AT, 0) === 0) return;
  Atomics.add(words, TURN_AT, 1);
  native.futexWake(buffer, TURN_AT * 4, 2 ** 31 - 1);
}

/** Blocks the thread, at most for `ms`. */
export function sleepOn(
  { buffer }: StateObject,
  turn: number,
  ms: number,
  { native }: StateEdges,
): 'woken' | 'changed' | 'timeout' | 'interrupted' {
  return native.futexWait(buffer, TURN_AT * 4, turn, ms);
}

/** The same for an event loop; it keeps the process alive. */
export function sleepOnAsync(
  { buffer }: StateObject,
  turn: number,
  ms: number,
  { native }: StateEdges,
): Promise<unknown> {
  return native.futexWaitAsync(buffer, TURN_AT * 4, turn, ms, true);
}
