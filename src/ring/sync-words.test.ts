// The words of locks, semaphores and events: at every labelled step of one seat any other may act in between, or the seat may die; what
// is there and what everybody has must then still add up. Orders of single loads and stores are models/permits.pml's and models/lock.pml's.

import { describe, expect, test } from 'vitest';
import { randomOf } from './random.fixture.ts';
import { EventWord } from './event-word.ts';
import { PARTICIPANTS } from './layout.ts';
import { FREE, LockWord, ORPHANED, orphanLock, TAKE } from './lock-word.ts';
import { seatMark } from './participants.ts';
import {
  Permits,
  permitsHeld,
  permitsLeft,
  type PermitWords,
  PERMITS_MAX,
  returnPermits,
} from './permits.ts';
import { WaitList, waitingSlots } from './wait-list.ts';

const nothing = (): void => undefined;

class Death extends Error {}

describe('a lock', () => {
  const words = (): Int32Array => new Int32Array(new SharedArrayBuffer(64));

  test('is had by one seat at a time, and only that one lets go', () => {
    const shared = words();
    const [a, b] = [1, 2].map((slot) => new LockWord(shared, 3, seatMark(slot, 7), nothing)) as [
      LockWord,
      LockWord,
    ];
    expect(a.tryTake()).toBe(TAKE.taken);
    expect(b.tryTake()).toBe(TAKE.busy);
    expect(a.tryTake()).toBe(TAKE.busy);
    expect(b.unlock()).toBe(false);
    expect(a.isOwn).toBe(true);
    expect(a.unlock()).toBe(true);
    expect(a.unlock()).toBe(false);
    expect(b.tryTake()).toBe(TAKE.taken);
  });

  test.each(['lock:taken', 'lock:recovered', 'lock:before-unlock', 'lock:unlocked'])(
    'whose holder dies at %s is free for the next, who is told unless it was free already',
    (step) => {
      const shared = words();
      const mark = seatMark(5, 1);
      const dying = new LockWord(shared, 0, mark, (name) => {
        if (name === step) throw new Death();
      });
      if (step === 'lock:recovered') shared[0] = ORPHANED;
      expect(() => {
        dying.tryTake();
        dying.unlock();
      }).toThrow(Death);
      const other = new LockWord(shared, 0, seatMark(6, 1), nothing);
      const wasFree = step === 'lock:unlocked';
      if (!wasFree) expect(other.tryTake()).toBe(TAKE.busy);
      // Another generation of the seat, or another seat, is not the dead one.
      expect(orphanLock(shared, 0, seatMark(5, 2))).toBe(false);
      expect(orphanLock(shared, 0, mark)).toBe(!wasFree);
      expect(orphanLock(shared, 0, mark)).toBe(false);
      expect(other.tryTake()).toBe(wasFree ? TAKE.taken : TAKE.recovered);
      expect(other.unlock()).toBe(true);
      expect(shared[0]).toBe(FREE);
      expect(other.tryTake()).toBe(TAKE.taken);
    },
  );
});

function permitWordsFor(count: number): PermitWords {
  const words = new Int32Array(new SharedArrayBuffer(4 * (4 + 3 * PARTICIPANTS)));
  words[0] = count;
  const wide = new BigInt64Array(words.buffer);
  return { words, wide, value: 0, returned: 2, seat: (slot) => 4 + 3 * slot };
}

/** Seats that act inside each other's steps, and die there. */
class Bustle {
  readonly at: PermitWords;
  readonly #random: (below: number) => number;
  readonly #seats = new Map<number, Permits>();
  /** What each seat must have, and what there must be in all, by what their calls returned. */
  readonly #has = new Map<number, number>();
  readonly #busy = new Set<number>();
  #total: number;
  #depth = 0;
  deaths = 0;
  nested = 0;

  constructor(count: number, seed: number) {
    this.at = permitWordsFor(count);
    this.#total = count;
    this.#random = randomOf(seed);
  }

  /** A step of some seat: another acts now, or this one dies. */
  readonly #step = (): void => {
    if (this.#random(10) === 0) throw new Death();
    if (this.#depth < 4 && this.#random(3) === 0) {
      this.nested += 1;
      this.act();
    }
  };

  act(): void {
    const free = [0, 1, 2, 3, 63].filter((slot) => !this.#busy.has(slot));
    const slot = free[this.#random(free.length)];
    if (slot === undefined) return;
    this.#busy.add(slot);
    this.#depth += 1;
    const before = this.#has.get(slot) ?? 0;
    try {
      this.#actAs(slot, before);
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      this.deaths += 1;
      this.#recover(slot);
    } finally {
      this.#depth -= 1;
      this.#busy.delete(slot);
    }
  }

  #actAs(slot: number, has: number): void {
    let seat = this.#seats.get(slot);
    if (seat === undefined) {
      seat = new Permits(this.at, slot, this.#step);
      this.#seats.set(slot, seat);
    }
    switch (this.#random(6)) {
      case 0:
      case 1:
      case 2:
        if (seat.tryTake() !== TAKE.busy) this.#has.set(slot, has + 1);
        break;
      case 3:
      case 4:
        if (seat.give()) this.#has.set(slot, has - 1);
        break;
      default:
        if (this.#random(3) === 0 && seat.add()) this.#total += 1;
        if (has === 0 || this.#random(4) > 0) return;
        seat.spend();
        this.#has.set(slot, has - 1);
        this.#total -= 1;
    }
  }

  /** The recoverer dies too, now and then, and another begins anew. */
  #recover(slot: number): void {
    for (;;) {
      try {
        returnPermits(this.at, slot, true, this.#step);
        break;
      } catch (error) {
        if (!(error instanceof Death)) throw error;
        this.deaths += 1;
      }
    }
    this.#seats.delete(slot);
    this.#has.delete(slot);
  }

  /** @returns what does not add up */
  check(): string[] {
    const wrong: string[] = [];
    let held = 0;
    for (const slot of [0, 1, 2, 3, 63]) {
      const has = this.#has.get(slot) ?? 0;
      const [shared, own] = [permitsHeld(this.at, slot), this.#seats.get(slot)?.held ?? 0];
      if (shared !== has || own !== has)
        wrong.push(`seat ${slot} has ${has}: ${shared} in its word, ${own} of its own`);
      held += has;
    }
    const left = permitsLeft(this.at);
    if (left + held !== this.#total) wrong.push(`${left} left and ${held} held are not ${this.#total}`);
    return wrong;
  }
}

describe('a semaphore', () => {
  function two(count: number): { at: PermitWords; a: Permits; b: Permits } {
    const at = permitWordsFor(count);
    return { at, a: new Permits(at, 0, nothing), b: new Permits(at, 63, nothing) };
  }

  test('gives as many permits as there are, and takes back no more than a seat has', () => {
    const { at, a, b } = two(2);
    expect([a.tryTake(), b.tryTake(), a.tryTake()]).toEqual([TAKE.taken, TAKE.taken, TAKE.busy]);
    expect([permitsLeft(at), a.held, b.held]).toEqual([0, 1, 1]);
    expect([a.give(), a.give()]).toEqual([true, false]);
    expect(permitsLeft(at)).toBe(1);
    expect(b.spend()).toBe(true);
    expect([b.give(), permitsLeft(at), permitsHeld(at, 63)]).toEqual([false, 1, 0]);
    expect([a.add(), permitsLeft(at)]).toEqual([true, 2]);
  });

  test('has at most 2,147,483,647 permits', () => {
    const { a } = two(PERMITS_MAX);
    expect(a.add()).toBe(false);
    expect([a.tryTake(), a.add()]).toEqual([TAKE.taken, true]);
  });

  test('tells one who takes a permit that some came back from the dead', () => {
    const { at, a, b } = two(3);
    a.tryTake();
    a.tryTake();
    expect(returnPermits(at, 0, true, nothing)).toBe(2);
    expect([permitsLeft(at), permitsHeld(at, 0)]).toEqual([3, 0]);
    expect([b.tryTake(), b.tryTake()]).toEqual([TAKE.recovered, TAKE.taken]);
    expect(returnPermits(at, 63, false, nothing)).toBe(2);
    expect(new Permits(at, 63, nothing).tryTake()).toBe(TAKE.taken);
  });

  test('tells what the dead had also after more changes than numbers can tell apart', () => {
    for (const number of [0xf_ffff, 0x1ff_ffff]) {
      const at = permitWordsFor(2);
      at.words[at.seat(0) + 1] = number;
      const dying = new Permits(at, 0, (name) => {
        if (name === 'permits:swapped' && permitsLeft(at) === 0) throw new Death();
      });
      dying.tryTake();
      expect(at.words[at.seat(0) + 2]).toBe(number === 0xf_ffff ? 0x10_0000 : 0);
      expect(() => dying.tryTake()).toThrow(Death);
      expect([new Permits(at, 1, nothing).add(), permitsHeld(at, 0)]).toEqual([true, 2]);
      expect([returnPermits(at, 0, true, nothing), permitsLeft(at)]).toEqual([2, 3]);
    }
  });

  test('loses and doubles no permit, whoever acts in between and whoever dies, recoverers included', () => {
    let deaths = 0;
    let nested = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const bustle = new Bustle(seed % 5, seed);
      for (let i = 0; i < 500; i += 1) {
        bustle.act();
        expect(bustle.check()).toEqual([]);
      }
      deaths += bustle.deaths;
      nested += bustle.nested;
    }
    expect(deaths).toBeGreaterThan(500);
    expect(nested).toBeGreaterThan(1_000);
  });
});

test('an event tells apart being set and having been set', () => {
  const event = new EventWord(new Int32Array(new SharedArrayBuffer(8)), 1, nothing);
  expect([event.isSet, event.count]).toEqual([false, 0]);
  expect([event.set(), event.set(), event.isSet, event.count]).toEqual([true, false, true, 1]);
  expect([event.clear(), event.clear(), event.isSet, event.count]).toEqual([true, false, false, 1]);
});

test('a list of who waits rings everybody in turn, and never oneself', () => {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const lists = [0, 1, 31, 32, 63].map((slot) => new WaitList(words, 0, slot));
  const [own] = lists as [WaitList];
  expect(own.isEmpty).toBe(true);
  for (const list of lists) list.join();
  expect(waitingSlots(words, 0)).toEqual([0, 1, 31, 32, 63]);
  const rung: number[] = [];
  const ring = (slot: number): boolean => {
    rung.push(slot);
    return slot !== 31;
  };
  for (let i = 0; i < 4; i += 1) own.ringOne(ring);
  // 31 does not sleep: the next one is rung in its place.
  expect(rung).toEqual([1, 31, 32, 63, 1]);
  for (const list of lists) list.leave();
  expect(own.isEmpty).toBe(true);
});
