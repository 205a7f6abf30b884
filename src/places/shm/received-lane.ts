// One lane as its consumer works with it: fresh messages from the reader, returned ones before them, expired ones dropped.
// Joins the ring's records with the wire's envelope; knows nothing of bells and hooks.

import { NaruError } from '../../errors/index.ts';
import type { LaneLedger } from '../../ring/lane-ledger.ts';
import { LaneReader, type ReaderEdges } from '../../ring/lane-reader.ts';
import { RECORD_FLAG, UNIT_BYTES } from '../../ring/layout.ts';
import type { RingMemory } from '../../ring/memory.ts';
import type { SlabSource } from '../../ring/slab.ts';
import type { MessageFields } from '../../wire/envelope-types.ts';
import { bodyOffset, fieldsBefore } from '../../wire/envelope.ts';
import type { Delivery } from '../../mailbox/driver.ts';
import { ShmDelivery } from './delivery.ts';

/** What a lane tells its receiver. */
export interface LaneEvents extends ReaderEdges {
  /** Messages were dropped: `expired`, or `undecodable` with the reason. */
  dropped(reason: 'expired' | 'undecodable', error?: Error): void;
}

export class ReceivedLane {
  readonly index: number;
  readonly ledger: LaneLedger;
  readonly #reader: LaneReader;
  readonly #events: LaneEvents;
  readonly #farUnits: number;
  #lookedAt: number;
  /** Its producer is told of room at the end of this turn. The receiver's note. */
  isRoomUntold = false;
  /** What went back and will be handed out again, in the order of their tokens. */
  #returned: ShmDelivery[] = [];

  constructor(memory: RingMemory, index: number, slabs: SlabSource, events: LaneEvents) {
    this.index = index;
    this.#reader = new LaneReader(memory, index, slabs, events);
    this.ledger = this.#reader.ledger;
    this.#events = events;
    this.#farUnits = memory.geometry.laneBytes / UNIT_BYTES / 8;
    this.#lookedAt = this.ledger.head;
  }

  /** Whether take() may find something. */
  hasMore(): boolean {
    return this.#returned.length > 0 || this.#reader.hasMore();
  }

  /** Nothing is waiting and nothing is in anybody's hands. */
  get isDone(): boolean {
    return !this.hasMore() && this.ledger.unsettled === 0;
  }

  /** At least half of the lane is free for its producer. */
  isHalfFree(): boolean {
    return this.#reader.isHalfFree();
  }

  /** True when an eighth of the lane came free since this was true last: worth looking whether somebody waits for room. */
  hasMovedFar(): boolean {
    const { head } = this.ledger;
    if (((head - this.#lookedAt) | 0) < this.#farUnits) return false;
    this.#lookedAt = head;
    return true;
  }

  /** Hands out up to `max` messages. @returns how many */
  take(max: number, out: Delivery[]): number {
    let count = 0;
    while (count < max && this.#returned.length > 0) count += this.#takeReturned(out);
    const reader = this.#reader;
    const before = count;
    while (count < max && reader.next()) {
      const { payloadOffset: start, slab, flags } = reader;
      const end = start + reader.payloadBytes;
      let body: number;
      let fields: MessageFields | undefined;
      try {
        body = bodyOffset(slab.view, start, end - start);
        fields = fieldsBefore(slab.bytes, start, body);
      } catch (error) {
        this.#drop(reader.token, flags, 'undecodable', error as Error);
        continue;
      }
      const delivery = new ShmDelivery(
        this.index,
        reader.token,
        reader.sender,
        reader.deliveries,
        (flags & RECORD_FLAG.receipt) !== 0,
        fields,
        slab,
        start,
        body,
        end,
      );
      if ((flags & RECORD_FLAG.ttl) !== 0 && isExpired(delivery)) {
        this.#drop(reader.token, flags, 'expired');
        continue;
      }
      out.push(delivery);
      count += 1;
    }
    if (count > before) this.ledger.publishTaken();
    return count;
  }

  /** Takes a message back. @param deliveries  what its next delivery counts as */
  giveBack(delivery: ShmDelivery, deliveries: number): void {
    const again = delivery.again(deliveries);
    let at = this.#returned.length;
    while (at > 0 && (this.#returned[at - 1] as ShmDelivery).token > again.token) at -= 1;
    this.#returned.splice(at, 0, again);
  }

  #takeReturned(out: Delivery[]): number {
    const delivery = this.#returned.shift() as ShmDelivery;
    if (delivery.fields?.ttlMs !== undefined && isExpired(delivery)) {
      this.#drop(delivery.token, delivery.receipt ? RECORD_FLAG.receipt : 0, 'expired');
      return 0;
    }
    this.ledger.handOutAgain(delivery.token, delivery.deliveries);
    out.push(delivery);
    return 1;
  }

  #drop(token: number, flags: number, reason: 'expired' | 'undecodable', error?: Error): void {
    // Its producer may be waiting for a receipt, which must not say that somebody received it.
    if ((flags & RECORD_FLAG.receipt) !== 0) this.ledger.drop(token);
    // `taken` never falls behind the head.
    this.ledger.publishTaken();
    this.ledger.settle(token);
    this.ledger.commit();
    const told =
      error === undefined
        ? undefined
        : new NaruError('NARU_CORRUPT', `A message in lane ${this.index} is damaged: ${error.message}`, {
            place: 'shm',
            cause: error,
          });
    this.#events.dropped(reason, told);
  }
}

function isExpired(delivery: ShmDelivery): boolean {
  const ttlMs = delivery.fields?.ttlMs;
  return ttlMs !== undefined && delivery.time + ttlMs <= Date.now();
}
