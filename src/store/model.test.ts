// Random sequences of operations and steps of time, on the store and on the naive model: both must agree after each.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PLAIN, VirtualClock } from './clock.fixture.ts';
import { Model, type ModelSeat, readyOf, waitingOf } from './model.fixture.ts';
import { Store } from './store.ts';
import type { Entry, ItemMeta, SettleOutcome, StoreOptions, Subscription } from './types.ts';

type Command =
  | { readonly do: 'offer'; readonly meta: ItemMeta }
  | { readonly do: 'subscribe'; readonly group: string | undefined; readonly from: 'now' | 'start' }
  | { readonly do: 'want'; readonly who: number; readonly count: number }
  | { readonly do: 'take'; readonly who: number; readonly max: number }
  | {
      readonly do: 'settle';
      readonly who: number;
      readonly which: number;
      readonly outcome: SettleOutcome;
      readonly delayMs: number;
    }
  | { readonly do: 'extend'; readonly who: number; readonly which: number; readonly ms: number }
  | { readonly do: 'close'; readonly who: number; readonly unseen: boolean }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'purge' }
  | { readonly do: 'end' };

interface Guest {
  readonly sub: Subscription<string>;
  readonly seat: ModelSeat;
  readonly state: { pending: boolean };
  readonly flights: Entry<string>[];
}

/** Both stores side by side. */
class Twins {
  readonly #clock = new VirtualClock();
  readonly #model: Model;
  readonly #store: Store<string>;
  readonly #guests: Guest[] = [];
  readonly #drops: Record<string, number> = {};
  readonly #isTopic: boolean;
  #offers = 0;
  #refused = -1;

  constructor(options: StoreOptions) {
    this.#isTopic = options.deliver === 'all';
    this.#model = new Model(options);
    this.#store = new Store<string>(options, this.#clock, {
      room: () => {
        this.#refused = -1;
      },
      drop: (reason, count) => {
        this.#drops[reason] = (this.#drops[reason] ?? 0) + count;
      },
    });
  }

  run(command: Command): void {
    const unfinished = new Set(this.#guests.filter(({ sub }) => !sub.ended));
    this.#apply(command);
    // What became due by the command itself is the timer's business.
    this.#clock.advance(0);
    this.#model.pass(this.#clock.now());
    this.#forgetOverdue();
    this.#compare(unfinished);
  }

  /** Takes and acks everything there is: nothing may be lost, doubled or invented. */
  finish(): void {
    this.run({ do: 'pass', ms: 10_000 });
    this.run({ do: 'subscribe', group: undefined, from: 'now' });
    for (let round = 0; round < 200 && this.#model.queues.some(({ items }) => items.length > 0); round += 1) {
      this.#guests.forEach((guest, who) => {
        this.run({ do: 'take', who, max: 1000 });
        while (guest.flights.length > 0)
          this.run({ do: 'settle', who, which: 0, outcome: 'ack', delayMs: 0 });
      });
    }
    for (const queue of this.#model.queues) expect(queue.items).toEqual([]);
    this.#store.dispose();
    expect(this.#clock.timers).toBe(0);
  }

  #apply(command: Command): void {
    if (command.do === 'offer') this.#offer(command.meta);
    else if (command.do === 'subscribe') this.#subscribe(command.group, command.from);
    else if (command.do === 'pass') this.#clock.advance(command.ms);
    else if (command.do === 'purge') expect(this.#store.purge()).toBe(this.#model.purge());
    else if (command.do === 'end') {
      this.#model.ended = true;
      this.#store.end();
    } else {
      const guest = this.#guests[command.who % Math.max(1, this.#guests.length)];
      if (guest !== undefined) this.#act(guest, command);
    }
  }

  #offer(meta: ItemMeta): void {
    this.#offers += 1;
    const name = String(this.#offers);
    const expected = this.#model.offer(name, meta, this.#clock.now());
    expect(this.#store.offer(name, meta)).toBe(expected);
    if (expected === 'full' && (this.#refused < 0 || meta.sizeBytes < this.#refused))
      this.#refused = meta.sizeBytes;
  }

  #subscribe(group: string | undefined, from: 'now' | 'start'): void {
    if (this.#guests.length >= 6) return;
    const state = { pending: false };
    const sub = this.#store.subscribe(
      () => {
        state.pending = true;
      },
      { group, from },
    );
    this.#guests.push({
      sub,
      seat: this.#model.subscribe(group, from, this.#clock.now()),
      state,
      flights: [],
    });
  }

  #act(
    guest: Guest,
    command: Exclude<Command, { do: 'offer' | 'subscribe' | 'pass' | 'purge' | 'end' }>,
  ): void {
    const { sub, seat, state, flights } = guest;
    const now = this.#clock.now();
    if (command.do === 'want') {
      if (command.count === 0) state.pending = false;
      seat.want = command.count;
      sub.want(command.count);
    } else if (command.do === 'take') {
      state.pending = false;
      const out: Entry<string>[] = [];
      const expected = this.#model.take(seat, command.max, now);
      expect(sub.take(command.max, out)).toBe(expected.length);
      expect(out.map((entry) => [entry.item, entry.deliveries])).toEqual(
        expected.map((item) => [item.name, item.deliveries]),
      );
      flights.push(...out);
    } else if (command.do === 'close') {
      this.#close(guest, command.unseen);
    } else {
      const entry = flights[command.which % Math.max(1, flights.length)];
      if (entry === undefined) return;
      const sequence = this.#sequenceOf(guest, entry);
      if (command.do === 'extend') {
        const item = seat.queue.items.find((one) => one.sequence === sequence);
        if (item !== undefined && item.leaseUntil < Number.POSITIVE_INFINITY)
          item.leaseUntil = now + command.ms;
        expect(sub.extend(entry.token, command.ms)).toBe(true);
        return;
      }
      flights.splice(flights.indexOf(entry), 1);
      this.#model.settle(seat, sequence, command.outcome, command.delayMs, now);
      expect(sub.settle(entry.token, command.outcome, command.delayMs)).toBe(true);
      expect(sub.settle(entry.token, 'ack', 0)).toBe(false);
    }
  }

  #close(guest: Guest, unseen: boolean): void {
    const { sub, seat, flights } = guest;
    const half = unseen ? flights.filter((_, n) => n % 2 === 0) : [];
    this.#guests.splice(this.#guests.indexOf(guest), 1);
    this.#model.close(seat, new Set(half.map((entry) => this.#sequenceOf(guest, entry))));
    sub.close(half.map((entry) => entry.token));
    expect(sub.settle(flights[0]?.token ?? 0, 'ack', 0)).toBe(false);
  }

  #sequenceOf(guest: Guest, entry: Entry<string>): number {
    return guest.seat.queue.items.find((item) => item.name === entry.item)?.sequence ?? -1;
  }

  /** Entries whose lease was over are not the guest's any more. */
  #forgetOverdue(): void {
    for (const { seat, flights } of this.#guests) {
      for (const entry of flights.slice()) {
        const item = seat.queue.items.find((one) => one.name === entry.item);
        if (item?.holder !== seat) flights.splice(flights.indexOf(entry), 1);
      }
    }
  }

  #compare(unfinished: ReadonlySet<Guest>): void {
    const { queues, dropped, ended } = this.#model;
    const stats = this.#store.stats();
    expect(this.#drops).toEqual(dropped);
    const depths = queues.map((queue) => waitingOf(queue));
    const bytes = depths.map((items) => items.reduce((sum, item) => sum + item.meta.sizeBytes, 0));
    expect(stats).toMatchObject({
      depth: Math.max(0, ...depths.map((items) => items.length)),
      depthBytes: Math.max(0, ...bytes),
      unsettled: queues.reduce((sum, queue) => sum + queue.items.length - waitingOf(queue).length, 0),
      consumers: this.#guests.length,
      dropped,
    });
    const names = new Map(depths.flat().map((item) => [item.sequence, item.name]));
    const peeked = [...names].sort(([a], [b]) => a - b).map(([, name]) => name);
    expect(this.#store.peek(1000).map((entry) => entry.item)).toEqual(peeked);
    for (const queue of queues) {
      const guests = this.#guests.filter(
        (guest) => guest.seat.queue.items === queue.items && guest.seat.want > 0,
      );
      const called = guests.filter((guest) => guest.state.pending).length;
      expect(called).toBeGreaterThanOrEqual(Math.min(readyOf(queue).length, guests.length));
    }
    for (const guest of this.#guests) {
      const { sub, seat, state } = guest;
      expect(sub.ended).toBe(ended && seat.queue.items.length === 0);
      // The end is told to all who want something, at the moment it is reached.
      if (sub.ended && unfinished.has(guest) && seat.want > 0) expect(state.pending).toBe(true);
    }
    if (this.#refused >= 0 && (queues.length > 0 || !this.#isTopic)) {
      expect(this.#model.hasRoom(this.#refused)).toBe(false);
    }
  }
}

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq: 2 });

const meta: fc.Arbitrary<ItemMeta> = fc.record({
  sizeBytes: fc.integer({ min: 0, max: 30 }),
  priority: maybe(fc.integer({ min: 0, max: 3 })),
  ttlMs: maybe(fc.integer({ min: 0, max: 60 })),
  delayMs: maybe(fc.integer({ min: 0, max: 40 })),
  key: maybe(fc.constantFrom('k', 'l')),
  id: maybe(fc.constantFrom('1', '2', '3', '4', '5')),
});
const plainMeta: fc.Arbitrary<ItemMeta> = fc.record({ sizeBytes: fc.integer({ min: 0, max: 30 }) });

const who = fc.nat({ max: 5 });
const command = (metas: fc.Arbitrary<ItemMeta>): fc.Arbitrary<Command> =>
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('offer' as const), meta: metas }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('subscribe' as const),
        group: fc.constantFrom(undefined, undefined, 'g'),
        from: fc.constantFrom('now' as const, 'start' as const),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('want' as const), who, count: fc.nat({ max: 3 }) }) },
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('take' as const), who, max: fc.integer({ min: 0, max: 4 }) }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('settle' as const),
        who,
        which: fc.nat({ max: 5 }),
        outcome: fc.constantFrom(
          'ack' as const,
          'ack' as const,
          'requeue' as const,
          'reject' as const,
          'release' as const,
        ),
        delayMs: fc.constantFrom(0, 0, 15),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('extend' as const),
        who,
        which: fc.nat({ max: 5 }),
        ms: fc.nat({ max: 50 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), who, unseen: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat({ max: 30 }) }) },
    { weight: 1, arbitrary: fc.constantFrom({ do: 'purge' as const }, { do: 'end' as const }) },
  );

function check(options: Partial<StoreOptions>, metas: fc.Arbitrary<ItemMeta>): void {
  const all = { ...PLAIN, capacityMessages: 8, capacityBytes: 100, ...options };
  const property = fc.property(fc.array(command(metas), { maxLength: 60, size: 'max' }), (commands) => {
    const twins = new Twins(all);
    for (const one of commands) twins.run(one);
    if (all.capacityMessages > 0) twins.finish();
  });
  fc.assert(property, { numRuns: RUNS });
}

/** Overnight runs set it higher. */
const RUNS = Number(process.env['NARU_PROPERTY_RUNS'] ?? 150);

describe('the store agrees with the naive model', () => {
  const variants: Record<string, Partial<StoreOptions>> = {
    'deliver one': {},
    'deliver one with leases': { leaseMs: 25 },
    'deliver one dropping the oldest': { dropOldest: true },
    'deliver one dropping the oldest with leases and a dedup window': {
      dropOldest: true,
      leaseMs: 25,
      dedup: 3,
    },
    'deliver one, rendezvous': { capacityMessages: 0 },
    'deliver all': { deliver: 'all' },
    'deliver all with leases and a dedup window': { deliver: 'all', leaseMs: 25, dedup: 3 },
    'deliver all, kept for nobody': { deliver: 'all', keepForNobody: true },
    'deliver all, retained': { deliver: 'all', retain: 3 },
    'deliver all, retained, dropping the oldest': { deliver: 'all', retain: 3, dropOldest: true },
    'deliver all, rendezvous': { deliver: 'all', capacityMessages: 0 },
  };
  for (const [name, options] of Object.entries(variants)) {
    test(`${name}, plain items`, () => check(options, plainMeta), 60_000);
    test(`${name}, every kind of item`, () => check(options, meta), 60_000);
  }
});
