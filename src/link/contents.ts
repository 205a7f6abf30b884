// What a host asks of whatever holds its messages: the memory of its process (store/), or something that outlives it. Types only.

import type { NaruError } from '../errors/index.ts';
import type { Outgoing } from '../mailbox/driver.ts';
import type { ItemStore, OfferResult, StoreEvents, Subscription } from '../store/types.ts';
import type { Room } from './credit.ts';
import type { LinkMessage, Origin } from './item.ts';
import type { ConsumerOptions } from './session.ts';

/** How far a message got. `placed`: it survives the host. `durable`: it survives a loss of power. */
export type Stage = 'placed' | 'durable';

/** Of contents that take a message first and place it later. Messages count up, in the order they were taken. */
export interface Stages {
  /** Number of the message that was taken last. */
  readonly taken: number;
  /** Every message up to this one is placed. */
  readonly placed: number;
  /** Every message up to this one is durable. */
  readonly durable: number;
  /** What could be taken now. */
  room(): Room;
  /**
   * offer() of a message of this process that is not encoded yet: it is where it stays.
   *
   * @param length  its encodedSize()
   * @param sizeBytes  what it takes of the capacity
   * @param origin  its sender, if that waits until it is received; `index` is its count there
   */
  take(
    message: Outgoing,
    length: number,
    sizeBytes: number,
    sender: string,
    origin: Origin | undefined,
    index: number,
  ): OfferResult;
  /** Resolves when everything that was taken has reached a stage. Rejects when that can no longer happen. */
  flush(stage: Stage): Promise<void>;
  /** The host is about to stop: consumers that leave from now on come back later. */
  stopping(): void;
  /** Counters for stats(). */
  figures(): Readonly<Record<string, number>>;
}

export interface Contents extends Omit<ItemStore<LinkMessage>, 'reserve' | 'unreserve' | 'subscribe'> {
  /** Absent: what is taken is placed. */
  readonly stages?: Stages | undefined;
  subscribe(ready: () => void, options: ConsumerOptions): Subscription<LinkMessage>;
}

export interface ContentsEvents extends StoreEvents<LinkMessage> {
  /** More messages have reached a stage. */
  advanced(): void;
  /** It is over: nothing can be taken or given any more. */
  failed(error: NaruError): void;
}
