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
 * @param level  `disk`: where it is stored it must be on the disk before it is confirmed
 * @returns false when one of them did not take it, or the disk is full and has too much to write already
 */
export function enqueueAll(
  { messages, keeper }: Shelf,
  queues: readonly (Queue | undefined)[],
  slot: number,
  ttlMs: number,
  level?: 'disk',
): boolean {
  if (keeper !== undefined && (messages.persistent(slot) || hasQuorum(queues))) {
    return enqueueStored({ messages, keeper }, queues, { slot, ttlMs, level });
  }
  let accepted = true;
  for (let i = 0; i < queues.length; i += 1) {
    const queue = queues[i];
    if (queue !== undefined && !queue.enqueue(slot, ttlMs)) accepted = false;
  }
  return accepted;
}

/** A quorum queue stores what is transient too. */
function hasQuorum(queues: readonly (Queue | undefined)[]): boolean {
  for (let i = 0; i < queues.length; i += 1) if (queues[i]?.isQuorum === true) return true;
  return false;
}

interface Arrival {
  readonly slot: number;
  readonly ttlMs: number;
  readonly level: 'disk' | undefined;
}

/** First who takes it, then the disk, then the queues: one may give it away at once. */
function enqueueStored(
  shelf: Shelf & { readonly keeper: Keeper },
  queues: readonly (Queue | undefined)[],
  arrival: Arrival,
): boolean {
  const { slot, ttlMs } = arrival;
  const isPersistent = shelf.messages.persistent(slot);
  const takers: Queue[] = [];
  const streams: number[] = [];
  let { level } = arrival;
  let accepted = true;
  let keptMs = ttlMs;
  let isOne = true;
  for (const queue of queues) {
    if (queue === undefined) continue;
    if (!queue.admit(slot)) {
      accepted = false;
      continue;
    }
    takers.push(queue);
    if (queue.stream === 0 || !(isPersistent || queue.isQuorum)) continue;
    if (queue.isQuorum) level = 'disk';
    const itsMs = queue.ttlOf(ttlMs);
    if (streams.length > 0 && itsMs !== keptMs) isOne = false;
    keptMs = itsMs;
    streams.push(queue.stream);
  }
  if (!isOne) return enqueueApart(shelf, takers, { slot, ttlMs, level }) && accepted;
  if (streams.length > 0 && !shelf.keeper.keep(slot, streams, keptMs, level)) return false;
  for (const queue of takers) queue.insert(slot, ttlMs);
  return accepted;
}

/** Queues that keep it for different times have a record each, which tells when it expires. */
function enqueueApart(
  { messages, keeper }: Shelf & { readonly keeper: Keeper },
  takers: readonly Queue[],
  { slot, ttlMs, level }: Arrival,
): boolean {
  let accepted = true;
  for (const queue of takers) {
    const copy = messages.copy(slot);
    const isStored = queue.stream !== 0 && (messages.persistent(slot) || queue.isQuorum);
    if (isStored && !keeper.keep(copy, [queue.stream], queue.ttlOf(ttlMs), level)) accepted = false;
    else {
      queue.insert(copy, ttlMs);
      // It is safe when the last of them is.
      if (isStored) messages.setSequence(slot, messages.sequence(copy));
    }
    messages.release(copy);
  }
  return accepted;
}
