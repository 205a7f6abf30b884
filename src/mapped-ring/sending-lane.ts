// One lane as its producer works with it: messages into records, receipts for them, room. Joins the ring's records with the
// wire's envelope; knows nothing of bells and hooks.

import type { NaruError } from '../errors/index.ts';
import type { Outgoing } from '../mailbox/driver.ts';
import { LaneWriter } from '../ring/lane-writer.ts';
import { LANE, RECORD_FLAG } from '../ring/layout.ts';
import { laneWord } from '../ring/memory.ts';
import { encodeEnvelope } from '../wire/envelope.ts';
import { partError, type Participation } from './participation.ts';
import { PendingReceipts } from './receipts.ts';

export class SendingLane {
  readonly index: number;
  readonly receipts: PendingReceipts;
  readonly #part: Participation;
  readonly #writer: LaneWriter;
  readonly #faultWord: number;

  /** @param index  a lane of a seat that is this handle's, and that has its memory */
  constructor(part: Participation, index: number) {
    this.index = index;
    this.#part = part;
    this.#writer = new LaneWriter(
      part.memory,
      index,
      Buffer.from(part.identity, 'latin1'),
      part.edges.failpoint,
    );
    this.receipts = new PendingReceipts(this.#writer, part.site.place);
    this.#faultWord = laneWord(index, LANE.fault);
  }

  get maxPayloadBytes(): number {
    return this.#writer.maxPayloadBytes;
  }

  get isPending(): boolean {
    return this.#writer.isPending;
  }

  get isDamaged(): boolean {
    return Atomics.load(this.#part.memory.words, this.#faultWord) !== 0;
  }

  /** Nobody would ever receive what is sent now: a topic without consumers that keeps nothing for late ones. */
  get isUnheard(): boolean {
    return this.#part.memory.geometry.retain === 0 && !this.#writer.hasListeners();
  }

  /**
   * Puts a message into the lane, unpublished.
   *
   * @param size  its encodedSize()
   * @returns false when there is no room
   * @throws NARU_CORRUPT
   */
  put(message: Outgoing, size: number): boolean {
    const { memory } = this.#part;
    const { done, fields } = message;
    const isExpiring = fields !== undefined && fields.ttlMs !== undefined;
    const flags = (done === undefined ? 0 : RECORD_FLAG.receipt) | (isExpiring ? RECORD_FLAG.ttl : 0);
    const at = this.reserve(size, flags);
    if (at < 0) return false;
    encodeEnvelope(message, memory.bytes, memory.view, at);
    if (done !== undefined) this.receipts.add(at, this.#writer.position, done);
    return true;
  }

  /** @returns byte offset of the payload in the mapped memory; -1 when there is no room @throws NARU_CORRUPT */
  reserve(payloadBytes: number, flags: number): number {
    const at = this.#writer.reserve(payloadBytes, flags);
    if (at >= 0) return at;
    // Receipts first: what is free will be written over.
    if (this.receipts.count > 0) this.receipts.resolve(this.#writer.loadHead());
    if (!this.#writer.findRoom()) throw this.damaged();
    return this.#writer.reserve(payloadBytes, flags);
  }

  shrink(at: number, payloadBytes: number): void {
    this.#writer.shrink(at, payloadBytes);
  }

  publish(): void {
    if (this.#writer.isPending) this.#writer.publish();
  }

  abandon(): void {
    this.#writer.abandon();
  }

  /** Answers the receipts of what was received. */
  answer(): void {
    if (this.receipts.count > 0) this.receipts.resolve(this.#writer.loadHead());
  }

  /** @param last  false while lingering, when only much room is worth a turn */
  hasRoom(last: boolean): boolean {
    return last ? this.#writer.hasRoom() : this.#writer.hasMuchRoom();
  }

  damaged(): NaruError {
    const what = `lane ${this.index} is damaged and out of use; open the mailbox again to get another lane`;
    return partError(this.#part, 'NARU_CORRUPT', `${what}, and find out who wrote into it`);
  }
}
