// A clean stop: what only memory has is counted, or kept when that was asked for; then everything is written down from which the next
// start takes up where this one ended. Connections are gone by then, and what they had unsettled is back in its queues.

import type { Core } from '../core.ts';
import type { Queue } from '../queue/queue.ts';
import type { Entry } from '../queue/ring.ts';
import type { Keeper } from './keeper.ts';
import { writeRest, type Resting } from './rest.ts';

/** Messages of one queue, or of one delaying exchange, that only memory has. */
export interface MemoryOnly {
  readonly vhost: string;
  readonly queue?: string;
  readonly exchange?: string;
  readonly messages: number;
}

/** What a stop now would lose. @param keepsTransient  whether it keeps what it can */
export function memoryOnly(core: Core, keepsTransient: boolean): MemoryOnly[] {
  const isKept = core.keeper !== undefined;
  const delayed = [...core.vhosts.values()].flatMap(({ exchanges }) =>
    Array.from(exchanges.values(), ({ vhost, name, waitingInMemory }) => ({
      vhost,
      exchange: name,
      messages: waitingInMemory,
    })),
  );
  const queued = queuesOf(core).flatMap((queue): MemoryOnly[] => {
    const { vhost, name } = queue;
    if (isKept && keepsTransient && queue.owner === undefined) return [];
    const messages = isKept && queue.durable ? countUnstored(core, queue) : queue.ready + queue.unacked;
    return messages === 0 ? [] : [{ vhost, queue: name, messages }];
  });
  return [...queued, ...delayed.filter(({ messages }) => messages > 0)];
}

/**
 * Writes everything down and closes the store. Nothing may happen in the core any more.
 * @param keepsTransient  transient messages, and the queues and exchanges that are not durable, are kept too
 * @throws NARU_STORAGE  what was confirmed is safe, the rest may not be
 */
export async function closeStore(core: Core, keepsTransient: boolean): Promise<void> {
  const { store, definitions, keeper } = core;
  if (store === undefined || keeper === undefined) return;
  // On a full disk only what finds room without waiting is written: the next start is as after a crash.
  if (store.failure === undefined && definitions !== undefined && !store.isFull) {
    // What was acked or moved is removed for good before it is written that nothing else was delivered.
    do {
      core.deliver();
      await store.log.commit('disk');
    } while (core.deadLettersWaiting > 0 && !store.isFull);
    const resting: Resting[] = [];
    for (const queue of queuesOf(core)) {
      if (queue.owner !== undefined || queue.damage !== undefined) continue;
      if (keepsTransient) resting.push(await keepAll(core, keeper, queue));
      else if (queue.durable) resting.push(stored(core, queue));
    }
    await definitions.compact(core.changes(keepsTransient));
    await writeRest(
      store.log,
      resting.filter(({ entries }) => entries.length > 0),
    );
  }
  await store.close();
}

function queuesOf(core: Core): Queue[] {
  return [...core.vhosts.values()].flatMap(({ queues }) => [...queues.values()]);
}

function countUnstored({ messages }: Core, queue: Queue): number {
  let count = 0;
  for (const { slot } of queue.entries()) if (messages.sequence(slot) === 0) count += 1;
  return count;
}

/** Those that came back; for the others there is nothing to say. */
function stored({ messages }: Core, queue: Queue): Resting {
  const entries: number[] = [];
  for (const { slot, returns } of queue.entries()) {
    const sequence = messages.sequence(slot);
    if (sequence !== 0 && returns > 0) entries.push(sequence, returns);
  }
  return { stream: queue.stream, isOrdered: false, entries };
}

/** Stores what only memory has. What is stored for other queues only is stored again for this one. */
async function keepAll(core: Core, keeper: Keeper, queue: Queue): Promise<Resting> {
  const { messages, store } = core;
  const isStored = queue.stream !== 0;
  if (!isStored) queue.stream = store?.takeStream() ?? 0;
  const entries: number[] = [];
  for (const entry of queue.entries()) {
    const { slot, returns } = entry;
    const isKnown = isStored && messages.sequence(slot) !== 0;
    entries.push(isKnown ? messages.sequence(slot) : await keepCopy(core, keeper, queue, entry), returns);
  }
  return { stream: queue.stream, isOrdered: true, entries };
}

async function keepCopy(core: Core, keeper: Keeper, queue: Queue, entry: Entry): Promise<number> {
  const { messages, clock } = core;
  await keeper.load(entry.slot);
  const copy = messages.copy(entry.slot);
  const ttlMs = entry.expiresAt === Infinity ? Infinity : Math.max(0, entry.expiresAt - clock.now());
  // Too much waits for the disk: let it catch up.
  while (!keeper.keep(copy, [queue.stream], ttlMs)) await core.store?.log.commit('os');
  const sequence = messages.sequence(copy);
  messages.release(copy);
  return sequence;
}
