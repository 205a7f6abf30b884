// Kafka through the package @platformatic/kafka: what is asked of a cluster, and its producers and consumers.

import type { ConsumerEvents, KafkaClient, KafkaConsumer, KafkaProducer, Range } from '../client.ts';
import { isCalled } from '../failures.ts';
import { GROUP } from '../limits.ts';
import type { Target } from '../options.ts';
import { PlatformaticConsumer } from './consumer.ts';
import {
  type Admin,
  type Consumer,
  discard,
  loadPackage,
  optionsOf,
  type Package,
  patient,
  tamed,
} from './package.ts';
import { PlatformaticProducer } from './producer.ts';

const TOPIC_RESOURCE = 2;
const EARLIEST = -2n;
const LATEST = -1n;
/** The oldest request about topics that version 1 of the package makes well; Kafka 3.5 has it. */
const METADATA = { name: 'Metadata', maxVersion: 12 } as const;
const NETWORK = ['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT', 'PLT_KFK_MULTIPLE'];

/** @throws NARU_PACKAGE_MISSING; whether a broker answers is told by the first call */
export async function connectPlatformatic(target: Target): Promise<KafkaClient> {
  return new PlatformaticClient(await loadPackage(), target);
}

class PlatformaticClient implements KafkaClient {
  readonly name = 'platformatic';
  readonly #package: Package;
  readonly #target: Target;
  readonly #admin: Admin;
  readonly #offsets: Consumer;
  /** A broker has understood a request about topics. */
  #isUnderstood = false;

  constructor(loaded: Package, target: Target) {
    this.#package = loaded;
    this.#target = target;
    this.#admin = tamed(new loaded.Admin(optionsOf(target)), loaded);
    this.#offsets = tamed(new loaded.Consumer({ ...optionsOf(target), groupId: 'naru' }), loaded);
  }

  async partitions(topic: string): Promise<number | undefined> {
    try {
      const { topics } = await this.#admin.metadata({ topics: [topic], forceUpdate: true });
      this.#isUnderstood = true;
      return topics.get(topic)?.partitions.length;
    } catch (error) {
      if (isUnknownTopic(error)) return undefined;
      if (!this.#isUnderstood && isCalled(error, ...NETWORK)) await this.#refuseOld();
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

  async producer(topic: string): Promise<KafkaProducer> {
    const options = { ...optionsOf(this.#target), acks: -1, idempotent: true };
    const producer = tamed(new this.#package.Producer(options), this.#package);
    try {
      // What a send needs, too: so a send that cannot go has not gone. A broker that has just begun has no numbers for a while.
      await producer.metadata({ topics: [topic] });
      await producer.initIdempotentProducer({});
    } catch (error) {
      discard(producer);
      throw error;
    }
    return new PlatformaticProducer(producer, topic, this.#package);
  }

  async consumer(
    topic: string,
    group: string | undefined,
    events: ConsumerEvents,
    signal: AbortSignal,
  ): Promise<KafkaConsumer> {
    const options = { ...optionsOf(this.#target), retries: 0, requestTimeout: GROUP.joinMs };
    const make = (groupId: string): Consumer =>
      patient(tamed(new this.#package.Consumer({ ...options, groupId }), this.#package), this.#package);
    const consumer = new PlatformaticConsumer(make, topic, group, events);
    await consumer.start(signal);
    return consumer;
  }

  async close(): Promise<void> {
    await Promise.all([this.#admin.close(), this.#offsets.close(true)]);
  }

  /** A broker that does not understand a request only hangs up. @throws Error with Kafka's name for it, when the broker is that old */
  async #refuseOld(): Promise<void> {
    const known = await this.#admin.listApis().catch(() => []);
    const { maxVersion } = known.find(({ name }) => name === METADATA.name) ?? METADATA;
    if (maxVersion >= METADATA.maxVersion) return;
    const what = `it knows the request ${METADATA.name} up to version ${maxVersion}, ${METADATA.maxVersion} is needed`;
    throw Object.assign(new Error(what), { code: 'UNSUPPORTED_VERSION' });
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
