// What becomes of messages that died in a queue: rewritten and routed through the queue's dead-letter exchange, or dropped.
// They wait in a list and are dealt with one after the other, so that a chain of queues never nests.

import { joinProperties } from '../wire/amqp091/index.ts';
import type { Clock } from './clock.ts';
import { encodeKey, MessageView } from './message-view.ts';
import type { MessageTable } from './message-table.ts';
import { isCycle, noteDeath } from './queue/dead-letter.ts';
import type { DeathReason, Queue } from './queue/queue.ts';
import type { Vhost } from './vhost.ts';

interface Dead {
  readonly vhost: Vhost;
  readonly queue: Queue;
  readonly slot: number;
  readonly reason: DeathReason;
}

export class DeadLetters {
  readonly #messages: MessageTable;
  readonly #clock: Clock;
  #waiting: Dead[] = [];
  /** Messages that could not be given to a dead-letter exchange. */
  undeliverable = 0;
  /** Called when the list is no longer empty. */
  readonly #wake: () => void;

  constructor(messages: MessageTable, clock: Clock, wake: () => void) {
    this.#messages = messages;
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Takes over a message that died. */
  add(vhost: Vhost, queue: Queue, slot: number, reason: DeathReason): void {
    if (queue.policy.deadLetterExchange === undefined) {
      this.#messages.release(slot);
      return;
    }
    if (this.#waiting.length === 0) this.#wake();
    this.#waiting.push({ vhost, queue, slot, reason });
  }

  /** Deals with those that wait; what dies by it waits for the next call. @returns whether there were any */
  run(): boolean {
    if (this.#waiting.length === 0) return false;
    const batch = this.#waiting;
    this.#waiting = [];
    for (const dead of batch) {
      try {
        this.#bury(dead);
      } catch {
        // What is written into it made it larger than may be read: nobody could be given it.
        this.undeliverable += 1;
      }
      this.#messages.release(dead.slot);
    }
    return true;
  }

  #bury({ vhost, queue, slot, reason }: Dead): void {
    const { deadLetterExchange, deadLetterRoutingKey } = queue.policy;
    const exchange = vhost.exchange(deadLetterExchange ?? '');
    if (exchange === undefined) return;
    const view = new MessageView(this.#messages, slot);
    const { keys, pieces } = view;
    const death = { reason, queue: queue.name, exchange: view.exchange, keys, wallMs: this.#clock.wallMs() };
    const deaths = noteDeath(pieces, death, deadLetterRoutingKey === undefined);
    const newKeys = deadLetterRoutingKey === undefined ? keys : [deadLetterRoutingKey];
    const found: Queue[] = [];
    vhost.route(exchange, newKeys, () => view.headers, found);
    const targets = found.filter(({ name }) => !isCycle(name, deaths));
    if (targets.length === 0) return;
    const key = encodeKey(exchange.name, newKeys[0] ?? '');
    const properties = joinProperties(pieces);
    const copy = this.#messages.add(key, properties, this.#messages.body(slot));
    this.#messages.describe(copy, this.#messages.priority(slot), this.#messages.persistent(slot));
    for (const target of targets) target.enqueue(copy, Infinity);
    this.#messages.release(copy);
  }
}
