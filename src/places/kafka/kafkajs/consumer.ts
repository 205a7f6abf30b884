// Reading through the package kafkajs: it reads by itself and calls with each batch, and reads on when the call has come back.

import { atMost } from '../../../mailbox/waiting.ts';
import type { ConsumerEvents, KafkaConsumer } from '../client.ts';
import { enterAgain, enterFirst, type Entrant } from '../entry.ts';
import { GROUP, REQUEST } from '../limits.ts';
import type { BatchCall, Consumer } from './package.ts';
import { recordOf } from './records.ts';
import type { Sockets } from './sockets.ts';

/** Partitions whose batches may be given at the same time: one that waits for room holds up no other. */
const CONCURRENCY = 16;

/** A consumer of the package, and its sockets. */
export interface Made {
  readonly consumer: Consumer;
  readonly sockets: Sockets;
}

export interface ConsumerInit {
  readonly make: () => Made;
  readonly topic: string;
  readonly commits: boolean;
  readonly events: ConsumerEvents;
  readonly left: () => Promise<void>;
}

export class KafkaJsConsumer implements KafkaConsumer {
  readonly #init: ConsumerInit;
  readonly #ending = new AbortController();
  readonly #entrant: Entrant = {
    enter: () => this.#enter(),
    drop: () => this.#drop(),
    close: () => this.close(),
    trouble: (error) => this.#init.events.trouble(error),
    ending: this.#ending.signal,
  };
  #consumer: Consumer | undefined;
  #sockets: Sockets | undefined;
  #isEntering = false;
  /** Answers where to read, for the newest assignment. */
  #positions: Promise<ReadonlyMap<number, number>> = Promise.resolve(new Map());

  constructor(init: ConsumerInit) {
    this.#init = init;
  }

  /** The first time its errors are the caller's. */
  start(signal: AbortSignal): Promise<void> {
    return enterFirst(this.#entrant, signal);
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
    const leaving = consumer?.disconnect().catch(() => undefined) ?? Promise.resolve();
    // Behind a join that is under way no request is answered: the others find out when the session is over.
    await atMost(leaving, this.#isEntering ? 0 : REQUEST.connectMs);
    this.#sockets?.end();
    await this.#init.left();
  }

  get #isOver(): boolean {
    return this.#ending.signal.aborted;
  }

  async #enter(): Promise<void> {
    const { make, topic } = this.#init;
    const { consumer, sockets } = make();
    this.#consumer = consumer;
    this.#sockets = sockets;
    this.#isEntering = true;
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    this.#ending.signal.throwIfAborted();
    let stopped = (): void => undefined;
    const entered = new Promise<void>((resolve, reject) => {
      let hasBegun = false;
      // Its package would only try again.
      stopped = () => reject(new Error('it was closed while it joined'));
      this.#ending.signal.addEventListener('abort', stopped, { once: true });
      const begin = async (partitions: readonly number[]): Promise<void> => {
        await this.#joined(consumer, partitions);
        hasBegun = true;
        resolve();
      };
      consumer.on('consumer.group_join', ({ payload }) => {
        this.#isEntering = false;
        sockets.endJoin();
        begin(payload.memberAssignment[topic] ?? []).catch(reject);
      });
      consumer.on('consumer.crash', ({ payload }) => {
        if (hasBegun) this.#lost(consumer, payload.error);
        else reject(payload.error);
      });
      consumer.run(this.#running(consumer)).catch(reject);
    });
    await entered.finally(() => this.#ending.signal.removeEventListener('abort', stopped));
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
    this.#drop();
    void enterAgain(this.#entrant);
  }

  #drop(): void {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    void consumer?.disconnect().catch(() => undefined);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
