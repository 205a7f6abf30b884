// Messages of an x-delayed-message exchange: what happens when their time has come. Storage has them until then; into queues goes
// a copy, which storage gets before the one that waited is forgotten.

import { joinProperties, PROPERTY, type FieldTable } from '../wire/amqp091/index.ts';
import type { Core } from './core.ts';
import { enqueueAll } from './enqueue.ts';
import type { Exchange } from './exchange/exchange.ts';
import { LIMITS } from './limits.ts';
import { MessageView, withoutBcc } from './message-view.ts';
import type { MessageTable } from './message-table.ts';
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

/** How long a message's headers ask an x-delayed-message exchange to keep it, in milliseconds. */
export function delayOf(headers: FieldTable): number {
  const asked = Number(headers['x-delay']?.value ?? 0);
  return Number.isFinite(asked) ? Math.min(Math.max(0, asked), LIMITS.ttlMsMax.default) : 0;
}

/**
 * Keeps a message for its time, in storage too where it is persistent.
 * @returns false when storage does not take it; then nothing was kept
 */
export function delayMessage(delayed: Delayed, delayMs: number): boolean {
  const { core, exchange, slot } = delayed;
  const mustStore = core.keeper !== undefined && exchange.stream !== 0 && core.messages.persistent(slot);
  if (mustStore && !core.keeper.keepDelayed(slot, exchange.stream, delayMs)) return false;
  core.messages.keep(slot);
  deliverLater(delayed, delayMs);
  return true;
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
  place.route(exchange, delayed.keys ?? view.allKeys, () => view.headers, queues);
  const { messages } = core;
  // Its own record stays the exchange's: the queues' is another.
  const copy = view.headers['BCC'] === undefined ? messages.copy(slot) : copyWithoutBcc(messages, slot, view);
  enqueueAll(core, queues, copy, delayed.ttlMs ?? view.ttlMs);
  const sequence = messages.sequence(copy);
  messages.release(copy);
  forget(delayed, sequence);
}

/** What goes into queues does not tell who else got it. */
function copyWithoutBcc(messages: MessageTable, slot: number, { pieces }: MessageView): number {
  pieces[PROPERTY.headers] = withoutBcc(pieces[PROPERTY.headers]);
  const key = messages.chunk(slot).subarray(messages.start(slot), messages.propertyStart(slot));
  const copy = messages.add(Buffer.from(key), joinProperties(pieces), messages.body(slot));
  messages.describe(copy, messages.priority(slot), messages.persistent(slot));
  return copy;
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
