// Putting a message into the queues it was routed to: who takes it, stored once for all that keep it, then into each. For whoever
// publishes: channels, dead letters, delays, HTTP.

import type { MessageTable } from './message-table.ts';
import type { Queue } from './queue/queue.ts';
import type { Keeper } from './storage/keeper.ts';

/** What holds messages and stores them. */
export interface Shelf {
  readonly messages: MessageTable;
  readonly keeper: Keeper | undefined;
}

/**
 * Puts a message into queues; each keeps it in the table.
 * @param ttlMs  of the message; Infinity: none
 * @returns false when one of them did not take it, or the disk is full and has too much to write already
 */
export function enqueueAll(
  { messages, keeper }: Shelf,
  queues: readonly (Queue | undefined)[],
  slot: number,
  ttlMs: number,
): boolean {
  if (keeper !== undefined && messages.persistent(slot)) {
    return enqueueStored(keeper, queues, slot, ttlMs);
  }
  let accepted = true;
  for (let i = 0; i < queues.length; i += 1) {
    const queue = queues[i];
    if (queue !== undefined && !queue.enqueue(slot, ttlMs)) accepted = false;
  }
  return accepted;
}

/** First who takes it, then the disk, then the queues: one may give it away at once. */
function enqueueStored(
  keeper: Keeper,
  queues: readonly (Queue | undefined)[],
  slot: number,
  ttlMs: number,
): boolean {
  const takers: Queue[] = [];
  const streams: number[] = [];
  let accepted = true;
  for (const queue of queues) {
    if (queue === undefined) continue;
    if (!queue.admit(slot)) accepted = false;
    else {
      takers.push(queue);
      if (queue.stream !== 0) streams.push(queue.stream);
    }
  }
  if (streams.length > 0 && !keeper.keep(slot, streams, ttlMs)) return false;
  for (const queue of takers) queue.insert(slot, ttlMs);
  return accepted;
}
