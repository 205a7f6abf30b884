// A participant of a torture run, as a process or as a worker: sends or receives without end, at its own random pace, and writes
// its history to a file, each line before the step that it announces, so that the history survives any death. Orders come as JSON.

import * as fs from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
import type { Delivery, Driver, Outgoing, Receiver } from '../../mailbox/driver.ts';
import { HistoryLog } from '../../ring/history-log.fixture.ts';
import { ANY_PRODUCER, type MessageName, type SettleOutcome } from '../../ring/history.fixture.ts';
import { openShm } from './index.ts';
import { fatalEdges, type PeerHooks, peerHooks, type PeerOrders, shmOptions } from './peer.fixture.ts';
import { randomOf } from '../../ring/random.fixture.ts';

export interface TortureOrders extends PeerOrders {
  readonly id: number;
  readonly seed: number;
  /** Where its history goes; what must not happen is written to the same name with `.err`. */
  readonly log: string;
}

const HEADER_BYTES = 13;

function bodyOf(id: number, level: number, sequence: number, length: number): Uint8Array {
  const body = new Uint8Array(HEADER_BYTES + length).fill((id * 31 + sequence * 7 + level) & 0xff);
  const view = new DataView(body.buffer);
  view.setUint32(0, id);
  view.setUint32(4, sequence);
  view.setUint32(8, length);
  view.setUint8(12, level);
  return body;
}

/** Which message it is, and whether every byte is as it was sent. */
export function nameOf({ body }: Pick<Delivery, 'body'>): MessageName & { readonly isWhole: boolean } {
  if (body.length < HEADER_BYTES) return { producer: 0, priority: 0, sequence: 0, isWhole: false };
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const [producer, sequence, length, priority] = [
    view.getUint32(0),
    view.getUint32(4),
    view.getUint32(8),
    view.getUint8(12),
  ];
  const isWhole =
    body.length === HEADER_BYTES + length &&
    Buffer.compare(body, bodyOf(producer, priority, sequence, length)) === 0;
  return { producer, priority, sequence, isWhole };
}

/** A history and the notes of what must not happen, in files that survive any death. */
export class Testimony {
  readonly log: HistoryLog;
  readonly #path: string;

  constructor(path: string) {
    const fd = fs.openSync(path, 'a');
    this.#path = path;
    this.log = new HistoryLog((bytes) => fs.writeSync(fd, bytes));
  }

  accuse(text: string): void {
    fs.appendFileSync(`${this.#path}.err`, `${text}\n`);
  }
}

export function tortureHooks(testimony: Testimony): PeerHooks {
  return peerHooks({
    event: (type, detail) => {
      const { count, error } = detail as { count?: number; error?: Error };
      if (type === 'gap')
        testimony.log.add({ kind: 'gap', producer: ANY_PRODUCER, priority: 0, count: count ?? 0 });
      if (type === 'error') testimony.accuse(String(error));
    },
    failed: (error) => testimony.accuse(String(error)),
  });
}

/** Sends without end; each message is in the history before it can be seen. */
async function produce(
  driver: Driver,
  hooks: PeerHooks,
  orders: TortureOrders,
  log: HistoryLog,
): Promise<void> {
  const sender = await driver.attachSender();
  const random = randomOf(orders.seed);
  const levels = orders.levels ?? 1;
  const most = (orders.laneBytes ?? 65_536) / 8 - HEADER_BYTES - 64;
  const next = Array.from({ length: levels }, () => 0);
  let batch: Outgoing[] = [];
  const fill = (): void => {
    for (let i = 1 + random(12); i > 0; i -= 1) {
      const level = random(levels);
      const sequence = next[level] as number;
      next[level] = sequence + 1;
      const length = random(20) === 0 ? random(most) : random(120);
      log.add({ kind: 'offer', producer: orders.id, priority: level, sequence });
      batch.push({
        body: bodyOf(orders.id, level, sequence, length),
        sequence: sequence + 1,
        time: 1,
        fields: level === 0 ? undefined : { priority: level },
        confirm: undefined,
        done: undefined,
      });
    }
  };
  let published = 0;
  let isPaused = false;
  hooks.onWritable = (): void => {
    if (isPaused) return;
    for (let turns = 0; turns < 20; turns += 1) {
      if (batch.length === 0) fill();
      const taken = sender.offer(batch, 0);
      published += taken;
      log.add({ kind: 'published', count: published });
      batch = batch.slice(taken);
      if (batch.length > 0) return;
    }
    isPaused = true;
    setTimeout(
      () => {
        isPaused = false;
        hooks.onWritable();
      },
      random(4) === 0 ? random(30) : 0,
    );
  };
  hooks.onWritable();
}

/** Settles what it got in any order; gives some back where that is possible. */
export class TortureConsumer {
  readonly #receiver: Receiver;
  readonly #log: HistoryLog;
  readonly #random: (below: number) => number;
  readonly #mayNack: boolean;
  #held: Delivery[] = [];
  got = 0;

  constructor(receiver: Receiver, log: HistoryLog, seed: number, mayNack: boolean) {
    this.#receiver = receiver;
    this.#log = log;
    this.#random = randomOf(seed);
    this.#mayNack = mayNack;
  }

  /** Takes what there is, a few times, and settles most of it. */
  turn(): void {
    const out: Delivery[] = [];
    for (let turns = 0; turns < 10; turns += 1) {
      out.length = 0;
      if (this.#receiver.take(1 + this.#random(24), out) === 0) break;
      this.got += out.length;
      for (const delivery of out)
        this.#log.add({ kind: 'received', ...nameOf(delivery), deliveries: delivery.deliveries });
      this.#held.push(...out);
      this.settle(this.#random(6));
    }
  }

  /** @param keep  how many stay in hand */
  settle(keep: number): void {
    const acked: Delivery[] = [];
    while (this.#held.length > keep) {
      for (const one of this.#held.splice(this.#random(this.#held.length), 1 + this.#random(3))) {
        const isNack = this.#mayNack && one.deliveries < 3 && one.sequence % 17 === 0 && this.#random(3) > 0;
        if (isNack) this.#settleOne(one, one.sequence % 2 === 0 ? 'nack' : 'release');
        else acked.push(one);
      }
    }
    if (this.#random(2) === 0) {
      for (const one of acked) this.#settleOne(one, 'ack');
      return;
    }
    for (const one of acked) this.#note('settling', one, 'ack');
    this.#receiver.ackAll(acked);
    for (const one of acked) this.#note('settled', one, 'ack');
  }

  #settleOne(delivery: Delivery, outcome: 'ack' | 'nack' | 'release'): void {
    this.#note('settling', delivery, outcome);
    this.#receiver.settle(delivery, outcome === 'nack' ? 'requeue' : outcome, 0);
    this.#note('settled', delivery, outcome);
  }

  #note(kind: 'settling' | 'settled', delivery: Delivery, outcome: SettleOutcome): void {
    const { producer, priority, sequence } = nameOf(delivery);
    this.#log.add({ kind, outcome, producer, priority, sequence });
  }
}

async function consume(
  driver: Driver,
  hooks: PeerHooks,
  orders: TortureOrders,
  log: HistoryLog,
): Promise<void> {
  const receiver = await driver.attachReceiver();
  const random = randomOf(orders.seed + 1);
  const consumer = new TortureConsumer(receiver, log, orders.seed, orders.deliver !== 'all');
  hooks.onReadable = (): void => {
    consumer.turn();
    setTimeout(() => consumer.settle(0), random(20));
    receiver.want(32);
  };
  receiver.want(32);
}

async function run(orders: TortureOrders): Promise<void> {
  const testimony = new Testimony(orders.log);
  const hooks = tortureHooks(testimony);
  try {
    const driver = await openShm(shmOptions(orders), {}, undefined, hooks, fatalEdges(orders));
    if (orders.role === 'producer') await produce(driver, hooks, orders, testimony.log);
    else await consume(driver, hooks, orders, testimony.log);
    setInterval(() => undefined, 1000);
  } catch (error) {
    // A full table, or a seat whose dead owner nobody has cleaned up yet, is no violation.
    const code = (error as { code?: string }).code ?? '';
    if (code !== 'NARU_LIMIT') testimony.accuse(String(error));
    process.exit(4);
  }
}

// As a process: its word of command, then the orders.
const text = process.argv[2] === 'torture' ? process.argv[3] : undefined;
if (!isMainThread) await run(workerData as TortureOrders);
else if (text !== undefined) await run(JSON.parse(text) as TortureOrders);
