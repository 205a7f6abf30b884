// Kafka through the package kafkajs: it reads by itself and calls with each batch, and reads on when the call has come back.

import { randomUUID } from 'node:crypto';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { importPackage } from '../../client/optional-package.ts';
import { Backoff } from '../../link/backoff.ts';
import {
  type ConsumerEvents,
  HEADER,
  type InRecord,
  type KafkaClient,
  type KafkaConsumer,
  type KafkaProducer,
  type OutRecord,
  PACKAGES,
  type Range,
} from './client.ts';
import { isCalled } from './failures.ts';
import { FETCH, GROUP, REQUEST } from './limits.ts';
import type { Target } from './options.ts';

type HeaderValue = Uint8Array | string | undefined;

interface Message {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>;
}

interface BatchCall {
  readonly batch: { readonly partition: number; readonly messages: readonly Message[]; lastOffset(): string };
  readonly resolveOffset: (offset: string) => void;
  readonly heartbeat: () => Promise<void>;
  readonly isRunning: () => boolean;
  readonly isStale: () => boolean;
}

interface Joined {
  readonly payload: { readonly memberAssignment: Readonly<Record<string, readonly number[]>> };
}

interface Crashed {
  readonly payload: { readonly error: Error };
}

interface Consumer {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  subscribe(options: object): Promise<void>;
  run(options: object): Promise<void>;
  seek(to: { topic: string; partition: number; offset: string }): void;
  commitOffsets(offsets: readonly { topic: string; partition: number; offset: string }[]): Promise<void>;
  on(event: 'consumer.group_join', listener: (event: Joined) => void): unknown;
  on(event: 'consumer.crash', listener: (event: Crashed) => void): unknown;
}

interface Producer {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  send(options: object): Promise<unknown>;
}

interface Admin {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  fetchTopicMetadata(options: { topics: string[] }): Promise<{
    readonly topics: readonly { readonly name: string; readonly partitions: readonly unknown[] }[];
  }>;
  createTopics(options: object): Promise<boolean>;
  deleteTopics(options: object): Promise<void>;
  deleteGroups(groups: string[]): Promise<unknown>;
  describeConfigs(options: object): Promise<{
    readonly resources: readonly {
      readonly configEntries: readonly { readonly configName: string; readonly configValue: string }[];
    }[];
  }>;
  fetchTopicOffsets(
    topic: string,
  ): Promise<readonly { readonly partition: number; readonly high: string; readonly low: string }[]>;
  fetchTopicOffsetsByTimestamp(
    topic: string,
    time: number,
  ): Promise<readonly { readonly partition: number; readonly offset: string }[]>;
  fetchOffsets(options: object): Promise<
    readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
    }[]
  >;
}

interface Kafka {
  admin(options?: object): Admin;
  producer(options: object): Producer;
  consumer(options: object): Consumer;
}

type Assigner = (context: { cluster: unknown; groupId: string; logger: unknown }) => {
  readonly name: string;
  readonly version: number;
};

interface Package {
  readonly default: {
    readonly Kafka: new (options: object) => Kafka;
    readonly PartitionAssigners: { readonly roundRobin: Assigner };
    readonly AssignerProtocol: { readonly MemberMetadata: { encode(metadata: object): Uint8Array } };
  };
}

const TOPIC_RESOURCE = 2;
/** Partitions whose batches may be given at the same time: one that waits for room holds up no other. */
const CONCURRENCY = 16;
/** How long what is connected may be without use. */
const REST_MS = 1_000;

/** @throws NARU_PACKAGE_MISSING; whether a broker answers is told by the first call */
export async function connectKafkaJs(target: Target): Promise<KafkaClient> {
  const { name, install } = PACKAGES.kafkajs;
  const loaded = (await importPackage(name, install, 'kafka')) as Package;
  return new KafkaJsClient(loaded, target);
}

const RETRY = {
  initialRetryTime: REQUEST.retryMs,
  maxRetryTime: 4 * REQUEST.retryMs,
  retries: REQUEST.retries,
};

function optionsOf({ brokers, sasl, tls }: Target): object {
  return {
    clientId: 'naru',
    brokers: [...brokers],
    connectionTimeout: REQUEST.connectMs,
    authenticationTimeout: REQUEST.connectMs,
    requestTimeout: REQUEST.answerMs,
    // Its own check is an interval that keeps the process alive; a socket that stays silent for so long is closed instead.
    enforceRequestTimeout: false,
    retry: RETRY,
    // It would write to standard output.
    logLevel: 0,
    socketFactory: loosened,
    ...(sasl === undefined ? {} : { sasl }),
    ...(tls === undefined ? {} : { ssl: tls }),
  };
}

interface SocketRequest {
  readonly host: string;
  readonly port: number;
  readonly ssl?: object | boolean | null;
  readonly onConnect: () => void;
}

/** Waiting for messages is what keeps a process alive, not a socket. */
function loosened({ host, port, ssl, onConnect }: SocketRequest): Socket {
  const servername = isIP(host) === 0 ? { servername: host } : {};
  const socket =
    typeof ssl === 'object' && ssl !== null
      ? connectTls({ host, port, ...servername, ...ssl }, onConnect)
      : connectTcp({ host, port }, onConnect);
  return socket.setNoDelay(true).setTimeout(REQUEST.answerMs).unref();
}

interface Connectable {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

/**
 * Connected while it is used, and a moment longer: every connection of this package has a timer that fires each millisecond and keeps the
 * process alive.
 */
class Passing<T extends Connectable> {
  readonly #one: T;
  #connected: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #users = 0;
  #rest: NodeJS.Timeout | undefined;

  constructor(one: T) {
    this.#one = one;
  }

  async use<R>(act: (one: T) => Promise<R>): Promise<R> {
    clearTimeout(this.#rest);
    this.#users += 1;
    try {
      await this.#closing;
      this.#connected ??= this.#one.connect();
      await this.#connected;
    } catch (error) {
      this.#connected = undefined;
      this.#users -= 1;
      throw error;
    }
    try {
      return await act(this.#one);
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#rest = setTimeout(() => void this.close(), REST_MS).unref();
    }
  }

  close(): Promise<void> {
    clearTimeout(this.#rest);
    this.#closing ??= this.#disconnect().finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  async #disconnect(): Promise<void> {
    const connected = this.#connected;
    this.#connected = undefined;
    try {
      await connected;
      await this.#one.disconnect();
    } catch {
      // It was not connected.
    }
  }
}

class KafkaJsClient implements KafkaClient {
  readonly name = 'kafkajs';
  readonly #kafka: Kafka;
  readonly #assigner: Assigner;
  readonly #admin: Passing<Admin>;

  constructor({ default: { Kafka: Client, ...loaded } }: Package, target: Target) {
    this.#kafka = new Client(optionsOf(target));
    this.#assigner = sharedAssigner(loaded);
    this.#admin = new Passing(this.#kafka.admin());
  }

  async partitions(topic: string): Promise<number | undefined> {
    try {
      const { topics } = await this.#admin.use((admin) => admin.fetchTopicMetadata({ topics: [topic] }));
      return topics.find(({ name }) => name === topic)?.partitions.length;
    } catch (error) {
      if (isCalled(error, 'UNKNOWN_TOPIC_OR_PARTITION')) return undefined;
      throw error;
    }
  }

  create(topic: string, partitions: number | undefined): Promise<boolean> {
    const made = { topic, numPartitions: partitions ?? -1, replicationFactor: -1 };
    return this.#admin.use((admin) => admin.createTopics({ topics: [made], waitForLeaders: false }));
  }

  remove(topic: string): Promise<void> {
    return this.#admin.use((admin) => admin.deleteTopics({ topics: [topic] }));
  }

  async maxBatchBytes(topic: string): Promise<number | undefined> {
    try {
      const resources = [{ type: TOPIC_RESOURCE, name: topic, configNames: ['max.message.bytes'] }];
      const found = await this.#admin.use((admin) =>
        admin.describeConfigs({ includeSynonyms: false, resources }),
      );
      const entry = found.resources[0]?.configEntries.find(
        ({ configName }) => configName === 'max.message.bytes',
      );
      return entry === undefined ? undefined : Number(entry.configValue);
    } catch (error) {
      if (!isCalled(error, 'KafkaJSProtocolError')) throw error;
      return undefined;
    }
  }

  async ranges(topic: string): Promise<readonly Range[]> {
    const found = await this.#admin.use((admin) => admin.fetchTopicOffsets(topic));
    return found
      .toSorted((a, b) => a.partition - b.partition)
      .map(({ low, high }) => ({ low: Number(low), high: Number(high) }));
  }

  async offsetsAt(topic: string, time: number): Promise<readonly number[]> {
    const found = await this.#admin.use((admin) => admin.fetchTopicOffsetsByTimestamp(topic, time));
    return found.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset));
  }

  async committed(topic: string, group: string, partitions: number): Promise<readonly number[]> {
    const found = await this.#admin.use((admin) => admin.fetchOffsets({ groupId: group, topics: [topic] }));
    const known = new Map(
      found
        .find((one) => one.topic === topic)
        ?.partitions.map(({ partition, offset }) => [partition, Number(offset)]),
    );
    return Array.from({ length: partitions }, (_, partition) => known.get(partition) ?? -1);
  }

  producer(topic: string): Promise<KafkaProducer> {
    const producer = this.#kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      retry: RETRY,
      createPartitioner: () => chosen,
    });
    return Promise.resolve(new KafkaJsProducer(new Passing(producer), topic));
  }

  async consumer(topic: string, group: string | undefined, events: ConsumerEvents): Promise<KafkaConsumer> {
    const groupId = group ?? `naru-${randomUUID()}`;
    const make = (): Consumer =>
      this.#kafka.consumer({
        groupId,
        sessionTimeout: GROUP.sessionMs,
        rebalanceTimeout: GROUP.rebalanceMs,
        heartbeatInterval: GROUP.heartbeatMs,
        maxWaitTimeInMs: FETCH.waitMs,
        maxBytes: FETCH.bytesMax,
        maxBytesPerPartition: FETCH.partitionBytesMax,
        allowAutoTopicCreation: false,
        partitionAssigners: [this.#assigner],
        retry: { ...RETRY, restartOnFailure: () => Promise.resolve(false) },
      });
    // Without a group of the user's one of its own is needed all the same, and goes with its consumer.
    const left = async (): Promise<void> => {
      if (group === undefined)
        await this.#admin.use((admin) => admin.deleteGroups([groupId])).catch(() => undefined);
    };
    const consumer = new KafkaJsConsumer({ make, topic, commits: group !== undefined, events, left });
    await consumer.start();
    return consumer;
  }

  close(): Promise<void> {
    return this.#admin.close();
  }
}

/** The name by which other clients know the same way of sharing partitions, so that one group may have members of both packages. */
function sharedAssigner({
  PartitionAssigners,
  AssignerProtocol,
}: Omit<Package['default'], 'Kafka'>): Assigner {
  return (context) => {
    const own = PartitionAssigners.roundRobin(context);
    const protocol = ({ topics }: { topics: readonly string[] }): object => ({
      name: 'roundrobin',
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: own.version,
        topics,
        userData: Buffer.alloc(0),
      }),
    });
    return { ...own, name: 'roundrobin', protocol };
  };
}

function chosen({ message }: { message: { readonly partition: number } }): number {
  return message.partition;
}

class KafkaJsProducer implements KafkaProducer {
  readonly #producer: Passing<Producer>;
  readonly #topic: string;

  constructor(producer: Passing<Producer>, topic: string) {
    this.#producer = producer;
    this.#topic = topic;
  }

  async send(records: readonly OutRecord[]): Promise<void> {
    const messages = records.map(({ partition, key, value, envelope, headers, timestamp }) => ({
      partition,
      key,
      value,
      headers: headers === undefined ? { [HEADER]: envelope } : { ...headers, [HEADER]: envelope },
      timestamp: String(timestamp),
    }));
    const batch = { topic: this.#topic, acks: -1, timeout: REQUEST.answerMs, messages };
    await this.#producer.use((producer) => producer.send(batch));
  }

  close(): Promise<void> {
    return this.#producer.close();
  }
}

interface ConsumerInit {
  readonly make: () => Consumer;
  readonly topic: string;
  readonly commits: boolean;
  readonly events: ConsumerEvents;
  readonly left: () => Promise<void>;
}

class KafkaJsConsumer implements KafkaConsumer {
  readonly #init: ConsumerInit;
  readonly #ending = new AbortController();
  #consumer: Consumer | undefined;
  /** Answers where to read, for the newest assignment. */
  #positions: Promise<ReadonlyMap<number, number>> = Promise.resolve(new Map());

  constructor(init: ConsumerInit) {
    this.#init = init;
  }

  /** The first time its errors are the caller's. */
  async start(): Promise<void> {
    try {
      await this.#enter();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async commit(positions: ReadonlyMap<number, number>): Promise<void> {
    const { topic, commits } = this.#init;
    if (!commits) return;
    if (this.#consumer === undefined) throw new Error('it is not in the group just now');
    const offsets = Array.from(positions, ([partition, offset]) => ({
      topic,
      partition,
      offset: String(offset),
    }));
    await this.#consumer.commitOffsets(offsets);
  }

  async close(): Promise<void> {
    this.#ending.abort();
    const consumer = this.#consumer;
    this.#consumer = undefined;
    await consumer?.disconnect().catch(() => undefined);
    await this.#init.left();
  }

  get #isOver(): boolean {
    return this.#ending.signal.aborted;
  }

  async #enter(): Promise<void> {
    const { make, topic } = this.#init;
    const consumer = make();
    this.#consumer = consumer;
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      let hasBegun = false;
      const begin = async (partitions: readonly number[]): Promise<void> => {
        await this.#joined(consumer, partitions);
        hasBegun = true;
        resolve();
      };
      consumer.on('consumer.group_join', ({ payload }) => {
        begin(payload.memberAssignment[topic] ?? []).catch(reject);
      });
      consumer.on('consumer.crash', ({ payload }) => {
        if (hasBegun) this.#lost(consumer, payload.error);
        else reject(payload.error);
      });
      consumer.run(this.#running(consumer)).catch(reject);
    });
  }

  #running(consumer: Consumer): object {
    return {
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: CONCURRENCY,
      eachBatch: (call: BatchCall) => this.#take(consumer, call),
    };
  }

  async #joined(consumer: Consumer, partitions: readonly number[]): Promise<void> {
    const { topic, events } = this.#init;
    if (this.#consumer !== consumer || this.#isOver) return;
    const positions = events.assigned(partitions);
    this.#positions = positions;
    // Who takes a batch meanwhile hears of it there.
    positions.catch(() => undefined);
    for (const [partition, offset] of await positions)
      if (partitions.includes(partition)) consumer.seek({ topic, partition, offset: String(offset) });
  }

  async #take(
    consumer: Consumer,
    { batch, resolveOffset, heartbeat, isRunning, isStale }: BatchCall,
  ): Promise<void> {
    await this.#positions;
    if (this.#consumer !== consumer || isStale() || !isRunning()) return;
    const room = this.#init.events.records(batch.partition, batch.messages.map(recordOf));
    resolveOffset(batch.lastOffset());
    if (room === undefined) return;
    // Until there is room it must say now and then that it lives.
    const beating = new AbortController();
    const isOver = (): boolean => beating.signal.aborted || !isRunning() || this.#isOver;
    void room.finally(() => beating.abort());
    while (!isOver()) {
      await Promise.race([room, pause(GROUP.heartbeatMs)]);
      await heartbeat();
    }
  }

  /** It gave up: another one enters in its place. */
  #lost(consumer: Consumer, error: unknown): void {
    if (this.#consumer !== consumer || this.#isOver) return;
    this.#init.events.trouble(error);
    this.#consumer = undefined;
    void this.#enterAgain(consumer);
  }

  async #enterAgain(before: Consumer): Promise<void> {
    const backoff = new Backoff();
    void before.disconnect().catch(() => undefined);
    while (!this.#isOver) {
      await backoff.wait(this.#ending.signal, false);
      if (this.#isOver) return;
      try {
        await this.#enter();
        return;
      } catch (error) {
        const failed = this.#consumer;
        this.#consumer = undefined;
        void failed?.disconnect().catch(() => undefined);
        if (!this.#isOver) this.#init.events.trouble(error);
      }
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

const NO_HEADERS: InRecord['headers'] = [];

function recordOf({ offset, timestamp, key, value, headers }: Message): InRecord {
  return {
    offset: Number(offset),
    key,
    value,
    headers: headers === undefined ? NO_HEADERS : Object.entries(headers).map(headerOf),
    timestamp: Number(timestamp),
  };
}

/** Of several with one name the last counts, as in an object. */
function headerOf([name, value]: [string, HeaderValue | readonly HeaderValue[]]): readonly [
  string,
  Uint8Array,
] {
  const one = Array.isArray(value) ? (value.at(-1) as HeaderValue) : (value as HeaderValue);
  return [name, typeof one === 'string' ? Buffer.from(one) : (one ?? Buffer.alloc(0))];
}
