// Messages of an x-delayed-message exchange: what happens when their time has come. Storage has them until then; into queues goes
// a copy, which storage gets before the one that waited is forgotten.

import type { Core } from './core.ts';
import { enqueueAll } from './enqueue.ts';
import type { Exchange } from './exchange/exchange.ts';
import { MessageView } from './message-view.ts';
import type { Queue } from './queue/queue.ts';
import type { Vhost } from './vhost.ts';

export interface Delayed {
  readonly core: Core;
  readonly place: Vhost;
  readonly exchange: Exchange;
  /** Undefined: those that stand in the message. */
  readonly keys: readonly string[] | undefined;
  /** Released when it is delivered. */
  readonly slot: number;
  /** Undefined: what stands in the message. */
  readonly ttlMs: number | undefined;
}

/** Routes a message in so many milliseconds. */
export function deliverLater(delayed: Delayed, delayMs: number): void {
  if (!isStored(delayed)) delayed.exchange.waitingInMemory += 1;
  delayed.place.delays.add(delayMs, () => deliver(delayed));
}

function deliver(delayed: Delayed): void {
  const { core, place, exchange, slot } = delayed;
  // Storage has stopped, and the broker is about to: the message stays where it is.
  if (core.store?.failure !== undefined) return;
  if (place.exchange(exchange.name) !== exchange) {
    forget(delayed, 0);
    return;
  }
  if (core.keeper?.ensure(slot, () => deliver(delayed)) === false) return;
  const view = new MessageView(core.messages, slot);
  const queues: Queue[] = [];
  place.route(exchange, delayed.keys ?? view.keys, () => view.headers, queues);
  const { messages } = core;
  // Its own record stays the exchange's: the queues' is another.
  const copy = messages.copy(slot);
  enqueueAll(core, queues, copy, delayed.ttlMs ?? view.ttlMs);
  const sequence = messages.sequence(copy);
  messages.release(copy);
  forget(delayed, sequence);
}

function isStored({ core, exchange, slot }: Delayed): boolean {
  return exchange.stream !== 0 && core.messages.sequence(slot) !== 0;
}

function forget(delayed: Delayed, copy: number): void {
  const { core, exchange, slot } = delayed;
  if (!isStored(delayed)) exchange.waitingInMemory -= 1;
  if (exchange.stream !== 0) core.keeper?.dropAfter(copy, exchange.stream, slot);
  core.messages.release(slot);
}
