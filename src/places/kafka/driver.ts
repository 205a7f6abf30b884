// The driver of a topic: its ends, its numbers, and what becomes of a handle when the brokers are away or the topic is removed.

import { isNaruError, NaruError } from '../../errors/index.ts';
import type { Driver, DriverFacts, DriverHooks, PlaceStats, Receiver, Sender } from '../../mailbox/driver.ts';
import { KeepAlive } from '../../mailbox/keep-alive.ts';
import { Backoff } from '../../link/backoff.ts';
import type { KafkaClient, KafkaProducer, Range } from './client.ts';
import { isCalled, translate } from './failures.ts';
import { REQUEST } from './limits.ts';
import type { Reading } from './options.ts';
import { KafkaReceiver, type Place } from './receiver.ts';
import { KafkaSender } from './sender.ts';

/** How long a call waits for brokers that are away, in milliseconds. */
const PATIENCE_MS = 5_000;
/** Answers of a broker that are part of a group's life. */
const REBALANCE = [
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'MEMBER_ID_REQUIRED',
  'OFFSET_OUT_OF_RANGE',
];

export interface KafkaDriverInit {
  readonly facts: DriverFacts;
  readonly reading: Reading;
  readonly hooks: DriverHooks;
  readonly client: KafkaClient;
  readonly text: string;
  readonly partitions: number;
  readonly batchBytesMax: number;
}

export class KafkaDriver implements Driver {
  readonly facts: DriverFacts;
  /** Kafka does not say who writes, and of other groups' readers nothing can be said. */
  readonly peers: { readonly producers: number; readonly consumers: number } = {
    producers: -1,
    consumers: -1,
  };
  readonly #init: KafkaDriverInit;
  readonly #ends = new Set<Sender | Receiver>();
  readonly #alive = new KeepAlive();
  readonly #dropped: Record<string, number> = {};
  /** Partitions that this handle has read: offset and time of the URL are over for them. */
  readonly #begun = new Set<number>();
  #receiver: KafkaReceiver | undefined;
  /** The ends of the partitions when this handle first asked for messages: for it, "new" is what comes behind them. */
  #anchor: readonly Range[] = [];
  #anchoring: Promise<void> | undefined;
  #attempts = 0;
  #looking: Promise<void> | undefined;
  #undelivered = 0;
  #failure: Error | undefined;
  #closed: Promise<{ undelivered: number }> | undefined;

  constructor(init: KafkaDriverInit) {
    this.#init = init;
    this.facts = init.facts;
  }

  async attachSender(): Promise<Sender> {
    const { hooks, client, reading, text, partitions } = this.#init;
    const count = await this.#call(() => client.partitions(reading.topic)).catch(() => partitions);
    const sender: KafkaSender = new KafkaSender({
      hooks,
      identity: this.facts.identity,
      partitions: count ?? partitions,
      batchBytesMax: this.#init.batchBytesMax,
      producer: () => this.#producer(),
      failed: async (error) => {
        await this.#trouble(error);
        return this.#failure instanceof NaruError ? this.#failure : translate(error, text, true);
      },
      worked: () => this.#worked(),
      ready: () => this.#anchoring,
      lost: (lost, error) => {
        this.#undelivered += lost;
        this.#lose('failed', lost, error);
      },
      hold: (isNeeded) => this.#alive.hold('sender', isNeeded),
      onClose: () => this.#ends.delete(sender),
    });
    this.#ends.add(sender);
    return sender;
  }

  async attachReceiver(): Promise<Receiver> {
    const { hooks, client, reading, text } = this.#init;
    if (reading.start.at === 'now') await this.#dropAnchor();
    const receiver: KafkaReceiver = new KafkaReceiver({
      hooks,
      text,
      commits: reading.group !== undefined,
      join: (events, signal) => client.consumer(reading.topic, reading.group, events, signal),
      positions: (own) => this.#positions(own),
      began: (own) => {
        for (const partition of own) this.#begun.add(partition);
      },
      ranges: () => client.ranges(reading.topic),
      trouble: (error) => void this.#trouble(error),
      worked: () => this.#worked(),
      lost: (reason, count, error) => this.#lose(reason, count, error),
      hold: (isNeeded) => this.#alive.hold('receiver', isNeeded),
      onClose: () => {
        this.#ends.delete(receiver);
        if (this.#receiver === receiver) this.#receiver = undefined;
      },
    });
    this.#ends.add(receiver);
    this.#receiver = receiver;
    try {
      await this.#call(() => receiver.start());
      return receiver;
    } catch (error) {
      await receiver.close();
      throw error;
    }
  }

  /** To join takes a while, and what is sent meanwhile is new, too: also by this handle, whose sends wait for it. */
  async #dropAnchor(): Promise<void> {
    const { client, reading } = this.#init;
    const asked = this.#call(() => client.ranges(reading.topic));
    const over = (): void => {
      this.#anchoring = undefined;
    };
    this.#anchoring = asked.then(over, over);
    this.#anchor = await asked;
  }

  late(): Error | undefined {
    return this.#receiver?.late();
  }

  async stats(): Promise<PlaceStats> {
    const lag = await this.#call(() => this.#lag());
    const unsettled = this.#receiver?.unsettled ?? 0;
    return {
      depth: lag < 0 ? lag : Math.max(0, lag - unsettled),
      depthBytes: -1,
      unsettled,
      ...this.peers,
      capacityBytes: -1,
      capacityMessages: -1,
      dropped: this.#dropped,
      extra: { lag, partitions: this.#init.partitions },
    };
  }

  close(): Promise<{ undelivered: number }> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async unlink(): Promise<void> {
    const { client, reading, text } = this.#init;
    try {
      await client.remove(reading.topic);
    } catch (error) {
      if (!isCalled(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw translate(error, text, true);
    }
  }

  /** How far the group is behind; -1 where nobody remembers where it is. */
  async #lag(): Promise<number> {
    const { client, reading } = this.#init;
    const ranges = await client.ranges(reading.topic);
    const had = await this.#had(ranges);
    if (had === undefined) return -1;
    return ranges.reduce((sum, { low, high }, partition) => {
      const position = had[partition] ?? -1;
      const from = position < 0 ? (reading.start.at === 'now' ? high : low) : Math.max(position, low);
      return sum + Math.max(0, high - from);
    }, 0);
  }

  async #had(ranges: readonly Range[]): Promise<readonly number[] | undefined> {
    const { client, reading } = this.#init;
    if (reading.group !== undefined) return client.committed(reading.topic, reading.group, ranges.length);
    const own = this.#receiver?.positions;
    return own === undefined ? undefined : ranges.map(({ high }, partition) => own.get(partition) ?? high);
  }

  /** Where to read partitions from that are new to a consumer of this handle. */
  async #positions(own: readonly number[]): Promise<Map<number, Place>> {
    const { client, reading } = this.#init;
    const ranges = await client.ranges(reading.topic);
    const committed =
      reading.group === undefined ? [] : await client.committed(reading.topic, reading.group, ranges.length);
    const known = this.#receiver?.positions;
    const starts = await this.#starts(ranges);
    return new Map(
      own.map((partition) => {
        const { low, high } = ranges[partition] ?? { low: 0, high: 0 };
        const before = reading.group === undefined ? known?.get(partition) : undefined;
        const isReplay = reading.isReplay && !this.#begun.has(partition);
        const group = isReplay ? -1 : (committed[partition] ?? -1);
        const at = before ?? (group >= 0 ? group : (starts[partition] ?? low));
        const isNew = before === undefined && group < 0;
        return [partition, { at: Math.min(Math.max(at, low), high), isNew, low, high }];
      }),
    );
  }

  async #starts(ranges: readonly Range[]): Promise<readonly number[]> {
    const { client, reading } = this.#init;
    const { start } = reading;
    if (start.at === 'time') return client.offsetsAt(reading.topic, start.time);
    if (start.at === 'offset') return ranges.map(() => start.offset);
    // A partition that was made since then begins at its start.
    return ranges.map(({ low }, partition) =>
      start.at === 'now' ? (this.#anchor[partition]?.high ?? low) : low,
    );
  }

  /** A producer that works: while no broker is there, for a while nobody is told. */
  async #producer(): Promise<KafkaProducer> {
    const { client, reading } = this.#init;
    return this.#call(() => client.producer(reading.topic));
  }

  /** A call that changes nothing, and waits a bounded time for brokers that are away. */
  async #call<T>(act: () => Promise<T>): Promise<T> {
    const backoff = new Backoff();
    const deadline = performance.now() + PATIENCE_MS;
    const never = new AbortController();
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        const result = await act();
        this.#worked();
        return result;
      } catch (thrown) {
        const error = translate(thrown, this.#init.text, false);
        await this.#trouble(thrown);
        if (this.#failure !== undefined) throw this.#failure;
        const isPassing = isNaruError(error, 'NARU_DISCONNECTED');
        if (!isPassing || this.#closed !== undefined || performance.now() > deadline) throw error;
        await backoff.wait(never.signal, true);
      }
    }
  }

  /** Something failed that no caller hears of. */
  async #trouble(thrown: unknown): Promise<void> {
    if (this.#closed !== undefined || this.#failure !== undefined || isCalled(thrown, ...REBALANCE)) return;
    const error = translate(thrown, this.#init.text, false);
    if (error.code === 'NARU_DENIED' || error.code === 'NARU_UNSUPPORTED') {
      this.#fail(error);
      return;
    }
    if (error.code !== 'NARU_DISCONNECTED' && error.code !== 'NARU_NOT_FOUND') return;
    this.#looking ??= this.#lookAtTopic(error.message).finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  /** A broker that is there tells whether the topic is. */
  async #lookAtTopic(reason: string): Promise<void> {
    const { client, reading, hooks } = this.#init;
    let isGone = false;
    try {
      isGone = (await client.partitions(reading.topic)) === undefined;
    } catch {
      this.#attempts += 1;
      if (this.#attempts === 1) hooks.event('disconnect', { reason });
      return;
    }
    if (isGone) this.#fail(this.#gone());
  }

  #worked(): void {
    if (this.#attempts === 0) return;
    const attempts = this.#attempts;
    this.#attempts = 0;
    this.#init.hooks.event('reconnect', { attempts });
  }

  #lose(reason: string, count: number, error: Error): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#init.hooks.event('drop', { reason, count });
    this.#init.hooks.event('error', { error });
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined || this.#closed !== undefined) return;
    this.#failure = error;
    this.#init.hooks.failed(error);
  }

  #gone(): NaruError {
    const { text } = this.#init;
    return new NaruError('NARU_CLOSED', `${text}: the topic was removed`, { place: 'kafka', mailbox: text });
  }

  async #close(): Promise<{ undelivered: number }> {
    await Promise.all(Array.from(this.#ends, (end) => end.close()));
    this.#alive.end();
    // A broker that is away must not hold up the end.
    await Promise.race([
      this.#init.client.close().catch(() => undefined),
      new Promise((resolve) => setTimeout(resolve, REQUEST.connectMs).unref()),
    ]);
    return { undelivered: this.#undelivered };
  }
}
