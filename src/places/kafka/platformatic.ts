// Kafka through the package @platformatic/kafka: membership of a group, fetching and committing are single calls there, and the loop that
// reads is ours.

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

/** What is used of the package. */
interface Base {
  on(event: string, listener: (payload: Socketed) => void): unknown;
  close(force?: boolean): Promise<void>;
  metadata(options: { topics: string[]; forceUpdate?: boolean }): Promise<Metadata>;
}

interface Socketed {
  readonly connection?: { readonly socket?: { unref(): void; destroy(): void } };
}

interface Metadata {
  readonly topics: ReadonlyMap<
    string,
    | {
        readonly id: string;
        readonly partitions: readonly { readonly leader: number; readonly leaderEpoch: number }[];
      }
    | undefined
  >;
}

type OffsetList = ReadonlyMap<string, readonly bigint[]>;

interface Consumer extends Base {
  readonly topics: { track(topic: string): boolean };
  readonly assignments: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null;
  readonly memberId: string | null;
  joinGroup(options: object): Promise<unknown>;
  leaveGroup(force?: boolean): Promise<void>;
  fetch(options: object): Promise<FetchResponse>;
  commit(options: object): Promise<void>;
  listOffsets(options: { topics: string[]; timestamp?: bigint }): Promise<OffsetList>;
}

interface Batch {
  readonly firstOffset: bigint;
  readonly firstTimestamp: bigint;
  readonly lastOffsetDelta: number;
  readonly attributes: number;
  readonly records: readonly {
    readonly offsetDelta: number;
    readonly timestampDelta: bigint;
    readonly key: Uint8Array | null;
    readonly value: Uint8Array | null;
    readonly headers: readonly (readonly [Uint8Array | null, Uint8Array | null])[];
  }[];
}

interface FetchResponse {
  readonly responses: readonly {
    readonly partitions: readonly {
      readonly partitionIndex: number;
      readonly records?: readonly Batch[] | null;
    }[];
  }[];
}

interface Admin extends Base {
  createTopics(options: object): Promise<unknown>;
  deleteTopics(options: object): Promise<void>;
  describeConfigs(
    options: object,
  ): Promise<
    readonly { readonly configs: readonly { readonly name: string; readonly value?: string | null }[] }[]
  >;
  listConsumerGroupOffsets(options: object): Promise<
    readonly {
      readonly topics: readonly {
        readonly name: string;
        readonly partitions: readonly { readonly partitionIndex: number; readonly committedOffset: bigint }[];
      }[];
    }[]
  >;
}

interface Producer extends Base {
  send(options: object): Promise<unknown>;
}

interface Package {
  readonly Admin: new (options: object) => Admin;
  readonly Producer: new (options: object) => Producer;
  readonly Consumer: new (options: object) => Consumer;
}

/** Control records of transactions are no messages. */
const IS_CONTROL = 0x20;
const TOPIC_RESOURCE = 2;
const EARLIEST = -2n;
const LATEST = -1n;
const NETWORK = ['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT', 'PLT_KFK_MULTIPLE'];

/** @throws NARU_PACKAGE_MISSING; whether a broker answers is told by the first call */
export async function connectPlatformatic(target: Target): Promise<KafkaClient> {
  const { name, install } = PACKAGES.platformatic;
  const loaded = (await importPackage(name, install, 'kafka')) as Package;
  return new PlatformaticClient(loaded, target);
}

function optionsOf({ brokers, sasl, tls }: Target): object {
  return {
    clientId: 'naru',
    bootstrapBrokers: [...brokers],
    connectTimeout: REQUEST.connectMs,
    requestTimeout: REQUEST.answerMs,
    timeout: REQUEST.answerMs,
    retries: REQUEST.retries,
    retryDelay: REQUEST.retryMs,
    autocreateTopics: false,
    ...(sasl === undefined ? {} : { sasl: { ...sasl, mechanism: sasl.mechanism.toUpperCase() } }),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** Waiting for messages is what keeps a process alive, not a socket. */
function loosened<T extends Base>(one: T): T {
  one.on('client:broker:connect', ({ connection }) => connection?.socket?.unref());
  // Whoever made a call hears of it; without a listener it would end the process.
  one.on('error', () => undefined);
  return one;
}

function discard(one: Base | undefined): void {
  one?.close(true).catch(() => undefined);
}

class PlatformaticClient implements KafkaClient {
  readonly name = 'platformatic';
  readonly #package: Package;
  readonly #target: Target;
  readonly #admin: Admin;
  readonly #offsets: Consumer;

  constructor(loaded: Package, target: Target) {
    this.#package = loaded;
    this.#target = target;
    this.#admin = loosened(new loaded.Admin(optionsOf(target)));
    this.#offsets = loosened(new loaded.Consumer({ ...optionsOf(target), groupId: 'naru' }));
  }

  async partitions(topic: string): Promise<number | undefined> {
    try {
      const { topics } = await this.#admin.metadata({ topics: [topic], forceUpdate: true });
      return topics.get(topic)?.partitions.length;
    } catch (error) {
      if (isUnknownTopic(error)) return undefined;
      throw error;
    }
  }

  async create(topic: string, partitions: number | undefined): Promise<boolean> {
    try {
      await this.#admin.createTopics({ topics: [topic], partitions: partitions ?? -1, replicas: -1 });
      return true;
    } catch (error) {
      if (isCalled(error, 'TOPIC_ALREADY_EXISTS')) return false;
      throw error;
    }
  }

  async remove(topic: string): Promise<void> {
    await this.#admin.deleteTopics({ topics: [topic] });
  }

  async maxBatchBytes(topic: string): Promise<number | undefined> {
    try {
      const resources = [
        { resourceType: TOPIC_RESOURCE, resourceName: topic, configurationKeys: ['max.message.bytes'] },
      ];
      const [described] = await this.#admin.describeConfigs({ resources });
      const value = described?.configs.find((config) => config.name === 'max.message.bytes')?.value;
      return value === undefined || value === null ? undefined : Number(value);
    } catch (error) {
      if (isCalled(error, ...NETWORK)) throw error;
      return undefined;
    }
  }

  async ranges(topic: string): Promise<readonly Range[]> {
    const [lows, highs] = await Promise.all([this.#list(topic, EARLIEST), this.#list(topic, LATEST)]);
    return highs.map((high, partition) => ({ low: lows[partition] ?? 0, high }));
  }

  async offsetsAt(topic: string, time: number): Promise<readonly number[]> {
    const [found, ends] = await Promise.all([this.#list(topic, BigInt(time)), this.#list(topic, LATEST)]);
    return ends.map((end, partition) => {
      const offset = found[partition] ?? -1;
      return offset < 0 ? end : offset;
    });
  }

  async committed(topic: string, group: string, partitions: number): Promise<readonly number[]> {
    const partitionIndexes = Array.from({ length: partitions }, (_, partition) => partition);
    const groups = [{ groupId: group, topics: [{ name: topic, partitionIndexes }] }];
    const [found] = await this.#admin.listConsumerGroupOffsets({ groups });
    const known = new Map(
      found?.topics
        .find(({ name }) => name === topic)
        ?.partitions.map((one) => [one.partitionIndex, Number(one.committedOffset)]),
    );
    return partitionIndexes.map((partition) => known.get(partition) ?? -1);
  }

  producer(topic: string): Promise<KafkaProducer> {
    const options = { ...optionsOf(this.#target), acks: -1, idempotent: true };
    return Promise.resolve(new PlatformaticProducer(loosened(new this.#package.Producer(options)), topic));
  }

  async consumer(topic: string, group: string | undefined, events: ConsumerEvents): Promise<KafkaConsumer> {
    const make = (groupId: string): Consumer =>
      loosened(new this.#package.Consumer({ ...optionsOf(this.#target), groupId, retries: 0 }));
    const consumer = new PlatformaticConsumer(make, topic, group, events);
    await consumer.start();
    return consumer;
  }

  async close(): Promise<void> {
    await Promise.all([this.#admin.close(), this.#offsets.close(true)]);
  }

  async #list(topic: string, timestamp: bigint): Promise<readonly number[]> {
    const found = await this.#offsets.listOffsets({ topics: [topic], timestamp });
    return (found.get(topic) ?? []).map(Number);
  }
}

function isUnknownTopic(error: unknown): boolean {
  const { message } = error as Error;
  return isCalled(error, 'UNKNOWN_TOPIC_OR_PARTITION') || message.startsWith('Unknown topic');
}

class PlatformaticProducer implements KafkaProducer {
  readonly #producer: Producer;
  readonly #topic: string;

  constructor(producer: Producer, topic: string) {
    this.#producer = producer;
    this.#topic = topic;
  }

  async send(records: readonly OutRecord[]): Promise<void> {
    const messages = records.map(({ partition, key, value, envelope, headers, timestamp }) => ({
      topic: this.#topic,
      partition,
      ...(key === null ? undefined : { key }),
      value,
      headers: headersOf(envelope, headers),
      timestamp: BigInt(timestamp),
    }));
    await this.#producer.send({ messages });
  }

  close(): Promise<void> {
    return this.#producer.close();
  }
}

const OWN_HEADER = Buffer.from(HEADER);

function headersOf(envelope: Buffer, headers: OutRecord['headers']): Map<Buffer, Buffer> {
  const all = new Map([[OWN_HEADER, envelope]]);
  if (headers !== undefined)
    for (const [name, value] of Object.entries(headers)) all.set(Buffer.from(name), value);
  return all;
}

/** One consumer for the group, whose calls must not stand behind a fetch that waits, and one that fetches. */
class PlatformaticConsumer implements KafkaConsumer {
  readonly #make: (groupId: string) => Consumer;
  readonly #topic: string;
  readonly #group: string | undefined;
  readonly #events: ConsumerEvents;
  readonly #ending = new AbortController();
  #member: Consumer | undefined;
  #reader: Consumer | undefined;
  /** Counts assignments: a loop of an earlier one ends. */
  #generation = 0;

  constructor(
    make: (groupId: string) => Consumer,
    topic: string,
    group: string | undefined,
    events: ConsumerEvents,
  ) {
    this.#make = make;
    this.#topic = topic;
    this.#group = group;
    this.#events = events;
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
    if (this.#group === undefined) return;
    const offsets = Array.from(positions, ([partition, offset]) => ({
      topic: this.#topic,
      partition,
      offset: BigInt(offset),
      leaderEpoch: -1,
    }));
    const member = this.#member;
    if (member === undefined || member.memberId === null) throw new Error('it is not in the group just now');
    await member.commit({ offsets });
  }

  async close(): Promise<void> {
    this.#generation += 1;
    this.#ending.abort();
    discard(this.#reader);
    const member = this.#member;
    this.#member = undefined;
    if (member === undefined) return;
    if (member.memberId !== null) await member.leaveGroup(true).catch(() => undefined);
    await member.close(true).catch(() => undefined);
  }

  get #isOver(): boolean {
    return this.#ending.signal.aborted;
  }

  async #enter(): Promise<void> {
    if (this.#group === undefined) {
      const reader = this.#renewReader();
      const { topics } = await reader.metadata({ topics: [this.#topic], forceUpdate: true });
      const count = topics.get(this.#topic)?.partitions.length ?? 0;
      await this.#assign(Array.from({ length: count }, (_, partition) => partition));
      return;
    }
    const member = this.#make(this.#group);
    this.#member = member;
    member.topics.track(this.#topic);
    let answered: Promise<void> = Promise.resolve();
    member.on('consumer:group:join', () => {
      const own = member.assignments?.find(({ topic }) => topic === this.#topic)?.partitions ?? [];
      if (this.#member === member && !this.#isOver) answered = this.#assign([...own]);
      answered.catch((error: unknown) => this.#lost(member, error));
    });
    // It could not join again: its package gives up then.
    member.on('error', (error) => this.#lost(member, error));
    await member.joinGroup({
      sessionTimeout: GROUP.sessionMs,
      rebalanceTimeout: GROUP.rebalanceMs,
      heartbeatInterval: GROUP.heartbeatMs,
      partitionAssigner: assignInTurn,
    });
    await answered;
  }

  /** Its membership is over: tries to enter again until it works. */
  #lost(member: Consumer, error: unknown): void {
    if (this.#member !== member || this.#isOver) return;
    this.#events.trouble(error);
    this.#generation += 1;
    this.#member = undefined;
    discard(member);
    void this.#enterAgain();
  }

  async #enterAgain(): Promise<void> {
    const backoff = new Backoff();
    while (!this.#isOver) {
      await backoff.wait(this.#ending.signal, false);
      if (this.#isOver) return;
      try {
        await this.#enter();
        return;
      } catch (error) {
        discard(this.#member);
        this.#member = undefined;
        if (!this.#isOver) this.#events.trouble(error);
      }
    }
  }

  async #assign(partitions: readonly number[]): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    const positions = new Map(await this.#events.assigned(partitions));
    if (generation !== this.#generation || partitions.length === 0) return;
    void this.#readAll(positions, generation);
  }

  /** The same partitions once more; where to read them is asked again, for some of it may be gone by now. */
  async #retry(partitions: readonly number[]): Promise<void> {
    const backoff = new Backoff();
    for (;;) {
      const generation = this.#generation;
      await backoff.wait(this.#ending.signal, false);
      if (this.#isOver || this.#generation !== generation) return;
      try {
        await this.#assign(partitions);
        return;
      } catch (error) {
        if (this.#isOver) return;
        this.#events.trouble(error);
      }
    }
  }

  #renewReader(): Consumer {
    discard(this.#reader);
    const reader = this.#make('naru');
    reader.topics.track(this.#topic);
    this.#reader = reader;
    return reader;
  }

  /** Until another assignment comes: one loop for each broker that leads partitions of ours. */
  async #readAll(positions: Map<number, number>, generation: number): Promise<void> {
    const isCurrent = (): boolean => generation === this.#generation && !this.#isOver;
    try {
      const reader = this.#reader ?? this.#renewReader();
      const { topics } = await reader.metadata({ topics: [this.#topic], forceUpdate: true });
      const topic = topics.get(this.#topic);
      if (topic === undefined) throw new Error(`Unknown topic ${this.#topic}`);
      // One that fails ends them all: its broker may lead no more.
      await Promise.all(
        Array.from(byLeader(topic, positions.keys()), ([node, partitions]) =>
          this.#readFrom(reader, { node, topicId: topic.id, partitions }, positions, isCurrent),
        ),
      );
    } catch (error) {
      if (!isCurrent()) return;
      this.#generation += 1;
      discard(this.#reader);
      this.#reader = undefined;
      this.#events.trouble(error);
      await this.#retry([...positions.keys()]);
    }
  }

  async #readFrom(
    reader: Consumer,
    { node, topicId, partitions }: Leader,
    positions: Map<number, number>,
    isCurrent: () => boolean,
  ): Promise<void> {
    const blocked = new Map<number, Promise<void>>();
    while (isCurrent()) {
      const open = partitions.filter((partition) => !blocked.has(partition));
      if (open.length === 0) {
        await Promise.race(blocked.values());
        continue;
      }
      const response = await reader.fetch({
        node,
        minBytes: 1,
        maxBytes: FETCH.bytesMax,
        maxWaitTime: FETCH.waitMs,
        topics: [
          { topicId, partitions: open.map((partition) => asked(partition, positions.get(partition) ?? 0)) },
        ],
      });
      if (!isCurrent()) return;
      for (const { partitionIndex, records } of response.responses.flatMap((one) => one.partitions)) {
        if (records === undefined || records === null || records.length === 0) continue;
        const { list, next } = recordsOf(records, positions.get(partitionIndex) ?? 0);
        positions.set(partitionIndex, next);
        if (list.length === 0) continue;
        const room = this.#events.records(partitionIndex, list);
        if (room === undefined) continue;
        blocked.set(
          partitionIndex,
          room.finally(() => blocked.delete(partitionIndex)),
        );
      }
    }
  }
}

/**
 * Each topic's partitions in turn to the members that read it. The package's own knows the leader's topics only, and members of one group
 * may read different ones.
 */
function assignInTurn(
  _leader: string,
  members: ReadonlyMap<string, { readonly topics?: readonly string[] }>,
  _topics: unknown,
  { topics }: Metadata,
): { memberId: string; assignments: Map<string, { topic: string; partitions: number[] }> }[] {
  const all = Array.from(members.keys(), (memberId) => ({
    memberId,
    assignments: new Map<string, { topic: string; partitions: number[] }>(),
  })).toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
  for (const [topic, known] of topics) {
    const readers = all.filter(({ memberId }) => members.get(memberId)?.topics?.includes(topic));
    for (const [partition] of (known?.partitions ?? []).entries()) {
      const reader = readers[partition % readers.length];
      const own = reader?.assignments.get(topic);
      if (own === undefined) reader?.assignments.set(topic, { topic, partitions: [partition] });
      else own.partitions.push(partition);
    }
  }
  return all;
}

interface Leader {
  readonly node: number;
  readonly topicId: string;
  readonly partitions: readonly number[];
}

function byLeader(
  topic: { readonly partitions: readonly { readonly leader: number }[] },
  partitions: Iterable<number>,
): Map<number, number[]> {
  const leaders = new Map<number, number[]>();
  for (const partition of partitions) {
    const leader = topic.partitions[partition]?.leader ?? -1;
    leaders.set(leader, [...(leaders.get(leader) ?? []), partition]);
  }
  return leaders;
}

function asked(partition: number, position: number): object {
  return {
    partition,
    fetchOffset: BigInt(position),
    partitionMaxBytes: FETCH.partitionBytesMax,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
  };
}

/** A batch is given whole, also when what was asked for begins in its midst. */
function recordsOf(batches: readonly Batch[], position: number): { list: InRecord[]; next: number } {
  const list: InRecord[] = [];
  let next = position;
  for (const { firstOffset, firstTimestamp, lastOffsetDelta, attributes, records } of batches) {
    const first = Number(firstOffset);
    next = Math.max(next, first + lastOffsetDelta + 1);
    if ((attributes & IS_CONTROL) !== 0) continue;
    const start = Number(firstTimestamp);
    for (const { offsetDelta, timestampDelta, key, value, headers } of records) {
      const offset = first + offsetDelta;
      if (offset < position) continue;
      const named = headers.map(([name, bytes]) => [textOf(name), bytes ?? EMPTY] as const);
      list.push({ offset, key, value, headers: named, timestamp: start + Number(timestampDelta) });
    }
  }
  return { list, next };
}

const EMPTY = new Uint8Array(0);
const TEXT = new TextDecoder();

function textOf(bytes: Uint8Array | null): string {
  if (bytes === null) return '';
  return isOwn(bytes) ? HEADER : TEXT.decode(bytes);
}

/** The name that nearly every header has. */
function isOwn(name: Uint8Array): boolean {
  return name.length === OWN_HEADER.length && OWN_HEADER.equals(name);
}
