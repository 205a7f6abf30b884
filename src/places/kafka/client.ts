// What a place needs of a client package of Kafka, in this project's own words. Each package has a folder that speaks so to it:
// platformatic/, kafkajs/.

import type { ClientName } from './options.ts';

/** A message on its way to a topic. */
export interface OutRecord {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer;
  /** What only Naru knows of it, for the header of that name. */
  readonly envelope: Buffer;
  /** The user's. */
  readonly headers: Readonly<Record<string, Buffer>> | undefined;
  readonly timestamp: number;
}

/** The header with the envelope: named-envelope.ts, without a body. */
export const HEADER = 'naru';

/** A message as it lies in a topic; anybody may have written it. */
export interface InRecord {
  readonly offset: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** The header of Naru. */
  readonly own: Uint8Array | undefined;
  /** All others. */
  readonly headers: readonly (readonly [string, Uint8Array])[];
  readonly timestamp: number;
}

/** The first offset of a partition, and the one that the next message gets. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

export interface KafkaProducer {
  /**
   * Resolves when every replica in sync has all of them; on one connection they go in this order.
   * After it has rejected, this producer must not be used again: a later batch could pass for the lost one's repetition.
   */
  send(records: readonly OutRecord[]): Promise<void>;
  close(): Promise<void>;
}

/** How a consumer tells what it is given. */
export interface ConsumerEvents {
  /** The group is asked now: it answers when all its members have, or their sessions are over. */
  joining(): void;
  /**
   * The partitions that are this consumer's from now on; others are not any more.
   * @returns where to read each from
   */
  assigned(partitions: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /** Messages in order; they may lie before the position asked for. @returns undefined, or what resolves when there is room for more */
  records(partition: number, records: readonly InRecord[]): Promise<void> | undefined;
  /** Reading failed; it is tried again. */
  trouble(error: unknown): void;
}

export interface KafkaConsumer {
  /** Moves what the group has had. Rejects when the partitions are not this consumer's any more. */
  commit(positions: ReadonlyMap<number, number>): Promise<void>;
  /** Leaves the group. */
  close(): Promise<void>;
}

/** A connection to a cluster, made of as many sockets as its package likes. None of them keeps the process alive. */
export interface KafkaClient {
  readonly name: ClientName;
  /** How many partitions a topic has; undefined: there is none. Never makes one. */
  partitions(topic: string): Promise<number | undefined>;
  /** @returns false when it was there */
  create(topic: string, partitions: number | undefined): Promise<boolean>;
  remove(topic: string): Promise<void>;
  /** The largest batch in bytes that the topic takes; undefined when this user may not ask. */
  maxBatchBytes(topic: string): Promise<number | undefined>;
  ranges(topic: string): Promise<readonly Range[]>;
  /** By partition, the first message at or after a time; where there is none, the end. */
  offsetsAt(topic: string, time: number): Promise<readonly number[]>;
  /** By partition, what a group has committed; -1: nothing. */
  committed(topic: string, group: string, partitions: number): Promise<readonly number[]>;
  /** Rejects while no broker is there: what needs it has not been sent then. */
  producer(topic: string): Promise<KafkaProducer>;
  /**
   * Joins a group, or with none reads every partition. Resolves once `events.assigned` was answered for the first time.
   * @param signal  ends an attempt to join; afterwards it means nothing
   */
  consumer(
    topic: string,
    group: string | undefined,
    events: ConsumerEvents,
    signal: AbortSignal,
  ): Promise<KafkaConsumer>;
  close(): Promise<void>;
}

/** What npm calls them, and the versions that are tested. */
export const PACKAGES: Readonly<Record<ClientName, { readonly name: string; readonly install: string }>> = {
  platformatic: { name: '@platformatic/kafka', install: '@platformatic/kafka@^1.35.0' },
  kafkajs: { name: 'kafkajs', install: 'kafkajs@^2.2.4' },
};
