// One lane as its consumer works with it: returned messages first, then fresh ones; expired ones dropped. Joins the ring's
// records with the wire's envelope; knows nothing of bells and hooks.

import { NaruError } from '../errors/index.ts';
import type { ConsumedLane } from '../ring/consumed-lane.ts';
import { RECORD_FLAG, UNIT_BYTES } from '../ring/layout.ts';
import { distance } from '../ring/record.ts';
import type { MessageFields } from '../wire/envelope-types.ts';
import { bodyOffset, fieldsBefore } from '../wire/envelope.ts';
import type { Delivery } from '../mailbox/driver.ts';
import { LaneDelivery } from './delivery.ts';

/** What a lane tells its receiver. */
export interface LaneEvents {
  /** Scheme of the place, for errors. */
  readonly place: string;
  /** Messages were dropped: `expired`, or `undecodable` with the reason. */
  dropped(reason: 'expired' | 'undecodable', error?: Error): void;
}

/** A message of this place. */
export type RingDelivery = LaneDelivery<ReceivedLane>;

export class ReceivedLane {
  readonly index: number;
  readonly lane: ConsumedLane;
  readonly #events: LaneEvents;
  readonly #farUnits: number;
  #lookedAt: number;
  /** Its producer is told of room at the end of this turn. The receiver's note. */
  isRoomUntold = false;
  /** Taking made room for the lane's producer. The receiver clears it. */
  isRoomMade = false;
  /** What went back to this consumer and will be handed out again, in the order of their tokens. */
  #returned: RingDelivery[] = [];

  /** @param laneBytes  size of the lane */
  constructor(index: number, laneBytes: number, lane: ConsumedLane, events: LaneEvents) {
    this.index = index;
    this.lane = lane;
    this.#events = events;
    this.#farUnits = laneBytes / UNIT_BYTES / 8;
    this.#lookedAt = lane.head;
  }

  /** Whether take() may find something. */
  hasMore(): boolean {
    return this.#returned.length > 0 || this.lane.hasMore();
  }

  /** Nothing is waiting and nothing is in this consumer's hands. */
  get isDone(): boolean {
    return !this.hasMore() && this.lane.unsettled === 0;
  }

  /** True when an eighth of the lane came free since this was true last: worth looking whether somebody waits for room. */
  hasMovedFar(): boolean {
    const { head } = this.lane;
    if (distance(head, this.#lookedAt) < this.#farUnits) return false;
    this.#lookedAt = head;
    return true;
  }

  /**
   * Hands out up to `max` messages.
   *
   * @param isInPlace  with their bodies where they lie
   * @returns how many; `isRoomMade` says whether the producer has got room by it
   */
  take(max: number, out: Delivery[], isInPlace: boolean): number {
    let count = 0;
    while (count < max && this.#returned.length > 0) count += this.#takeReturned(out);
    if (count === max || !this.lane.begin(max - count, isInPlace)) return count;
    const doomed: Doomed[] = [];
    try {
      while (count < max && this.lane.next()) {
        const delivery = this.#decode(doomed);
        if (delivery === undefined) continue;
        out.push(delivery);
        count += 1;
      }
    } finally {
      this.isRoomMade = this.lane.finish() || this.isRoomMade;
      // After finish(): of shared messages only what is on record as taken can be settled.
      for (const { token, flags, error } of doomed) this.#drop(token, flags, error);
    }
    return count;
  }

  /** The present message; undefined when it is to be dropped. */
  #decode(doomed: Doomed[]): RingDelivery | undefined {
    const { reader, token, deliveries } = this.lane;
    const { payloadOffset: start, slab, flags } = reader;
    const end = start + reader.payloadBytes;
    let body: number;
    let fields: MessageFields | undefined;
    try {
      body = bodyOffset(slab.view, start, end - start);
      fields = fieldsBefore(slab.bytes, start, body);
    } catch (error) {
      doomed.push({ token, flags, error: error as Error });
      return undefined;
    }
    const delivery = new LaneDelivery<ReceivedLane>(
      this,
      token,
      reader.sender,
      deliveries,
      (flags & RECORD_FLAG.receipt) !== 0,
      fields,
      slab,
      start,
      body,
      end,
    );
    if ((flags & RECORD_FLAG.ttl) === 0 || !isExpired(delivery)) return delivery;
    doomed.push({ token, flags, error: undefined });
    return undefined;
  }

  /**
   * Takes a message back.
   * @param isCounted  whether its next delivery counts as one more
   * @returns true when any consumer may have it now
   */
  giveBack(delivery: RingDelivery, isCounted: boolean): boolean {
    if (this.lane.giveBack(delivery.token, isCounted)) return true;
    const again = delivery.again(delivery.deliveries + (isCounted ? 1 : 0));
    let at = this.#returned.length;
    while (at > 0 && (this.#returned[at - 1] as RingDelivery).token > again.token) at -= 1;
    this.#returned.splice(at, 0, again);
    return false;
  }

  #takeReturned(out: Delivery[]): number {
    const delivery = this.#returned.shift() as RingDelivery;
    if (delivery.fields?.ttlMs !== undefined && isExpired(delivery)) {
      this.#drop(delivery.token, delivery.receipt ? RECORD_FLAG.receipt : 0, undefined);
      return 0;
    }
    this.lane.handOutAgain(delivery.token, delivery.deliveries);
    out.push(delivery);
    return 1;
  }

  #drop(token: number, flags: number, error: Error | undefined): void {
    // Its producer may be waiting for a receipt, which must not say that somebody received it.
    if ((flags & RECORD_FLAG.receipt) !== 0) this.lane.drop(token);
    this.lane.settle(token);
    this.isRoomMade = this.lane.commit() || this.isRoomMade;
    const told =
      error === undefined
        ? undefined
        : new NaruError('NARU_CORRUPT', `A message in lane ${this.index} is damaged: ${error.message}`, {
            place: this.#events.place,
            cause: error,
          });
    this.#events.dropped(error === undefined ? 'expired' : 'undecodable', told);
  }
}

/** A message that nobody will receive. */
interface Doomed {
  readonly token: number;
  readonly flags: number;
  readonly error: Error | undefined;
}

function isExpired(delivery: RingDelivery): boolean {
  const ttlMs = delivery.fields?.ttlMs;
  return ttlMs !== undefined && delivery.time + ttlMs <= Date.now();
}
