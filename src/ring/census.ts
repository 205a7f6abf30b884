// Looking at what lies in the lanes without taking anything: counts for stats, for what close() reports and for `naru ls`;
// copies for peek(). Works on a live mailbox, where the figures are exact only while nobody moves; costs nothing on the way of
// messages.

import { sleepsFor } from './doorbell.ts';
import { ownerSlot } from './lane-state.ts';
import * as L from './layout.ts';
import { cursorWord, laneWord, type RingMemory } from './memory.ts';
import { bitsOf, consumerMask, consumerSeat, laneOwner, listLanes, slotOf } from './participants.ts';
import {
  distance,
  identityAt,
  identityText,
  isIdentity,
  isMessage,
  LaneRecords,
  RecordWalk,
} from './record.ts';
import { slowestCursor } from './topic-floor.ts';

export interface Census {
  /** Messages that nobody has taken, or that went back. Of a topic: those the slowest consumer has not settled. */
  readonly depth: number;
  /** Their payload in bytes. */
  readonly depthBytes: number;
  /** Messages taken by a consumer, dead or alive, and not settled. Of a topic: 0, only its consumers know. */
  readonly unsettled: number;
  /** Messages that are still to be delivered, by the identity of their producer. */
  readonly bySender: ReadonlyMap<string, number>;
}

/** A message as it lies in a lane. */
export interface SeenMessage {
  readonly lane: number;
  readonly position: number;
  readonly flags: number;
  readonly sender: string;
  readonly payloadBytes: number;
  /** Nobody has it at the moment. */
  readonly isWaiting: boolean;
}

/** Walks all lanes once. Stops in a lane at the first record that makes no sense. */
export function takeCensus(memory: RingMemory): Census {
  let depth = 0;
  let depthBytes = 0;
  let unsettled = 0;
  const bySender = new Map<string, number>();
  for (const lane of listLanes(memory)) {
    eachMessage(memory, lane, ({ isWaiting, payloadBytes, sender }) => {
      if (isWaiting) {
        depth += 1;
        depthBytes += payloadBytes;
      } else unsettled += 1;
      bySender.set(sender, (bySender.get(sender) ?? 0) + 1);
      return true;
    });
  }
  return { depth, depthBytes, unsettled, bySender };
}

/** A message that was copied out of its lane. */
export interface PeekedMessage extends SeenMessage {
  readonly payload: Uint8Array;
}

/** Copies of up to `most` waiting messages of each lane, oldest first. */
export function peekLanes(memory: RingMemory, most: number): PeekedMessage[] {
  const peeked: PeekedMessage[] = [];
  for (const lane of listLanes(memory)) {
    const records = new LaneRecords(memory, lane);
    const headWord = laneWord(lane, L.LANE.head);
    let left = most;
    eachMessage(memory, lane, (seen) => {
      if (!seen.isWaiting) return true;
      const at = records.payloadOffset(seen.position);
      const payload = memory.bytes.slice(at, at + seen.payloadBytes);
      // Only now is it known that nobody has written over it meanwhile.
      if (distance(Atomics.load(memory.words, headWord), seen.position) > 0) return true;
      peeked.push({ ...seen, payload });
      left -= 1;
      return left > 0;
    });
  }
  return peeked;
}

/** @param visit  returns false to end */
function eachMessage(memory: RingMemory, lane: number, visit: (message: SeenMessage) => boolean): void {
  const records = new LaneRecords(memory, lane);
  const taken = Atomics.load(memory.words, laneWord(lane, L.LANE.taken));
  const tail = Atomics.load(memory.words, laneWord(lane, L.LANE.tail));
  const from = deliverFrom(memory, lane, tail);
  const { mode } = memory.geometry;
  let sender = identityAt(memory, lane);
  const walk = new RecordWalk(records, Atomics.load(memory.words, laneWord(lane, L.LANE.head)), tail);
  while (walk.next()) {
    const { position, flags } = walk;
    if (isIdentity(flags)) sender = identityText(records.identityBytes(position));
    const isOpen =
      isMessage(flags) &&
      distance(position, from) >= 0 &&
      (mode === 'topic' || (flags & L.RECORD_FLAG.settled) === 0 || distance(position, taken) >= 0);
    if (isOpen) {
      const isWaiting =
        mode === 'topic' ||
        distance(position, taken) >= 0 ||
        (flags & (L.RECORD_FLAG.released | L.RECORD_FLAG.returned)) !== 0;
      const payloadBytes = records.length(position);
      if (!visit({ lane, position, flags, sender, payloadBytes, isWaiting })) return;
    }
  }
}

/** Position before which nothing is to be delivered any more. */
function deliverFrom(memory: RingMemory, lane: number, tail: number): number {
  return memory.geometry.mode === 'topic'
    ? slowestCursor(memory, lane, tail)
    : Atomics.load(memory.words, laneWord(lane, L.LANE.head));
}

/**
 * Participants (slots) for whom a producer waits: who has the oldest message of its lane, who holds the lane, or whose cursor is
 * last. A producer waits when it sleeps for room, or when next to nothing of its lane is free.
 */
export function findBlockers(memory: RingMemory): number[] {
  const slots = new Set<number>();
  const units = memory.geometry.laneBytes / L.UNIT_BYTES;
  for (const lane of listLanes(memory)) {
    const at = (field: number): number => Atomics.load(memory.words, laneWord(lane, field));
    const tail = at(L.LANE.tail);
    const from = deliverFrom(memory, lane, tail);
    const used = distance(tail, from);
    if (used === 0 || !(used > units - units / 8 || sleepsForRoom(memory, lane))) continue;
    for (const slot of blockersOf(memory, lane, from)) slots.add(slot);
  }
  slots.delete(-1);
  return [...slots];
}

function sleepsForRoom(memory: RingMemory, lane: number): boolean {
  const slot = slotOf(laneOwner(memory, lane));
  return slot >= 0 && sleepsFor(memory.words, slot, L.WANT.room);
}

function blockersOf(memory: RingMemory, lane: number, from: number): number[] {
  const { mode } = memory.geometry;
  const seats = bitsOf(consumerMask(memory));
  const at = (field: number): number => Atomics.load(memory.words, laneWord(lane, field));
  if (mode === 'topic')
    return seats
      .filter((seat) => Atomics.load(memory.words, cursorWord(memory.geometry, seat, lane)) === from)
      .map((seat) => slotOf(consumerSeat(memory, seat)));
  if (at(L.LANE.taken) === from) return [slotOf(at(L.LANE.hold))];
  if (mode === 'exclusive') return seats.map((seat) => slotOf(consumerSeat(memory, seat)));
  return [ownerSlot(new LaneRecords(memory, lane).flags(from)), slotOf(at(L.LANE.hold))];
}
