// The receiving end: takes from all lanes in turn, settles, and rings producers that wait for room or for a receipt.

import type { Delivery, Outcome, Receiver } from '../../mailbox/driver.ts';
import { sleepsFor } from '../../ring/doorbell.ts';
import { HEADER, WANT } from '../../ring/layout.ts';
import { headerWord, type RingMemory } from '../../ring/memory.ts';
import { consumerSeat, laneOwner, noteMembership, setConsumerSeat, slotOf } from '../../ring/participants.ts';
import { SlabSource } from '../../ring/slab.ts';
import type { ShmDelivery } from './delivery.ts';
import { closedError, isEnded, ownMark, type Participation, ringAll, ringProducer } from './participation.ts';
import { type LaneEvents, ReceivedLane } from './received-lane.ts';
import type { WaitingEnd } from './waiter.ts';

/** What a receiver tells its driver. */
export interface ReceiverEvents {
  readable(): void;
  closed(): void;
  readonly housekeeping: () => void;
  dropped(reason: string): void;
  error(error: Error): void;
}

export class ShmReceiver implements Receiver, WaitingEnd {
  readonly #part: Participation;
  readonly #memory: RingMemory;
  readonly #events: ReceiverEvents;
  readonly #slabs = new SlabSource();
  readonly #lanes: ReceivedLane[] = [];
  readonly #laneEvents: LaneEvents;
  readonly #lanesUsedWord = headerWord(HEADER.lanesUsed);
  /** Lanes whose producers are told of room at the end of this turn. */
  readonly #untold: ReceivedLane[] = [];
  #cursor = 0;
  #wanted = 0;
  #isWaiting = false;
  #isClosed = false;
  #immediate: NodeJS.Immediate | undefined;

  /** The consumer's seat is already this handle's, under the mailbox's lock. */
  constructor(part: Participation, events: ReceiverEvents) {
    this.#part = part;
    this.#memory = part.memory;
    this.#events = events;
    this.#laneEvents = {
      fault: (error, lane) => {
        events.error(error);
        // Its producer may be waiting for room that will never be made.
        ringProducer(part, lane, WANT.room);
      },
      failpoint: (name) => part.edges.failpoint(name),
      dropped: (reason, error) => {
        events.dropped(reason);
        if (error !== undefined) events.error(error);
      },
    };
    part.waiter.add(this);
  }

  get unsettled(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.ledger.unsettled, 0);
  }

  get ended(): boolean {
    return isEnded(this.#memory) && this.#refreshLanes().every((lane) => lane.isDone);
  }

  take(max: number, out: Delivery[]): number {
    if (this.#isClosed || this.#part.health.error !== undefined) return 0;
    const lanes = this.#refreshLanes();
    let count = 0;
    for (let turn = 0; turn < lanes.length && count < max; turn += 1) {
      const lane = lanes[(this.#cursor + turn) % lanes.length] as ReceivedLane;
      if (lane.hasMore()) count += lane.take(max - count, out);
    }
    this.#cursor = (this.#cursor + 1) % Math.max(lanes.length, 1);
    this.#part.edges.failpoint('take:taken');
    if (count < max) {
      // About to wait, perhaps in this very thread: whoever waits for room must hear of it first.
      if (this.#untold.length > 0) this.#tellRoom();
      if (this.#wanted > 0) this.#wait();
    }
    return count;
  }

  want(count: number): void {
    this.#wanted = count;
    if (count > 0) this.#wait();
    else {
      this.#isWaiting = false;
      this.#part.waiter.disarm();
    }
  }

  waitSync(timeoutMs: number): 'ready' | 'timeout' | 'interrupted' {
    if (this.#untold.length > 0) this.#tellRoom();
    const isReady = (): boolean => this.#hasMore() || this.#isOver();
    return this.#part.waiter.block(WANT.messages, isReady, timeoutMs, this.#events.housekeeping);
  }

  settle(delivery: Delivery, outcome: Outcome, _delayMs: number, done?: (error?: Error) => void): void {
    const mine = delivery as ShmDelivery;
    const lane = this.#lanes[mine.lane];
    if (lane !== undefined && !this.#isClosed) {
      if (outcome === 'ack' || outcome === 'reject') {
        lane.ledger.settle(mine.token);
        if (lane.ledger.commit()) this.#roomMade(lane);
      } else if (outcome === 'release') {
        lane.ledger.release(mine.token);
        lane.giveBack(mine, mine.deliveries);
      } else lane.giveBack(mine, mine.deliveries + 1);
      if (this.#wanted > 0) this.#afterSettling(outcome);
    }
    done?.();
  }

  ackAll(deliveries: readonly Delivery[]): void {
    if (this.#isClosed) return;
    let lane: ReceivedLane | undefined;
    for (const delivery of deliveries as readonly ShmDelivery[]) {
      if (lane === undefined || lane.index !== delivery.lane) {
        if (lane?.ledger.commit() === true) this.#roomMade(lane);
        lane = this.#lanes[delivery.lane] as ReceivedLane;
      }
      lane.ledger.settle(delivery.token);
    }
    if (lane?.ledger.commit() === true) this.#roomMade(lane);
    if (this.#wanted > 0) this.#afterSettling('ack');
  }

  received(delivery: Delivery): void {
    const mine = delivery as ShmDelivery;
    if (this.#isClosed || this.#lanes[mine.lane]?.ledger.received(mine.token) !== true) return;
    ringProducer(this.#part, mine.lane, WANT.receipts);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#part.waiter.remove(this);
    this.#events.closed();
    if (this.#part.health.error !== undefined) return;
    this.#tellRoom();
    if (consumerSeat(this.#memory) === ownMark(this.#part)) setConsumerSeat(this.#memory, 0);
    noteMembership(this.#memory);
    ringAll(this.#part, this.#part.slot);
  }

  wants(): number {
    return this.#isWaiting ? WANT.messages : 0;
  }

  holdsProcess(): boolean {
    return this.#wanted > 0 && !this.#part.isBackground;
  }

  isReady(): boolean {
    return this.#isWaiting && (this.#hasMore() || this.#isOver());
  }

  wake(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#events.readable();
  }

  #wait(): void {
    this.#isWaiting = true;
    this.#part.waiter.arm();
  }

  /** What went back can be taken again, and the last settled message may be the end. */
  #afterSettling(outcome: Outcome): void {
    if (outcome === 'requeue' || outcome === 'release' || isEnded(this.#memory)) this.#wait();
  }

  #hasMore(): boolean {
    for (const lane of this.#refreshLanes()) if (lane.hasMore()) return true;
    return false;
  }

  #isOver(): boolean {
    if (this.#isClosed || this.#part.health.error !== undefined) return true;
    return this.ended || closedError(this.#memory, '') !== undefined;
  }

  /** Lanes come into use one after the other and stay. */
  #refreshLanes(): readonly ReceivedLane[] {
    const used = Atomics.load(this.#memory.words, this.#lanesUsedWord);
    const count = Math.min(used, this.#memory.geometry.laneCount);
    while (this.#lanes.length < count)
      this.#lanes.push(new ReceivedLane(this.#memory, this.#lanes.length, this.#slabs, this.#laneEvents));
    return this.#lanes;
  }

  /**
   * Rings the producer of a lane if it sleeps for want of room: at once when half of the lane is free or nothing of it is in
   * anybody's hands, else at the end of this turn. Ringing for every message would cost a system call each; even looking
   * whether the producer sleeps costs as much as settling, so in the middle of a batch that is left to the end of the turn.
   */
  #roomMade(lane: ReceivedLane): void {
    if (lane.ledger.unsettled > 0 && !lane.hasMovedFar()) {
      this.#tellLater(lane);
      return;
    }
    const slot = slotOf(laneOwner(this.#memory, lane.index));
    if (slot < 0 || !sleepsFor(this.#memory.words, slot, WANT.room)) return;
    if (lane.isDone || lane.isHalfFree()) ringProducer(this.#part, lane.index, WANT.room);
    else this.#tellLater(lane);
  }

  #tellLater(lane: ReceivedLane): void {
    if (lane.isRoomUntold) return;
    lane.isRoomUntold = true;
    this.#untold.push(lane);
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      this.#tellRoom();
    });
  }

  #tellRoom(): void {
    for (const lane of this.#untold) {
      lane.isRoomUntold = false;
      ringProducer(this.#part, lane.index, WANT.room);
    }
    this.#untold.length = 0;
  }
}
