// Host and peers whose frames cross each other in every order: credit that is lent, recalled and used at the same time still
// adds up, and every message arrives once.

import { Duplex } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Delivery, Outgoing } from '../mailbox/driver.ts';
import { HostConnection } from './host-connection.ts';
import { Host } from './host.ts';
import { LocalSession } from './local-session.ts';
import { connectSession, type RemoteSession } from './remote-session.ts';
import type { ProducerSeat, SessionEvents } from './session.ts';
import { newSettings } from './settings.ts';

const CAPACITY_BYTES = 1_000;

/** One end of a connection whose other end gets the bytes only when the test says so. */
class SlowEnd extends Duplex {
  readonly inbox: Buffer[] = [];
  other: SlowEnd | undefined;

  override _read(): void {
    // deliver() pushes.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.other?.inbox.push(chunk);
    done();
  }

  override _final(done: () => void): void {
    done();
  }

  deliver(): boolean {
    const chunk = this.inbox.shift();
    if (chunk !== undefined && !this.destroyed) this.push(chunk);
    return chunk !== undefined;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A handle that sends bodies of given sizes, one after the other, as there is room. */
class Producer {
  readonly errors: Error[] = [];
  readonly near = new SlowEnd();
  readonly far = new SlowEnd();
  readonly #outgoing: Outgoing[];
  #seat: ProducerSeat | undefined;
  #next = 0;
  placed = 0;

  constructor(sizes: readonly number[], mark: number) {
    this.near.other = this.far;
    this.far.other = this.near;
    this.#outgoing = sizes.map((size, n) => ({
      body: Buffer.alloc(Math.max(2, size), mark * 16 + n),
      sequence: n + 1,
      time: 1,
      fields: undefined,
      confirm: 'placed',
      done: (error) => {
        if (error === undefined) this.placed += 1;
        else this.errors.push(error);
      },
    }));
  }

  get isDone(): boolean {
    return this.placed === this.#outgoing.length;
  }

  async connect(host: Host, mark: number): Promise<void> {
    const connection = new HostConnection(this.far, {
      host,
      heartbeatMs: 0,
      unlink: () => Promise.resolve(),
      closed: () => undefined,
    });
    expect(connection.identity).toBe('');
    const events: SessionEvents = {
      readable: () => undefined,
      writable: () => this.offer(),
      peers: () => undefined,
      reply: () => undefined,
      event: () => undefined,
      lost: (error) => this.errors.push(error),
    };
    const connecting = connectSession(this.near, {
      mailbox: 'test://m',
      place: 'test',
      address: 'test://m',
      identity: `p${mark}`,
      stated: {},
      heartbeatMs: 0,
      prefetch: 10,
      events,
    });
    const session: RemoteSession = await this.#pumpUntil(connecting);
    this.#seat = await this.#pumpUntil(session.attachProducer());
  }

  offer(): void {
    if (this.#seat === undefined || this.#next === this.#outgoing.length) return;
    this.#next += this.#seat.offer(this.#outgoing, this.#next);
  }

  /** Asks, as a send does that will not wait; whatever the answer, the message is offered later. */
  ask(): void {
    const message = this.#outgoing[this.#next];
    if (message !== undefined) this.#seat?.poll(message).catch((error: Error) => this.errors.push(error));
  }

  async #pumpUntil<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = promise.finally(() => {
      isSettled = true;
    });
    while (!isSettled) {
      this.near.deliver();
      this.far.deliver();
      await turn();
    }
    return await settled;
  }
}

describe('frames that cross', () => {
  test('never make a peer exceed its credit, nor a message lost', { timeout: 120_000 }, async () => {
    const sizes = fc.array(fc.oneof(fc.nat(100), fc.integer({ min: 400, max: CAPACITY_BYTES })), {
      maxLength: 12,
    });
    const step = fc.record({ who: fc.nat(2), what: fc.nat(6) });
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(sizes, sizes, sizes),
        fc.array(step, { maxLength: 150 }),
        async (lists, steps) => {
          const host = new Host({
            settings: newSettings({ capacityMessages: 6, capacityBytes: CAPACITY_BYTES }),
            mailbox: 'test://m',
            place: 'test',
          });
          const local = new LocalSession({
            host,
            identity: 'local',
            address: 'test://m',
            flushMs: 0,
            shutDown: () => Promise.resolve(),
            events: silent,
          });
          const consumer = await local.attachConsumer({ group: undefined, from: undefined });
          const producers = lists.map((list, mark) => new Producer(list, mark));
          for (const [mark, producer] of producers.entries()) await producer.connect(host, mark);
          const received: Delivery[] = [];
          const consume = (): void => {
            const out: Delivery[] = [];
            if (consumer.take(1, out) > 0) {
              received.push(...out);
              consumer.ackAll(out);
            }
          };
          for (const { who, what } of steps) {
            const producer = producers[who] as Producer;
            if (what === 0) producer.near.deliver();
            else if (what === 1) producer.far.deliver();
            else if (what === 2) producer.offer();
            else if (what === 3) consume();
            else if (what === 4) producer.ask();
            else await turn();
            expect(producers.flatMap(({ errors }) => errors)).toEqual([]);
            expect(host.held).toBeLessThanOrEqual(6);
          }
          for (let i = 0; i < 2_000 && !producers.every(({ isDone }) => isDone); i += 1) {
            for (const producer of producers) {
              producer.offer();
              producer.near.deliver();
              producer.far.deliver();
            }
            consume();
            await turn();
          }
          while (host.held > 0) consume();
          expect(producers.flatMap(({ errors }) => errors)).toEqual([]);
          expect(producers.map(({ isDone }) => isDone)).toEqual([true, true, true]);
          const marks = (list: readonly number[], mark: number): string[] =>
            list.map((size, n) => `${mark * 16 + n}:${Math.max(2, size)}`);
          expect(received.map(({ body }) => `${body[0]}:${body.length}`).sort()).toEqual(
            lists.flatMap(marks).sort(),
          );
          for (const { near, far } of producers) {
            near.destroy();
            far.destroy();
          }
          await local.close();
        },
      ),
      { numRuns: 60 },
    );
  });
});

const silent: SessionEvents = {
  readable: () => undefined,
  writable: () => undefined,
  peers: () => undefined,
  reply: () => undefined,
  event: () => undefined,
  lost: () => undefined,
};
