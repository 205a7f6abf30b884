// What becomes of messages that died in a queue: rewritten and routed through the queue's dead-letter exchange, or dropped.
// They wait in a list and are dealt with one after the other, so that a chain of queues never nests.

import { joinProperties } from '../wire/amqp091/index.ts';
import type { Clock } from './clock.ts';
import { enqueueAll, type Shelf } from './enqueue.ts';
import { encodeKey, MessageView } from './message-view.ts';
import { isCycle, noteDeath } from './queue/dead-letter.ts';
import type { DeathReason, Queue } from './queue/queue.ts';
import type { Vhost } from './vhost.ts';

interface Dead {
  readonly vhost: Vhost;
  readonly queue: Queue;
  readonly slot: number;
  readonly reason: DeathReason;
  /** Whose record of it goes; 0: it is not stored. */
  readonly stream: number;
}

export class DeadLetters {
  readonly #shelf: Shelf;
  readonly #clock: Clock;
  #waiting: Dead[] = [];
  /** The first of them has no bytes yet. */
  #isLoading = false;
  /** Messages that could not be given to a dead-letter exchange. */
  undeliverable = 0;
  /** Called when the list is no longer empty. */
  readonly #wake: () => void;

  constructor(shelf: Shelf, clock: Clock, wake: () => void) {
    this.#shelf = shelf;
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Messages that wait to be dealt with. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes over a message that died. @param wasIn  it was in the queue; else the queue refused it */
  add(vhost: Vhost, queue: Queue, slot: number, reason: DeathReason, wasIn: boolean): void {
    const stream = wasIn ? queue.stream : 0;
    if (queue.policy.deadLetterExchange === undefined) {
      this.#forget(stream, slot, 0);
      return;
    }
    if (this.#waiting.length === 0) this.#wake();
    this.#waiting.push({ vhost, queue, slot, reason, stream });
  }

  /** Deals with those that wait; what dies by it waits for the next call. @returns whether there were any */
  run(): boolean {
    if (this.#waiting.length === 0 || this.#isLoading) return false;
    // They wait where they were: on a full disk a copy might find no room.
    if (this.#shelf.keeper?.store.isFull === true) return false;
    const batch = this.#waiting;
    this.#waiting = [];
    for (const [index, dead] of batch.entries()) {
      const isThere = this.#shelf.keeper?.ensure(dead.slot, () => this.#loaded()) ?? true;
      if (!isThere && dead.queue.damage === undefined) {
        this.#isLoading = true;
        this.#waiting = [...batch.slice(index), ...this.#waiting];
        return index > 0;
      }
      let copy = 0;
      try {
        if (isThere) copy = this.#bury(dead);
      } catch {
        // What is written into it made it larger than may be read: nobody could be given it.
        this.undeliverable += 1;
      }
      this.#forget(dead.stream, dead.slot, copy);
    }
    return true;
  }

  #loaded(): void {
    this.#isLoading = false;
    this.#wake();
  }

  /** It leaves its queue. @param copy  the sequence of what took its place; 0: it needs no disk */
  #forget(stream: number, slot: number, copy: number): void {
    const { keeper, messages } = this.#shelf;
    if (stream !== 0) keeper?.dropAfter(copy, stream, slot);
    messages.release(slot);
  }

  /** @returns the sequence of what was put into other queues; 0: it is not stored */
  #bury({ vhost, queue, slot, reason }: Dead): number {
    const { deadLetterExchange, deadLetterRoutingKey } = queue.policy;
    const { messages } = this.#shelf;
    const exchange = vhost.exchange(deadLetterExchange ?? '');
    if (exchange === undefined) return 0;
    const view = new MessageView(messages, slot);
    const { keys, pieces } = view;
    const death = { reason, queue: queue.name, exchange: view.exchange, keys, wallMs: this.#clock.wallMs() };
    const deaths = noteDeath(pieces, death, deadLetterRoutingKey === undefined);
    const newKeys = deadLetterRoutingKey === undefined ? keys : [deadLetterRoutingKey];
    const found: Queue[] = [];
    vhost.route(exchange, newKeys, () => view.headers, found);
    const targets = found.filter(({ name }) => !isCycle(name, deaths));
    if (targets.length === 0) return 0;
    const key = encodeKey(exchange.name, newKeys[0] ?? '');
    const properties = joinProperties(pieces);
    const copy = messages.add(key, properties, messages.body(slot));
    messages.describe(copy, messages.priority(slot), messages.persistent(slot));
    // What was in a quorum queue is as safe where it goes.
    enqueueAll(this.#shelf, targets, copy, Infinity, queue.isQuorum ? 'disk' : undefined);
    const sequence = messages.sequence(copy);
    messages.release(copy);
    return sequence;
  }
}
