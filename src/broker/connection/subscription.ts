// A consumer of a channel: takes messages from its queue and writes them to the connection.

import {
  changeHeaders,
  joinProperties,
  PROPERTY,
  Writer,
  type FieldTable,
} from '../../wire/amqp091/index.ts';
import { MessageView } from '../message-view.ts';
import type { Consumer } from '../queue/consumers.ts';
import type { Queue } from '../queue/queue.ts';
import type { Connection } from './connection.ts';

/** Counts what it was given and not settled. */
export interface Holder {
  /** One of its messages was settled. */
  settled(): void;
}

/** The channel, as its consumers see it. */
export interface SubscriptionHost {
  readonly connection: Connection;
  readonly number: number;
  /** Whether the channel's own prefetch has room and its flow is on. */
  readonly hasCredit: boolean;
  nextTag(): number;
  hold(
    tag: number,
    queue: Queue,
    holder: Holder,
    slot: number,
    position: number,
    expiresAt: number,
    returns: number,
  ): void;
  /** The consumer could not take a message: wake it when it can. */
  park(subscription: Subscription): void;
  /** The queue ended the consumer. */
  ended(subscription: Subscription): void;
}

export interface SubscriptionInit {
  readonly tag: string;
  readonly queue: Queue;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  /** Unsettled messages it may have; 0: any number. */
  readonly prefetch: number;
  readonly args: FieldTable;
}

export class Subscription implements Consumer, Holder {
  readonly tag: string;
  readonly queue: Queue;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly prefetch: number;
  readonly args: FieldTable;
  parked = false;
  readonly #host: SubscriptionHost;
  readonly #tagBytes: Buffer;
  /** Its queue tells how often a message came back. */
  readonly #tellsReturns: boolean;
  #unsettled = 0;

  constructor(init: SubscriptionInit, host: SubscriptionHost) {
    this.tag = init.tag;
    this.queue = init.queue;
    this.noAck = init.noAck;
    this.exclusive = init.exclusive;
    this.priority = init.priority;
    this.prefetch = init.prefetch;
    this.args = init.args;
    this.#host = host;
    this.#tellsReturns = init.queue.policy.type === 'quorum';
    const writer = new Writer(256);
    writer.shortstr(init.tag);
    this.#tagBytes = writer.take();
  }

  get host(): SubscriptionHost {
    return this.#host;
  }

  get unsettled(): number {
    return this.#unsettled;
  }

  canTake(): boolean {
    const { connection, hasCredit } = this.#host;
    const can =
      connection.isOpen &&
      (this.noAck || (hasCredit && (this.prefetch === 0 || this.#unsettled < this.prefetch))) &&
      !connection.isCongested;
    if (!can) this.#host.park(this);
    return can;
  }

  take(slot: number, position: number, expiresAt: number, returns: number): void {
    const host = this.#host;
    const { connection } = host;
    const tag = host.nextTag();
    const { messages } = connection.core;
    const properties = this.#tellsReturns && returns > 0 ? withCount(connection, slot, returns) : undefined;
    connection.output.deliver(host.number, this.#tagBytes, tag, returns > 0, messages, slot, properties);
    if (this.noAck) messages.release(slot);
    else {
      this.#unsettled += 1;
      host.hold(tag, this.queue, this, slot, position, expiresAt, returns);
    }
  }

  settled(): void {
    this.#unsettled -= 1;
  }

  cancelled(): void {
    this.#host.ended(this);
  }
}

const COUNT_HEADER = new Set(['x-delivery-count']);

/** The properties of a message with the header that says how often it came back, as quorum queues do. */
export function withCount({ core }: Connection, slot: number, returns: number): Buffer {
  const { pieces } = new MessageView(core.messages, slot);
  pieces[PROPERTY.headers] = changeHeaders(pieces[PROPERTY.headers], COUNT_HEADER, {
    'x-delivery-count': { type: 'l', value: returns },
  });
  return joinProperties(pieces);
}
