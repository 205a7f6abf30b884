// Host and peers whose frames cross each other in every order: credit that is lent, recalled and used at the same time still
// adds up, and every message arrives once, in order, and marked only when somebody had it.

import { setTimeout } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Delivery, Outgoing } from '../mailbox/driver.ts';
import { HostConnection } from './host-connection.ts';
import { Host } from './host.ts';
import { LINK } from './limits.ts';
import { LocalSession } from './local-session.ts';
import { connectSession } from './remote-session.ts';
import type { ConsumerSeat, ProducerSeat, Session, SessionEvents } from './session.ts';
import { newSettings, type StatedSettings } from './settings.ts';
import { SlowEnd } from './slow-end.fixture.ts';

const CAPACITY_BYTES = 1_000;
const AT = { mailbox: 'test://m', place: 'test', address: 'test://m' };

const silent: SessionEvents = {
  readable: () => undefined,
  writable: () => undefined,
  peers: () => undefined,
  reply: () => undefined,
  event: () => undefined,
  lost: () => undefined,
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function newHost(stated: StatedSettings): { host: Host; local: LocalSession } {
  const host = new Host({ settings: newSettings(stated), ...AT });
  const shutDown = (): Promise<void> => Promise.resolve();
  return {
    host,
    local: new LocalSession({ host, ...AT, identity: 'local', flushMs: 0, shutDown, events: silent }),
  };
}

function outgoing(body: Uint8Array, sequence: number, done?: (error?: Error) => void): Outgoing {
  return {
    body,
    sequence,
    time: 1,
    fields: undefined,
    confirm: done === undefined ? undefined : 'placed',
    done,
  };
}

const firstByte = ({ body }: Delivery): number => body[0] as number;

/** A peer and its connection, whose bytes flow as the test says. */
class Wire {
  readonly host: Host;
  readonly near: SlowEnd = new SlowEnd();
  readonly far: SlowEnd = this.near.pair();

  constructor(host: Host) {
    this.host = host;
    const init = { host, heartbeatMs: 0, unlink: () => Promise.resolve(), closed: () => undefined };
    expect(new HostConnection(this.far, init).identity).toBe('');
  }

  connect(identity: string, events: SessionEvents): Promise<Session> {
    const init = { ...AT, identity, stated: {}, heartbeatMs: 0, prefetch: 10, events };
    return this.flowUntil(connectSession(this.near, init, new AbortController().signal));
  }

  flow(): void {
    this.near.deliver();
    this.far.deliver();
  }

  async flowUntil<T>(promise: Promise<T>): Promise<T> {
    const state = { isSettled: false };
    const settled = promise.finally(() => {
      state.isSettled = true;
    });
    while (!state.isSettled) {
      this.flow();
      await turn();
    }
    return await settled;
  }

  cut(): void {
    this.near.destroy();
    this.far.destroy();
  }
}

/** A handle that sends bodies of given sizes, one after the other, as there is room. */
class Producer {
  readonly errors: Error[] = [];
  readonly wire: Wire;
  readonly #outgoing: Outgoing[];
  #seat: ProducerSeat | undefined;
  #next = 0;
  #placed = 0;

  constructor(host: Host, sizes: readonly number[], mark: number) {
    this.wire = new Wire(host);
    const done = (error?: Error): void => {
      if (error === undefined) this.#placed += 1;
      else this.errors.push(error);
    };
    this.#outgoing = sizes.map((size, n) => outgoing(Buffer.alloc(size, mark * 16 + n), n + 1, done));
  }

  get isDone(): boolean {
    return this.#placed === this.#outgoing.length;
  }

  async connect(mark: number): Promise<void> {
    const session = await this.wire.connect(`p${mark}`, {
      ...silent,
      writable: () => this.offer(),
      lost: (error) => this.errors.push(error),
    });
    this.#seat = await this.wire.flowUntil(session.attachProducer());
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
}

test('no peer exceeds its credit and no message is lost, however frames cross', {
  timeout: 120_000,
}, async () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 400, max: CAPACITY_BYTES }));
  const sizes = fc.array(size, { maxLength: 12 });
  const step = fc.record({ who: fc.nat(2), what: fc.nat(6) });
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(sizes, sizes, sizes),
      fc.array(step, { maxLength: 150 }),
      async (lists, steps) => {
        const { host, local } = newHost({ capacityMessages: 6, capacityBytes: CAPACITY_BYTES });
        const consumer = await local.attachConsumer({ group: undefined, from: undefined });
        const producers = lists.map((list, mark) => new Producer(host, list, mark));
        for (const [mark, producer] of producers.entries()) await producer.connect(mark);
        const received: string[] = [];
        const consume = (): void => {
          const out: Delivery[] = [];
          if (consumer.take(1, out) === 0) return;
          received.push(...out.map(({ body }) => `${body[0]}:${body.length}`));
          consumer.ackAll(out);
        };
        for (const { who, what } of steps) {
          const producer = producers[who] as Producer;
          if (what === 0) producer.wire.near.deliver();
          else if (what === 1) producer.wire.far.deliver();
          else if (what === 2) producer.offer();
          else if (what === 3) consume();
          else if (what === 4) producer.ask();
          else await turn();
          expect(host.held).toBeLessThanOrEqual(6);
        }
        for (let i = 0; i < 2_000 && !producers.every(({ isDone }) => isDone); i += 1) {
          for (const producer of producers) {
            producer.offer();
            producer.wire.flow();
          }
          consume();
          await turn();
        }
        while (host.held > 0) consume();
        expect(producers.flatMap(({ errors }) => errors)).toEqual([]);
        expect(producers.map(({ isDone }) => isDone)).toEqual([true, true, true]);
        const sent = lists.flatMap((list, mark) => list.map((length, n) => `${mark * 16 + n}:${length}`));
        expect(received.sort()).toEqual(sent.sort());
        for (const { wire } of producers) wire.cut();
        await local.close();
      },
    ),
    { numRuns: 60 },
  );
});

test('deliveries come once and in order, however often the consumer changes its mind', {
  timeout: 120_000,
}, async () => {
  const step = fc.record({ what: fc.nat(9), count: fc.nat(6) });
  await fc.assert(
    fc.asyncProperty(fc.nat(40), fc.array(step, { maxLength: 120 }), async (total, steps) => {
      const { host, local } = newHost({ capacityMessages: 100 });
      const wire = new Wire(host);
      const session = await wire.connect('c', silent);
      const everybody = { group: undefined, from: undefined };
      const consumer = await wire.flowUntil(session.attachConsumer(everybody));
      const batch = Array.from({ length: total }, (_, n) => outgoing(Buffer.from([n]), n + 1));
      expect((await local.attachProducer()).offer(batch, 0)).toBe(total);
      const inHand: Delivery[] = [];
      const acked: number[] = [];
      const requeued = new Set<number>();
      let last = -1;
      const take = (count: number): void => {
        const out: Delivery[] = [];
        consumer.take(count, out);
        for (const delivery of out) {
          const n = firstByte(delivery);
          if (requeued.size === 0) expect(n).toBe(last + 1);
          expect(delivery.deliveries > 1).toBe(requeued.has(n));
          last = n;
        }
        inHand.push(...out);
      };
      const ack = (): void => {
        acked.push(...inHand.map(firstByte));
        consumer.ackAll(inHand.splice(0));
      };
      for (const { what, count } of steps) {
        if (what <= 1) wire.near.deliver();
        else if (what <= 3) wire.far.deliver();
        else if (what === 4) consumer.want(count);
        else if (what === 5) take(count);
        else if (what === 6) ack();
        else if (what === 7 && inHand.length > 0) {
          const given = inHand.pop() as Delivery;
          requeued.add(firstByte(given));
          consumer.settle(given, 'requeue', 0);
        } else if (what === 8) await setTimeout(LINK.lingerMs + 1);
        else await turn();
      }
      ack();
      consumer.want(0);
      await wire.flowUntil(consumer.close());
      // What is left is in its old order, and counts as delivered only if somebody had it.
      const rest: Delivery[] = [];
      (await local.attachConsumer(everybody)).take(total, rest);
      const left = rest.map(firstByte);
      expect(left).toEqual(left.slice().sort((x, y) => x - y));
      expect([...acked, ...left].sort((x, y) => x - y)).toEqual(batch.map((_, n) => n));
      for (const delivery of rest) expect(delivery.deliveries > 1).toBe(requeued.has(firstByte(delivery)));
      wire.cut();
      await local.close();
    }),
    { numRuns: 60 },
  );
});

describe('what is on its way when what came before goes back', () => {
  const everybody = { group: undefined, from: undefined };

  /** A consumer that gave 0 and 1 back while 2 and 3 were on their way to it; 4 and 5 are in the mailbox. */
  async function crossed(): Promise<{ consumer: ConsumerSeat; wire: Wire; end: () => Promise<void> }> {
    const { host, local } = newHost({ capacityMessages: 100 });
    const wire = new Wire(host);
    const consumer = await wire.flowUntil((await wire.connect('c', silent)).attachConsumer(everybody));
    const batch = [0, 1, 2, 3, 4, 5].map((n) => outgoing(Buffer.from([n]), n + 1));
    expect((await local.attachProducer()).offer(batch, 0)).toBe(6);
    const hear = (): number => {
      wire.far.deliver();
      return host.stats().unsettled;
    };
    const hostHas = (unsettled: number): Promise<void> => expect.poll(hear, { interval: 1 }).toBe(unsettled);
    consumer.want(2);
    await hostHas(2);
    while (wire.near.deliver()) await turn();
    consumer.want(4);
    await hostHas(4);
    consumer.want(0);
    await hostHas(2);
    const end = async (): Promise<void> => {
      wire.cut();
      await local.close();
    };
    return { consumer, wire, end };
  }

  async function takeAll({ consumer, wire }: { consumer: ConsumerSeat; wire: Wire }): Promise<number[]> {
    const out: Delivery[] = [];
    while (out.length < 6) {
      consumer.want(6 - out.length);
      wire.flow();
      consumer.take(6, out);
      await turn();
    }
    for (const { deliveries } of out) expect(deliveries).toBe(1);
    return out.map(firstByte);
  }

  test('goes back, too, and overtakes nothing when it is wanted again', async () => {
    const world = await crossed();
    expect(await takeAll(world)).toEqual([0, 1, 2, 3, 4, 5]);
    await world.end();
  });

  test('and overtakes nothing when the host is asked what it could give at once', async () => {
    const { consumer, wire, end } = await crossed();
    await wire.flowUntil(consumer.poll());
    const out: Delivery[] = [];
    expect(consumer.take(6, out)).toBe(6);
    expect(out.map(firstByte)).toEqual([0, 1, 2, 3, 4, 5]);
    await end();
  });

  test('has gone back when the consumer has closed', async () => {
    const { consumer, wire, end } = await crossed();
    const next = new Wire(wire.host);
    const second = await next.flowUntil((await next.connect('d', silent)).attachConsumer(everybody));
    await wire.flowUntil(consumer.close());
    expect(await takeAll({ consumer: second, wire: next })).toEqual([0, 1, 2, 3, 4, 5]);
    next.cut();
    await end();
  });
});
