// A lane that every consumer of a topic reads from end to end. Each has a cursor of its own in it; nobody writes into the lane
// but its producer. Where the producer may write over what is not read yet (lossy), what was missed is counted.

import type { ConsumedLane } from './consumed-lane.ts';
import { LaneReader, type ReaderEdges } from './lane-reader.ts';
import * as L from './layout.ts';
import { cursorWord, laneWord, type RingMemory } from './memory.ts';
import {
  distance,
  identityAt,
  identityText,
  isIdentity,
  isMessage,
  LaneRecords,
  RecordWalk,
} from './record.ts';
import { SettleWindow } from './settle-window.ts';
import type { Slabs } from './slab.ts';
import { readFloor } from './topic-floor.ts';

/** What a topic lane is given from outside. */
export interface TopicEdges extends ReaderEdges {
  /** So many messages were written over before they were read. */
  readonly gap: (count: number) => void;
}

/** Where a consumer starts in a lane. */
export interface TopicStart {
  readonly position: number;
  /** Number of the first message from there on; counts from the lane's first message, modulo 2^32. */
  readonly ordinal: number;
  readonly sender: string;
}

export class TopicLane implements ConsumedLane {
  readonly reader: LaneReader;
  readonly deliveries = 1;
  readonly #memory: RingMemory;
  readonly #lane: number;
  readonly #window: SettleWindow;
  readonly #records: LaneRecords;
  readonly #edges: TopicEdges;
  readonly #cursorWord: number;
  readonly #tailWord: number;
  readonly #units: number;
  #storedCursor: number;
  #ordinal: number;
  #token = 0;

  /** The cursor is at `start` already, so that the producer of a lossless topic leaves alone what lies there. */
  constructor(
    memory: RingMemory,
    lane: number,
    consumer: number,
    start: TopicStart,
    slabs: Slabs,
    edges: TopicEdges,
  ) {
    const { geometry } = memory;
    this.#memory = memory;
    this.#lane = lane;
    this.#records = new LaneRecords(memory, lane);
    this.#edges = edges;
    this.#cursorWord = cursorWord(geometry, consumer, lane);
    this.#tailWord = laneWord(lane, L.LANE.tail);
    this.#units = geometry.laneBytes / L.UNIT_BYTES;
    this.#storedCursor = start.position;
    this.#ordinal = start.ordinal;
    this.#window = new SettleWindow(start.position);
    this.reader = new LaneReader(memory, lane, start.position, start.sender, slabs, edges, {
      identity: () => undefined,
    });
  }

  get token(): number {
    return this.#token;
  }

  get unsettled(): number {
    return this.#window.unsettled;
  }

  get head(): number {
    return this.#window.head;
  }

  hasMore(): boolean {
    return this.reader.hasMore();
  }

  isHeld(): boolean {
    return false;
  }

  begin(_max: number, isInPlace: boolean): boolean {
    this.reader.readInPlace(isInPlace);
    return true;
  }

  next(): boolean {
    const { reader } = this;
    while (!reader.next()) {
      if (!reader.isOverrun || !this.#catchUp()) return false;
    }
    this.#ordinal = (this.#ordinal + 1) | 0;
    this.#token = this.#window.enter(reader.start, reader.position);
    return true;
  }

  /**
   * The producer wrote over what comes next: goes on at the oldest message that is still whole.
   * @returns false when the lane is damaged: a floor only ever moves ahead
   */
  #catchUp(): boolean {
    const { position, ordinal } = readFloor(this.#memory, this.#lane);
    if (distance(position, this.reader.position) <= 0) {
      this.reader.quarantine('its floor has moved backwards');
      return false;
    }
    const sender = identityAt(this.#memory, this.#lane);
    this.reader.seek(position, sender);
    const missed = distance(ordinal, this.#ordinal);
    this.#ordinal = ordinal;
    if (missed > 0) this.#edges.gap(missed);
    return true;
  }

  /** Padding and identities at the end of a batch need not wait for the next message to be passed. */
  finish(): boolean {
    if (!this.#window.isEmpty) return false;
    this.#window.moveTo(this.reader.position);
    return this.commit();
  }

  settle(token: number): void {
    this.#window.settle(token);
  }

  commit(): boolean {
    const { head } = this.#window;
    if (head === this.#storedCursor) return false;
    this.#edges.failpoint('settle:before-head');
    this.#storedCursor = head;
    // SYNC: room. Pairs with the loads of all cursors in TopicFloor: this consumer is done with all bytes before it.
    Atomics.store(this.#memory.words, this.#cursorWord, head);
    this.#edges.failpoint('settle:after-head');
    return true;
  }

  /** The other consumers have had the message too, or will: it goes back to this one only. */
  giveBack(): false {
    return false;
  }

  handOutAgain(): void {}

  /** What one consumer drops the others may receive. */
  drop(): void {}

  received(token: number): boolean {
    const position = this.#window.startOf(token);
    // In a lossy topic the record may be gone, and with it the receipt's place.
    if (this.#memory.geometry.lossy) return false;
    const word = this.#records.flagsWord(position);
    return (Atomics.or(this.#memory.words, word, L.RECORD_FLAG.received) & L.RECORD_FLAG.received) === 0;
  }

  isEmptied(): boolean {
    return !this.hasMore() && this.unsettled === 0;
  }

  isHalfFree(): boolean {
    return distance(Atomics.load(this.#memory.words, this.#tailWord), this.head) <= this.#units >>> 1;
  }

  /** The seat's cursors go with the seat. */
  leave(): void {}
}

/** One message of a topic as a late consumer finds it. */
export interface RetainedMessage {
  readonly start: TopicStart;
  /** Byte offset of its payload in the mapped memory. */
  readonly payloadOffset: number;
  readonly payloadBytes: number;
}

/**
 * Goes through what a lane still holds. The caller's cursor keeps it there; in a lossy topic it is a look at best.
 *
 * @returns where new messages start, and the last `most` messages before that
 */
export function retainedIn(
  memory: RingMemory,
  lane: number,
  most: number,
): { readonly end: TopicStart; readonly messages: RetainedMessage[] } {
  const records = new LaneRecords(memory, lane);
  const floor = readFloor(memory, lane);
  const tail = Atomics.load(memory.words, laneWord(lane, L.LANE.tail));
  const walk = new RecordWalk(records, floor.position, tail);
  let { ordinal } = floor;
  let sender = identityAt(memory, lane);
  let messages: RetainedMessage[] = [];
  while (walk.next()) {
    const { position, flags } = walk;
    if (isIdentity(flags)) sender = identityText(records.identityBytes(position));
    if (isMessage(flags)) {
      if (most > 0)
        messages.push({
          start: { position, ordinal, sender },
          payloadOffset: records.payloadOffset(position),
          payloadBytes: records.length(position),
        });
      // Not at each message: cutting costs as much as it saves.
      if (messages.length > 2 * most) messages = messages.slice(-most);
      ordinal = (ordinal + 1) | 0;
    }
  }
  return {
    end: { position: walk.end, ordinal, sender },
    messages: messages.slice(messages.length - Math.min(most, messages.length)),
  };
}
