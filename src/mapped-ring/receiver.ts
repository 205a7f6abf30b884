// The receiving end: takes from all lanes in turn, the most urgent first, settles, rings producers that wait for room or for a
// receipt, and rings other consumers when there is more than it takes.

import type { Delivery, Outcome, Receiver } from '../mailbox/driver.ts';
import { CompetingLane } from '../ring/competing-lane.ts';
import type { ConsumedLane } from '../ring/consumed-lane.ts';
import { sleepsFor } from '../ring/doorbell.ts';
import { ExclusiveLane } from '../ring/exclusive-lane.ts';
import { HEADER, WANT } from '../ring/layout.ts';
import { headerWord, type RingMemory } from '../ring/memory.ts';
import {
  consumerSeat,
  freeConsumerSeat,
  laneOf,
  laneOwner,
  noteMembership,
  slotOf,
  usedLanes,
} from '../ring/participants.ts';
import { SlabSource } from '../ring/slab.ts';
import { TopicLane, type TopicStart } from '../ring/topic-lane.ts';
import {
  isClosed,
  hasSeveralConsumers,
  isEnded,
  ownMark,
  partError,
  type Participation,
  ringAll,
  ringConsumers,
  ringProducer,
} from './participation.ts';
import { ReceivedLane, type RingDelivery } from './received-lane.ts';
import type { WaitingEnd } from './waiter.ts';

const ENDED_WORD = headerWord(HEADER.ended);
/** How often a lane is looked at that somebody holds: some microseconds, as long as holding one takes. */
const HOLDER_ATTEMPTS = 200;

/** What a receiver tells its driver. */
export interface ReceiverEvents {
  readable(): void;
  closed(): void;
  readonly housekeeping: () => void;
  dropped(reason: string): void;
  gap(count: number): void;
  error(error: Error): void;
}

/** A consumer's seat that was taken for this handle. */
export interface TakenSeat {
  readonly seat: number;
  /** Of a topic: where to begin in each lane. */
  readonly starts: readonly TopicStart[];
}

export class RingReceiver implements Receiver, WaitingEnd {
  readonly #part: Participation;
  readonly #memory: RingMemory;
  readonly #events: ReceiverEvents;
  readonly #slabs = new SlabSource();
  readonly #taken: TakenSeat;
  readonly #isCompeting: boolean;
  /** By index; undefined until a producer has used the lane. */
  readonly #lanes: (ReceivedLane | undefined)[] = [];
  /** Lanes of each priority, in the order in which they came into use. */
  readonly #levels: readonly ReceivedLane[][];
  readonly #usedMasks: number[];
  /** Lanes whose producers are told of room at the end of this turn. */
  readonly #untold: ReceivedLane[] = [];
  #cursor = 0;
  #wanted = 0;
  #isWaiting = false;
  #isClosed = false;
  #immediate: NodeJS.Immediate | undefined;

  /** The consumer's seat is already this handle's, under the mailbox's lock. */
  constructor(part: Participation, taken: TakenSeat, events: ReceiverEvents) {
    this.#part = part;
    this.#memory = part.memory;
    this.#events = events;
    this.#taken = taken;
    const { levels, mode } = part.memory.geometry;
    this.#isCompeting = mode === 'competing';
    this.#levels = Array.from({ length: levels }, () => []);
    this.#usedMasks = Array.from({ length: levels }, () => 0);
    part.waiter.add(this);
  }

  get unsettled(): number {
    return this.#lanes.reduce((sum, lane) => sum + (lane?.lane.unsettled ?? 0), 0);
  }

  /** Of competing consumers none is done while another may still give something back. */
  get ended(): boolean {
    if (this.#part.health.error !== undefined || !isEnded(this.#memory)) return false;
    this.#refreshLanes();
    return this.#lanes.every((lane) => lane === undefined || (lane.isDone && this.#isEmptied(lane)));
  }

  take(max: number, out: Delivery[]): number {
    return this.#take(max, out, false);
  }

  takeView(): Delivery | undefined {
    if (this.#memory.geometry.lossy) {
      throw partError(
        this.#part,
        'NARU_UNSUPPORTED',
        'views need a mailbox whose producers wait; this topic was made with full "drop-oldest"',
      );
    }
    const out: Delivery[] = [];
    this.#take(1, out, true);
    return out[0];
  }

  #take(max: number, out: Delivery[], isInPlace: boolean): number {
    if (this.#isClosed || this.#part.health.error !== undefined) return 0;
    this.#refreshLanes();
    let count = 0;
    for (let level = this.#levels.length - 1; level >= 0 && count < max; level -= 1) {
      const lanes = this.#levels[level] as ReceivedLane[];
      // Urgent messages that another consumer is just taking from are waited for, an instant long.
      if (level > 0 && this.#isCompeting) this.#awaitHolders(lanes);
      count += this.#takeLevel(lanes, max - count, out, isInPlace);
    }
    this.#cursor += 1;
    this.#part.edges.failpoint('take:taken');
    if (count < max) {
      // About to wait, perhaps in this very thread: whoever waits for room must hear of it first.
      if (this.#untold.length > 0) this.#tellRoom();
      if (this.#wanted > 0) this.#wait();
    }
    return count;
  }

  #awaitHolders(lanes: readonly ReceivedLane[]): void {
    for (const lane of lanes)
      for (let attempt = 0; attempt < HOLDER_ATTEMPTS && lane.lane.isHeld(); attempt += 1);
  }

  #takeLevel(lanes: readonly ReceivedLane[], max: number, out: Delivery[], isInPlace: boolean): number {
    let count = 0;
    for (let turn = 0; turn < lanes.length && count < max; turn += 1) {
      const lane = lanes[(this.#cursor + turn) % lanes.length] as ReceivedLane;
      if (!lane.hasMore()) continue;
      count += lane.take(max - count, out, isInPlace);
      if (lane.isRoomMade) {
        lane.isRoomMade = false;
        this.#roomMade(lane);
      }
      this.#shareRest(lane);
    }
    return count;
  }

  want(count: number): void {
    this.#wanted = count;
    if (count > 0) this.#wait();
    else {
      this.#isWaiting = false;
      this.#part.waiter.disarm();
      this.rung();
    }
  }

  /** Rung for a message that it does not take, because it wants none any more: another consumer must hear of it. */
  rung(): void {
    if (this.#isWaiting || this.#isClosed || !this.#isCompeting || this.#part.health.error !== undefined)
      return;
    if (hasSeveralConsumers(this.#memory) && this.#hasMore()) ringConsumers(this.#part, this.#part.slot);
  }

  /** What a consumer left undone that was stopped just after it had let go of a lane. */
  finishForOthers(): void {
    if (this.#isCompeting) for (const lane of this.#lanes) if (lane !== undefined) this.#commit(lane);
  }

  waitSync(timeoutMs: number): 'ready' | 'timeout' | 'interrupted' {
    if (this.#untold.length > 0) this.#tellRoom();
    const { health } = this.#part;
    const isReady = (): boolean => health.error !== undefined || this.#hasMore() || this.#isOver();
    const outcome = this.#part.waiter.block(WANT.messages, isReady, timeoutMs, this.#events.housekeeping);
    if (outcome !== 'ready') this.rung();
    return outcome;
  }

  settle(delivery: Delivery, outcome: Outcome, _delayMs: number, done?: (error?: Error) => void): void {
    const mine = delivery as RingDelivery;
    const lane = mine.lane;
    // One of a receiver that was closed has gone back to the mailbox; its token may mean something else here.
    if (!this.#isClosed && this.#lanes[lane.index] === lane) {
      if (outcome === 'ack' || outcome === 'reject') {
        lane.lane.settle(mine.token);
        this.#commit(lane);
      } else if (lane.giveBack(mine, outcome === 'requeue')) ringConsumers(this.#part, this.#part.slot);
      this.#afterSettling(outcome);
    }
    done?.();
  }

  ackAll(deliveries: readonly Delivery[]): void {
    if (this.#isClosed) return;
    let lane: ReceivedLane | undefined;
    for (const delivery of deliveries as readonly RingDelivery[]) {
      if (lane !== delivery.lane) {
        if (lane !== undefined) this.#commit(lane);
        ({ lane } = delivery);
      }
      lane.lane.settle(delivery.token);
    }
    if (lane !== undefined) this.#commit(lane);
    this.#afterSettling('ack');
  }

  received(delivery: Delivery): void {
    const mine = delivery as RingDelivery;
    if (this.#isClosed || !mine.lane.lane.received(mine.token)) return;
    ringProducer(this.#part, mine.lane.index, WANT.receipts);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#part.waiter.remove(this);
    this.#events.closed();
    if (this.#part.health.error !== undefined) return;
    this.#tellRoom();
    const { seat } = this.#taken;
    if (consumerSeat(this.#memory, seat) === ownMark(this.#part)) {
      for (const lane of this.#lanes) lane?.lane.leave();
      freeConsumerSeat(this.#memory, seat);
    }
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
    if (!this.#isWaiting) return false;
    return this.#part.health.error !== undefined || this.#hasMore() || this.#isOver();
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

  /** What went back can be taken again, and the last settled message may be the end, also for the others. */
  #afterSettling(outcome: Outcome): void {
    if (this.#wanted === 0 && !this.#isCompeting) return;
    // Plain: whoever ends the mailbox rings everybody afterwards.
    const isEnd = this.#memory.words[ENDED_WORD] !== 0;
    if (isEnd && this.#isCompeting && this.ended) ringAll(this.#part, this.#part.slot);
    if (this.#wanted > 0 && (isEnd || outcome === 'requeue' || outcome === 'release')) this.#wait();
  }

  #commit(lane: ReceivedLane): void {
    if (lane.lane.commit()) this.#roomMade(lane);
    this.#shareRest(lane);
  }

  /** Whoever came for the lane while it was held has gone to sleep: there may be more for it. */
  #shareRest(lane: ReceivedLane): void {
    // After the atomic load with which letting go of the lane ended.
    if (this.#isCompeting && hasSeveralConsumers(this.#memory) && lane.hasMore())
      ringConsumers(this.#part, this.#part.slot);
  }

  #isEmptied(lane: ReceivedLane): boolean {
    return !this.#isCompeting || lane.lane.reader.isFaulted || lane.lane.isEmptied();
  }

  #hasMore(): boolean {
    this.#refreshLanes();
    for (const lanes of this.#levels) for (const lane of lanes) if (lane.hasMore()) return true;
    return false;
  }

  #isOver(): boolean {
    if (this.#isClosed || this.#part.health.error !== undefined) return true;
    return this.ended || isClosed(this.#memory);
  }

  /** Lanes come into use one after the other and stay. */
  #refreshLanes(): void {
    for (let level = 0; level < this.#usedMasks.length; level += 1) {
      const used = usedLanes(this.#memory, level);
      const news = used & ~(this.#usedMasks[level] as number);
      if (news === 0) continue;
      this.#usedMasks[level] = used;
      for (let seat = 0; seat < this.#memory.geometry.maxProducers; seat += 1)
        if ((news & (1 << seat)) !== 0) this.#openLane(level, laneOf(this.#memory, seat, level));
    }
  }

  #openLane(level: number, index: number): void {
    const lane = new ReceivedLane(index, this.#memory.geometry.laneBytes, this.#consumedLane(index), {
      place: this.#part.site.place,
      dropped: (reason, error) => {
        this.#events.dropped(reason);
        if (error !== undefined) this.#events.error(error);
      },
    });
    this.#lanes[index] = lane;
    (this.#levels[level] as ReceivedLane[]).push(lane);
  }

  #consumedLane(index: number): ConsumedLane {
    const part = this.#part;
    const edges = {
      failpoint: part.edges.failpoint,
      gap: (count: number) => this.#events.gap(count),
      fault: (error: Error, lane: number) => {
        this.#events.error(error);
        // Its producer may be waiting for room that will never be made.
        ringProducer(part, lane, WANT.room);
      },
    };
    const { mode } = this.#memory.geometry;
    if (mode === 'exclusive') return new ExclusiveLane(this.#memory, index, this.#slabs, edges);
    if (mode === 'competing')
      return new CompetingLane(this.#memory, index, ownMark(part), part.slot, this.#slabs, edges);
    const { seat, starts } = this.#taken;
    return new TopicLane(this.#memory, index, seat, starts[index] as TopicStart, this.#slabs, edges);
  }

  /**
   * Rings the producer of a lane if it sleeps for want of room: at once when half of the lane is free or nothing of it is in
   * anybody's hands, else at the end of this turn. Ringing for every message would cost a system call each; even looking
   * whether the producer sleeps costs as much as settling, so in the middle of a batch that is left to the end of the turn.
   */
  #roomMade(lane: ReceivedLane): void {
    if (lane.lane.unsettled > 0 && !lane.hasMovedFar()) {
      this.#tellLater(lane);
      return;
    }
    const slot = slotOf(laneOwner(this.#memory, lane.index));
    if (slot < 0 || !sleepsFor(this.#memory.words, slot, WANT.room)) return;
    if (lane.isDone || lane.lane.isHalfFree()) ringProducer(this.#part, lane.index, WANT.room);
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
    // Perhaps in a later turn, when the object has been found truncated: its memory must not be touched then.
    const isGone = this.#part.health.error !== undefined;
    for (const lane of this.#untold) {
      lane.isRoomUntold = false;
      if (!isGone) ringProducer(this.#part, lane.index, WANT.room);
    }
    this.#untold.length = 0;
  }
}
