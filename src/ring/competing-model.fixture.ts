// For tests: competing consumers on one lane against a list of messages with a state each. Whoever dies throws at a failpoint;
// what it had must come back marked, what was settled never, first deliveries in order.

import { expect } from 'vitest';
import { bodyOf, put, writerOf } from './bare-ring.fixture.ts';
import type { CompetingLane } from './competing-lane.ts';
import type { LaneWriter } from './lane-writer.ts';
import { LANE } from './layout.ts';
import { laneWord, type RingMemory } from './memory.ts';
import {
  COMPETING,
  competingOf,
  consumerAt,
  Death,
  recoverIn,
  ringWith,
  type TestConsumer,
} from './shared-lanes.fixture.ts';

interface Message {
  readonly body: Uint8Array;
  readonly sender: string;
  state: 'waiting' | 'held' | 'returned' | 'settled';
  /** The most deliveries that any user has seen. */
  seen: number;
  /** How many the next one must say, where that is certain. */
  next: number | undefined;
  /** Was given back at least once: its next delivery may come after later messages. */
  isAgain: boolean;
  /** Whoever gave it back died before it said so: found after the recovery. */
  isHidden: boolean;
}

interface Held {
  readonly number: number;
  readonly token: number;
  readonly deliveries: number;
}

interface Actor {
  consumer: TestConsumer;
  lane: CompetingLane;
  held: Held[];
  /** Of the batch under way; not the user's before finish(). */
  batch: Held[] | undefined;
  /** What had been given back when its batch began, and is not in it yet: that comes first. */
  readonly returned: Set<number>;
}

export type Way = 'ack' | 'nack' | 'release';

export class CompetingModel {
  readonly memory: RingMemory;
  readonly messages: Message[] = [];
  readonly #actors: Actor[];
  #writer: LaneWriter;
  #sender = 's0';
  #lastFresh = -1;
  deaths = 0;

  constructor(consumers: number, position: number) {
    const { memory, consumers: all } = ringWith(COMPETING, consumers, position);
    this.memory = memory;
    this.#writer = writerOf(memory, 0, this.#sender);
    this.#actors = all.map((consumer) => this.#actor(consumer));
  }

  #actor(consumer: TestConsumer): Actor {
    return {
      consumer,
      lane: competingOf(this.memory, consumer),
      held: [],
      batch: undefined,
      returned: new Set(),
    };
  }

  put(length: number): void {
    const body = new Uint8Array(4 + length).fill(length & 0xff);
    new DataView(body.buffer).setUint32(0, this.messages.length);
    if (!put(this.memory, this.#writer, body)) return;
    this.messages.push({
      body,
      sender: this.#sender,
      state: 'waiting',
      seen: 0,
      next: 1,
      isAgain: false,
      isHidden: false,
    });
  }

  /** The producer dies; another one goes on in its lane. */
  replaceProducer(): void {
    this.#writer.reserve(8, 0);
    this.#sender = `s${this.messages.length}`;
    this.#writer = writerOf(this.memory, 0, this.#sender);
  }

  arm(index: number, name: string, left: number): void {
    this.#at(index).consumer.fatal = { name, left };
  }

  begin(index: number): void {
    const actor = this.#at(index);
    if (actor.batch !== undefined) return;
    this.#mortal(actor, () => {
      if (!actor.lane.begin(3, false)) return;
      actor.batch = [];
      actor.returned.clear();
      this.messages.forEach(({ state, isHidden }, number) => {
        if (state === 'returned' && !isHidden) actor.returned.add(number);
      });
    });
  }

  next(index: number): void {
    const actor = this.#at(index);
    const { batch, lane } = actor;
    if (batch === undefined) return;
    this.#mortal(actor, () => {
      const [first] = actor.returned;
      if (!lane.next()) {
        expect(first, 'a returned message is found').toBeUndefined();
        return;
      }
      const { token, deliveries } = lane;
      const number = this.#identify(lane);
      const message = this.messages[number] as Message;
      if (first !== undefined) expect(number).toBeLessThanOrEqual(first);
      // A recoverer that died had given it back already.
      if (message.state === 'held' && this.#takeFromDead(number)) this.#lose(number);
      expect(['waiting', 'returned'], `message ${number}`).toContain(message.state);
      this.#checkDeliveries(number, deliveries);
      message.state = 'held';
      batch.push({ number, token, deliveries });
      actor.returned.delete(number);
    });
  }

  /** Which message the lane shows: its bytes and its sender must be those of one that was sent. */
  #identify(lane: CompetingLane): number {
    const body = bodyOf(lane);
    const number = new DataView(body.buffer).getUint32(0);
    expect(body).toEqual(this.messages[number]?.body);
    expect(lane.reader.sender).toBe(this.messages[number]?.sender);
    return number;
  }

  #takeFromDead(number: number): boolean {
    for (const { consumer, held, batch } of this.#actors) {
      if (!consumer.isDead) continue;
      for (const list of [held, batch ?? []]) {
        const at = list.findIndex((one) => one.number === number);
        if (at >= 0) return list.splice(at, 1).length === 1;
      }
    }
    return false;
  }

  #checkDeliveries(number: number, deliveries: number): void {
    const { seen, next, isAgain } = this.messages[number] as Message;
    if (next !== undefined) expect(deliveries, `deliveries of ${number}`).toBe(next);
    else expect(deliveries, `deliveries of ${number}`).toBeGreaterThan(seen);
    if (isAgain) return;
    expect(number, 'first deliveries in order').toBeGreaterThan(this.#lastFresh);
    this.#lastFresh = number;
  }

  finish(index: number): void {
    const actor = this.#at(index);
    const { batch } = actor;
    if (batch === undefined || actor.consumer.isDead) return;
    this.#mortal(actor, () => {
      actor.lane.finish();
      for (const { number, deliveries } of batch) (this.messages[number] as Message).seen = deliveries;
      actor.held.push(...batch);
      actor.batch = undefined;
    });
  }

  settle(index: number, which: number, way: Way): void {
    const actor = this.#at(index);
    if (actor.consumer.isDead) return;
    const [held] = actor.held.splice(which % Math.max(actor.held.length, 1), 1);
    if (held === undefined) return;
    const message = this.messages[held.number] as Message;
    // Before the call: at its first failpoint it is done.
    message.state = way === 'ack' ? 'settled' : 'returned';
    message.isAgain = true;
    message.next = way === 'nack' ? held.deliveries + 1 : held.deliveries;
    this.#mortal(actor, () => {
      if (way === 'ack') {
        actor.lane.settle(held.token);
        actor.lane.commit();
      } else actor.lane.giveBack(held.token, way === 'nack');
    });
    message.isHidden = way !== 'ack' && actor.consumer.isDead;
  }

  /** Stops receiving, with all that it has, and begins anew with the same slot. */
  leave(index: number): void {
    const actor = this.#at(index);
    if (actor.consumer.isDead || actor.batch !== undefined) return;
    const given = actor.held.splice(0);
    for (const { number, deliveries } of given)
      Object.assign(this.messages[number] as Message, {
        state: 'returned',
        isAgain: true,
        next: deliveries + 1,
      });
    this.#mortal(actor, () => {
      actor.lane.leave();
      actor.lane = competingOf(this.memory, actor.consumer);
    });
    for (const { number } of given) (this.messages[number] as Message).isHidden = actor.consumer.isDead;
  }

  /** Recovers the dead, and puts others into their places. @param fatal  where the recoverer dies itself */
  recover(fatal?: { name: string; left: number }): void {
    const dead = this.#actors.filter(({ consumer }) => consumer.isDead);
    let { left } = fatal ?? { left: 0 };
    try {
      recoverIn(
        this.memory,
        dead.map(({ consumer }) => consumer),
        (name) => {
          if (name !== fatal?.name) return;
          left -= 1;
          if (left === 0) throw new Death(name);
        },
      );
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      this.deaths += 1;
      return;
    }
    if (!this.#actors.some(({ consumer, batch }) => batch !== undefined && !consumer.isDead))
      for (const message of this.messages) message.isHidden = false;
    for (const actor of dead) {
      // Its slot stays taken while somebody alive holds the lane.
      if (this.#isHeldByOther(actor)) continue;
      const again = this.#actor(consumerAt(this.memory, actor.consumer.seat));
      for (const { number } of [...actor.held, ...(actor.batch ?? [])]) this.#lose(number);
      Object.assign(actor, again);
    }
  }

  #isHeldByOther(actor: Actor): boolean {
    return this.#actors.some((one) => one !== actor && one.batch !== undefined && !one.consumer.isDead);
  }

  #lose(number: number): void {
    const message = this.messages[number] as Message;
    message.state = 'returned';
    message.next = undefined;
    message.isAgain = true;
  }

  /** Everybody lives and everything is settled: nothing is left, and the lane is whole again. */
  settleAll(): void {
    for (const actor of this.#actors) actor.consumer.fatal = undefined;
    for (let index = 0; index < this.#actors.length; index += 1) {
      const actor = this.#at(index);
      this.finish(index);
      while (!actor.consumer.isDead && actor.held.length > 0) this.settle(index, 0, 'ack');
    }
    this.recover();
    for (let left = this.messages.length; left >= 0; left -= 1) {
      this.begin(0);
      this.next(0);
      this.finish(0);
      this.settle(0, 0, 'ack');
    }
    expect(this.messages.filter(({ state }) => state !== 'settled')).toEqual([]);
    const at = (field: number): number => this.memory.words[laneWord(0, field)] as number;
    expect([at(LANE.head), at(LANE.taken), at(LANE.hold)]).toEqual([at(LANE.tail), at(LANE.tail), 0]);
    for (const { consumer } of this.#actors) expect(consumer.faults).toEqual([]);
  }

  #at(index: number): Actor {
    return this.#actors[index % this.#actors.length] as Actor;
  }

  #mortal(actor: Actor, action: () => void): void {
    if (actor.consumer.isDead) return;
    try {
      action();
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      this.deaths += 1;
    }
  }
}
