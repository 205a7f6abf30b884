// Kafka through the package kafkajs: what is asked of a cluster, and its producers and consumers.

import { randomUUID } from 'node:crypto';
import type { ConsumerEvents, KafkaClient, KafkaConsumer, KafkaProducer, Range } from '../client.ts';
import { isCalled } from '../failures.ts';
import { FETCH, GROUP } from '../limits.ts';
import type { Target } from '../options.ts';
import { sharedAssigner } from './assign.ts';
import { KafkaJsConsumer, type Made } from './consumer.ts';
import { type Admin, type Kafka, loadPackage, optionsOf, type Package, RETRY } from './package.ts';
import { Passing } from './passing.ts';
import { KafkaJsProducer } from './producer.ts';
import { Sockets } from './sockets.ts';

const TOPIC_RESOURCE = 2;

/** @throws NARU_PACKAGE_MISSING; whether a broker answers is told by the first call */
export async function connectKafkaJs(target: Target): Promise<KafkaClient> {
  return new KafkaJsClient(await loadPackage(), target);
}

class KafkaJsClient implements KafkaClient {
  readonly name = 'kafkajs';
  readonly #package: Package['default'];
  readonly #target: Target;
  readonly #kafka: Kafka;
  readonly #admin: Passing<Admin>;

  constructor({ default: loaded }: Package, target: Target) {
    this.#package = loaded;
    this.#target = target;
    this.#kafka = new loaded.Kafka(optionsOf(target));
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

  async producer(topic: string): Promise<KafkaProducer> {
    // What a send needs, too: so a send that cannot go has not gone.
    await this.partitions(topic);
    const producer = this.#kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      retry: RETRY,
      createPartitioner: () => chosen,
    });
    return new KafkaJsProducer(new Passing(producer), topic);
  }

  async consumer(
    topic: string,
    group: string | undefined,
    events: ConsumerEvents,
    signal: AbortSignal,
  ): Promise<KafkaConsumer> {
    const groupId = group ?? `naru-${randomUUID()}`;
    const make = (): Made => {
      const sockets = new Sockets();
      const joining = (): void => {
        sockets.beginJoin();
        events.joining();
      };
      const kafka = new this.#package.Kafka({ ...optionsOf(this.#target), socketFactory: sockets.make });
      const consumer = kafka.consumer({
        groupId,
        sessionTimeout: GROUP.sessionMs,
        rebalanceTimeout: GROUP.rebalanceMs,
        heartbeatInterval: GROUP.heartbeatMs,
        maxWaitTimeInMs: FETCH.waitMs,
        maxBytes: FETCH.bytesMax,
        maxBytesPerPartition: FETCH.partitionBytesMax,
        allowAutoTopicCreation: false,
        partitionAssigners: [sharedAssigner(this.#package, joining)],
        retry: { ...RETRY, restartOnFailure: () => Promise.resolve(false) },
      });
      return { consumer, sockets };
    };
    // Without a group of the user's one of its own is needed all the same, and goes with its consumer.
    const left = async (): Promise<void> => {
      if (group === undefined)
        await this.#admin.use((admin) => admin.deleteGroups([groupId])).catch(() => undefined);
    };
    const consumer = new KafkaJsConsumer({ make, topic, commits: group !== undefined, events, left });
    await consumer.start(signal);
    return consumer;
  }

  close(): Promise<void> {
    return this.#admin.close();
  }
}

function chosen({ message }: { message: { readonly partition: number } }): number {
  return message.partition;
}
