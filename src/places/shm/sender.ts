// The sending end: messages into this producer's own lane, receipts back, and waiting for room.

import { NaruError } from '../../errors/index.ts';
import type { Outgoing, Sender } from '../../mailbox/driver.ts';
import { HEADER, LANE, RECORD_FLAG, WANT } from '../../ring/layout.ts';
import { LaneWriter } from '../../ring/lane-writer.ts';
import { headerWord, laneWord, type RingMemory } from '../../ring/memory.ts';
import { laneOwner, noteMembership, setLaneOwner } from '../../ring/participants.ts';
import { encodedSize, encodeEnvelope } from '../../wire/envelope.ts';
import { closedError, isEnded, ownMark, type Participation, ringAll, ringConsumer } from './participation.ts';
import { PendingReceipts } from './receipts.ts';
import type { WaitingEnd } from './waiter.ts';

/** What a sender tells its driver. */
export interface SenderEvents {
  writable(): void;
  closed(sender: ShmSender): void;
  readonly housekeeping: () => void;
}

const CLOSED_WORD = headerWord(HEADER.closed);
const ENDED_WORD = headerWord(HEADER.ended);

export class ShmSender implements Sender, WaitingEnd {
  readonly #part: Participation;
  readonly #memory: RingMemory;
  readonly #writer: LaneWriter;
  readonly #receipts: PendingReceipts;
  readonly #events: SenderEvents;
  readonly #faultWord: number;
  #isWaiting = false;
  #isOversized = false;
  #isClosed = false;

  /** @param lane  a lane whose owner is already this handle, under the mailbox's lock */
  constructor(part: Participation, lane: number, events: SenderEvents) {
    this.#part = part;
    this.#memory = part.memory;
    this.#writer = new LaneWriter(part.memory, lane, Buffer.from(part.identity, 'latin1'));
    this.#receipts = new PendingReceipts(part.memory, this.#writer);
    this.#events = events;
    this.#faultWord = laneWord(lane, LANE.fault);
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
    if (this.#isOversized && index === from) throw this.#tooLarge(batch[index] as Outgoing);
    const waited = this.#isWaiting;
    this.#isWaiting = index < batch.length;
    // Who sleeps already must say that it wants receipts too, or nobody rings for them.
    if (this.#isWaiting || this.#receipts.count > 0) this.#part.waiter.arm();
    else if (waited) this.#part.waiter.disarm();
    return index - from;
  }

  waitSync(timeoutMs: number): 'ready' | 'timeout' | 'interrupted' {
    const isReady = (): boolean => this.isReady(true) || this.#isOver();
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
    this.#receipts.fail(this.#closedHere());
    this.#events.closed(this);
    if (this.#part.health.error !== undefined) return;
    if (laneOwner(this.#memory, this.#writer.lane) === ownMark(this.#part))
      setLaneOwner(this.#memory, this.#writer.lane, 0);
    noteMembership(this.#memory);
    ringAll(this.#part, this.#part.slot);
  }

  wants(): number {
    return (this.#isWaiting ? WANT.room : 0) | (this.#receipts.count > 0 ? WANT.receipts : 0);
  }

  holdsProcess(): boolean {
    return this.wants() !== 0;
  }

  isReady(last: boolean): boolean {
    if (this.#receipts.count > 0 && this.#receipts.hasNews()) return true;
    if (!this.#isWaiting) return false;
    if (this.#isOversized || this.#isDamaged()) return true;
    return last ? this.#writer.hasRoom() : this.#writer.hasMuchRoom();
  }

  wake(): void {
    if (this.#receipts.count > 0 && this.#part.health.error === undefined)
      this.#receipts.resolve(this.#writer.loadHead());
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#events.writable();
  }

  /** The mailbox is gone: nothing that waits for a receipt will get one. */
  fail(error: Error): void {
    this.#receipts.fail(error);
  }

  #put(message: Outgoing): boolean {
    const size = encodedSize(message);
    if (size > this.#writer.maxPayloadBytes) {
      this.#isOversized = true;
      return false;
    }
    const flags =
      (message.done === undefined ? 0 : RECORD_FLAG.receipt) |
      (message.fields?.ttlMs === undefined ? 0 : RECORD_FLAG.ttl);
    let at = this.#writer.reserve(size, flags);
    if (at < 0) {
      if (!this.#findRoom()) return false;
      at = this.#writer.reserve(size, flags);
      if (at < 0) return false;
    }
    encodeEnvelope(message, this.#memory.bytes, this.#memory.view, at);
    if (message.done !== undefined) this.#receipts.add(at, this.#writer.position, message.done);
    return true;
  }

  /** Looks how far the consumer got. Receipts first: what is free will be written over. */
  #findRoom(): boolean {
    const head = this.#writer.loadHead();
    if (this.#receipts.count > 0) this.#receipts.resolve(head);
    if (this.#writer.admit(head)) return true;
    throw this.#damaged();
  }

  #publish(): void {
    const { edges } = this.#part;
    edges.failpoint('offer:before-tail');
    this.#writer.publish();
    edges.failpoint('offer:after-tail');
    ringConsumer(this.#part, WANT.messages);
    edges.failpoint('offer:after-ring');
  }

  #undo(batch: readonly Outgoing[], from: number, to: number): void {
    this.#writer.abandon();
    let receipts = 0;
    for (let index = from; index < to; index += 1) if (batch[index]?.done !== undefined) receipts += 1;
    this.#receipts.forgetLast(receipts);
  }

  #checkOpen(): void {
    const { memory } = this.#part;
    if (this.#isClosed) throw this.#closedHere();
    if (this.#part.health.error !== undefined) throw this.#part.health.error;
    const { words } = memory;
    // Plain loads: nothing is ordered by them, a value that is a moment old is as good, and an atomic load is a call each.
    const isOpen = words[CLOSED_WORD] === 0 && words[ENDED_WORD] === 0 && words[this.#faultWord] === 0;
    if (!isOpen) this.#refuse();
  }

  #refuse(): void {
    const { memory, text } = this.#part;
    const closed = closedError(memory, text);
    if (closed !== undefined) throw closed;
    if (isEnded(memory)) {
      throw new NaruError('NARU_CLOSED', `${text}: it was ended; nobody can send to it any more`, {
        place: 'shm',
        mailbox: text,
      });
    }
    if (this.#isDamaged()) throw this.#damaged();
  }

  #isDamaged(): boolean {
    return Atomics.load(this.#memory.words, this.#faultWord) !== 0;
  }

  #isOver(): boolean {
    if (this.#isClosed || this.#part.health.error !== undefined) return true;
    return isEnded(this.#memory) || closedError(this.#memory, '') !== undefined;
  }

  #closedHere(): NaruError {
    const { text } = this.#part;
    return new NaruError('NARU_CLOSED', `${text}: this producer was closed`, { place: 'shm', mailbox: text });
  }

  #damaged(): NaruError {
    const { text } = this.#part;
    return new NaruError(
      'NARU_CORRUPT',
      `${text}: lane ${this.#writer.lane} is damaged and out of use; open the mailbox again to get another lane, and find out who wrote into it`,
      { place: 'shm', mailbox: text },
    );
  }

  #tooLarge(message: Outgoing): NaruError {
    const { text } = this.#part;
    return new NaruError(
      'NARU_TOO_LARGE',
      `${text}: a message of ${encodedSize(message)} bytes with its headers, the limit is ${this.#writer.maxPayloadBytes}; ` +
        'send less, or make the mailbox with a larger capacityBytes or slotBytes',
      { place: 'shm', mailbox: text },
    );
  }
}
