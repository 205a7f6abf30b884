// For tests of the ring: a mailbox's memory as a plain SharedArrayBuffer, with lanes that start where the test wants.

import type { ConsumedLane } from './consumed-lane.ts';
import { ExclusiveLane } from './exclusive-lane.ts';
import { LaneWriter } from './lane-writer.ts';
import { HEADER, LANE, LANE_BYTES_MIN } from './layout.ts';
import {
  geometryOf,
  headerWord,
  laneWord,
  type RingMemory,
  type RingShape,
  ringMemory,
  writeHeader,
} from './memory.ts';
import { SlabSource } from './slab.ts';

/** @param position  where every lane starts, in units */
export function bareRing(shape: Partial<RingShape> = {}, position = 0): RingMemory {
  const laneBytes = shape.laneBytes ?? LANE_BYTES_MIN;
  const geometry = geometryOf(
    {
      relation: 'N:1',
      deliver: 'one',
      lossy: false,
      levels: 1,
      retain: 0,
      owner: 'users',
      laneBytes,
      slotBytes: 0,
      maxMessageBytes: laneBytes / 8,
      ...shape,
    },
    0,
  );
  const memory = ringMemory(new SharedArrayBuffer(geometry.fileBytes), geometry);
  writeHeader(memory);
  for (let lane = 0; lane < geometry.laneCount; lane += 1)
    for (const field of [LANE.tail, LANE.head, LANE.taken]) memory.words[laneWord(lane, field)] = position;
  for (let level = 0; level < geometry.levels; level += 1)
    memory.words[headerWord(HEADER.levelLanes) + level] = 2 ** geometry.maxProducers - 1;
  return memory;
}

export function writerOf(memory: RingMemory, lane = 0, identity = '1.2.3/4'): LaneWriter {
  return new LaneWriter(memory, lane, Buffer.from(identity, 'latin1'));
}

export function readerOf(
  memory: RingMemory,
  lane = 0,
  faults: Error[] = [],
  slabs: SlabSource = new SlabSource(),
): ExclusiveLane {
  return new ExclusiveLane(memory, lane, slabs, {
    fault: (error) => faults.push(error),
    failpoint: () => undefined,
  });
}

/** Writes one message and publishes it. @returns false when there is no room */
export function put(memory: RingMemory, writer: LaneWriter, body: Uint8Array, flags = 0): boolean {
  let at = writer.reserve(body.length, flags);
  if (at < 0) {
    if (!writer.findRoom()) throw new Error('impossible head');
    at = writer.reserve(body.length, flags);
    if (at < 0) return false;
  }
  memory.bytes.set(body, at);
  writer.publish();
  return true;
}

/** The present message of a lane. */
export function bodyOf({ reader }: ConsumedLane): Uint8Array {
  const { slab, payloadOffset, payloadBytes } = reader;
  return slab.bytes.slice(payloadOffset, payloadOffset + payloadBytes);
}

/** Every message there is, settled. */
export function drain(lane: ConsumedLane): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  if (!lane.begin(1_000_000, false)) return bodies;
  const tokens: number[] = [];
  while (lane.next()) {
    bodies.push(bodyOf(lane));
    tokens.push(lane.token);
  }
  lane.finish();
  for (const token of tokens) lane.settle(token);
  lane.commit();
  return bodies;
}

/** Bytes that tell messages apart. */
export function bodyNumber(number: number, length: number): Uint8Array {
  const body = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) body[i] = (number * 31 + i * 7 + 1) & 0xff;
  return body;
}
