// The sending end: messages into this producer's own lanes, one for each priority; receipts back, and waiting for room.

import { NaruError } from '../errors/index.ts';
import type { ClaimRequest, DriverClaim, Outgoing, Sender } from '../mailbox/driver.ts';
import { HEADER, LANE, WANT } from '../ring/layout.ts';
import { headerWord, laneWord, type RingMemory } from '../ring/memory.ts';
import { laneOf, noteMembership, producerSeat, setProducerSeat } from '../ring/participants.ts';
import { encodedSize } from '../wire/envelope.ts';
import { claimIn, claimSize } from './claim.ts';
import { provideLane } from './object.ts';
import {
  closedError,
  isClosed,
  isEnded,
  ownMark,
  partError,
  type Participation,
  ringAll,
  ringConsumers,
} from './participation.ts';
import { later } from './receipts.ts';
import { SendingLane } from './sending-lane.ts';
import type { WaitingEnd } from './waiter.ts';

/** What a sender tells its driver. */
export interface SenderEvents {
  writable(): void;
  closed(sender: RingSender): void;
  dropped(reason: 'nobody', count: number): void;
  readonly housekeeping: () => void;
}

const CLOSED_WORD = headerWord(HEADER.closed);
const ENDED_WORD = headerWord(HEADER.ended);

export class RingSender implements Sender, WaitingEnd {
  readonly #part: Participation;
  readonly #memory: RingMemory;
  readonly #seat: number;
  readonly #events: SenderEvents;
  /** By priority; a lane takes its memory when the first message of its priority comes. */
  readonly #lanes: (SendingLane | undefined)[];
  readonly #faultWord: number;
  readonly #isTopic: boolean;
  /** The lane in which a message found no room. */
  #blocked: SendingLane | undefined;
  #receipts = 0;
  #isWaiting = false;
  #isOversized = false;
  #isClosed = false;

  /** @param seat  a producer's seat whose owner is already this handle, under the mailbox's lock */
  constructor(part: Participation, seat: number, events: SenderEvents) {
    this.#part = part;
    this.#memory = part.memory;
    this.#seat = seat;
    this.#events = events;
    this.#lanes = Array.from({ length: part.memory.geometry.levels });
    this.#faultWord = laneWord(laneOf(part.memory, seat, 0), LANE.fault);
    this.#isTopic = part.memory.geometry.mode === 'topic';
    // Taking the seat has provided it.
    this.#lanes[0] = new SendingLane(part, laneOf(part.memory, seat, 0));
    part.waiter.add(this);
  }

  offer(batch: readonly Outgoing[], from: number): number {
    this.#checkOpen();
    this.#isOversized = false;
    let index = from;
    try {
      while (index < batch.length && this.#put(batch[index] as Outgoing)) index += 1;
    } catch (error) {
      this.#undo(batch, from, index);
      throw error;
    }
    if (index > from) this.#publish();
    // Nothing was taken of a message that can never fit: say so now. After others: at the next call, which is asked for at once.
    if (this.#isOversized && index === from) throw this.#oversized(batch[index] as Outgoing);
    const waited = this.#isWaiting;
    this.#isWaiting = index < batch.length;
    // Who sleeps already must say that it wants receipts too, or nobody rings for them.
    if (this.#isWaiting || this.#receipts > 0) this.#part.waiter.arm();
    else if (waited) this.#part.waiter.disarm();
    return index - from;
  }

  claim(request: ClaimRequest): DriverClaim | undefined {
    this.#checkOpen();
    const lane = this.#lane(request.fields?.priority ?? 0);
    const size = claimSize(request);
    if (size > lane.maxPayloadBytes) throw this.#tooLarge(size, lane);
    const claim = claimIn(lane, this.#memory, request, () => this.#commitClaim(lane));
    this.#isOversized = false;
    this.#blocked = lane;
    this.#isWaiting = claim === undefined;
    if (this.#isWaiting) this.#part.waiter.arm();
    return claim;
  }

  #commitClaim(lane: SendingLane): void {
    try {
      this.#checkOpen();
    } catch (error) {
      lane.abandon();
      throw error;
    }
    if (this.#isTopic && lane.isUnheard) {
      lane.abandon();
      this.#events.dropped('nobody', 1);
    } else this.#publish();
  }

  waitSync(timeoutMs: number): 'ready' | 'timeout' | 'interrupted' {
    const isReady = (): boolean => this.#isOver() || this.isReady(true);
    const waited = this.#isWaiting;
    this.#isWaiting = true;
    const outcome = this.#part.waiter.block(WANT.room, isReady, timeoutMs, this.#events.housekeeping);
    this.#isWaiting = waited;
    this.#part.waiter.disarm();
    return outcome;
  }

  async end(): Promise<void> {
    this.#checkOpen();
    Atomics.store(this.#memory.words, headerWord(HEADER.ended), 1);
    noteMembership(this.#memory);
    ringAll(this.#part, this.#part.slot);
    this.#part.waiter.arm();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#part.waiter.remove(this);
    this.fail(this.#closedHere());
    this.#events.closed(this);
    if (this.#part.health.error !== undefined) return;
    if (producerSeat(this.#memory, this.#seat) === ownMark(this.#part))
      setProducerSeat(this.#memory, this.#seat, 0);
    noteMembership(this.#memory);
    ringAll(this.#part, this.#part.slot);
  }

  wants(): number {
    return (this.#isWaiting ? WANT.room : 0) | (this.#receipts > 0 ? WANT.receipts : 0);
  }

  holdsProcess(): boolean {
    return this.wants() !== 0;
  }

  isReady(last: boolean): boolean {
    if (this.#part.health.error !== undefined) return this.#isWaiting;
    if (this.#receipts > 0 && this.#lanes.some((lane) => lane?.receipts.hasNews())) return true;
    if (!this.#isWaiting) return false;
    const lane = this.#blocked;
    return this.#isOversized || lane === undefined || lane.isDamaged || lane.hasRoom(last);
  }

  wake(): void {
    if (this.#receipts > 0 && this.#part.health.error === undefined) {
      for (const lane of this.#lanes) lane?.answer();
      this.#countReceipts();
    }
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#events.writable();
  }

  /** Room and receipts are this producer's alone. */
  rung(): void {}

  /** The mailbox is gone: nothing that waits for a receipt will get one. */
  fail(error: Error): void {
    for (const lane of this.#lanes) lane?.receipts.fail(error);
    this.#receipts = 0;
  }

  #put(message: Outgoing): boolean {
    const { fields } = message;
    const lane = this.#lane(fields === undefined ? 0 : (fields.priority ?? 0));
    const size = encodedSize(message);
    if (size > lane.maxPayloadBytes) {
      this.#isOversized = true;
      return false;
    }
    if (this.#isTopic && lane.isUnheard) {
      this.#drop(message);
      return true;
    }
    if (!lane.put(message, size) && !this.#putAfterPublishing(lane, message, size)) {
      this.#blocked = lane;
      return false;
    }
    if (message.done !== undefined) this.#receipts += 1;
    return true;
  }

  /** A producer that may write over anything can do so with what it has published only. */
  #putAfterPublishing(lane: SendingLane, message: Outgoing, size: number): boolean {
    if (!this.#memory.geometry.lossy || !lane.isPending) return false;
    this.#publish();
    return lane.put(message, size);
  }

  /** @throws NARU_LIMIT  no memory for the lane */
  #lane(level: number): SendingLane {
    const known = this.#lanes[level];
    if (known !== undefined) return known;
    const index = provideLane(this.#part.object, this.#seat, level, this.#part.edges);
    const lane = new SendingLane(this.#part, index);
    this.#lanes[level] = lane;
    return lane;
  }

  #publish(): void {
    const { edges } = this.#part;
    edges.failpoint('offer:before-tail');
    for (let level = 0; level < this.#lanes.length; level += 1) this.#lanes[level]?.publish();
    edges.failpoint('offer:after-tail');
    ringConsumers(this.#part, -1);
    edges.failpoint('offer:after-ring');
  }

  #drop(message: Outgoing): void {
    this.#events.dropped('nobody', 1);
    const { text } = this.#part;
    if (message.done !== undefined)
      later(
        message.done,
        new NaruError('NARU_NO_CONSUMER', `${text}: nobody was there to receive it`, { mailbox: text }),
      );
  }

  #undo(batch: readonly Outgoing[], from: number, to: number): void {
    for (const lane of this.#lanes) {
      if (lane?.isPending !== true) continue;
      let receipts = 0;
      for (let index = from; index < to; index += 1) {
        const message = batch[index] as Outgoing;
        if (message.done !== undefined && this.#lanes[message.fields?.priority ?? 0] === lane) receipts += 1;
      }
      lane.abandon();
      lane.receipts.forgetLast(receipts);
    }
    this.#countReceipts();
  }

  #countReceipts(): void {
    let count = 0;
    for (const lane of this.#lanes) count += lane?.receipts.count ?? 0;
    this.#receipts = count;
  }

  #checkOpen(): void {
    const { memory } = this.#part;
    if (this.#isClosed) throw this.#closedHere();
    if (this.#part.health.error !== undefined) throw this.#part.health.error;
    const { words } = memory;
    // Plain loads: nothing is ordered by them, a value that is a moment old is as good, and an atomic load is a call each.
    const isOpen = words[CLOSED_WORD] === 0 && words[ENDED_WORD] === 0 && words[this.#faultWord] === 0;
    if (!isOpen || this.#lanes.length > 1) this.#refuse();
  }

  #refuse(): void {
    const closed = closedError(this.#part);
    if (closed !== undefined) throw closed;
    if (isEnded(this.#memory))
      throw partError(this.#part, 'NARU_CLOSED', 'it was ended; nobody can send to it any more');
    for (const lane of this.#lanes) if (lane?.isDamaged === true) throw lane.damaged();
  }

  #isOver(): boolean {
    if (this.#isClosed || this.#part.health.error !== undefined) return true;
    return isEnded(this.#memory) || isClosed(this.#memory);
  }

  #closedHere(): NaruError {
    return partError(this.#part, 'NARU_CLOSED', 'this producer was closed');
  }

  #oversized(message: Outgoing): NaruError {
    return this.#tooLarge(encodedSize(message), this.#lane(message.fields?.priority ?? 0));
  }

  #tooLarge(sizeBytes: number, lane: SendingLane): NaruError {
    const what = `a message of ${sizeBytes} bytes with its headers, the limit is ${lane.maxPayloadBytes}`;
    const advice = 'send less, or make the mailbox with a larger capacityBytes or slotBytes';
    return partError(this.#part, 'NARU_TOO_LARGE', `${what}; ${advice}`);
  }
}
