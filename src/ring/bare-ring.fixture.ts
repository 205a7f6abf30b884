// For tests of the ring: a mailbox's memory as a plain SharedArrayBuffer, with lanes that start where the test wants.

import { LaneReader } from './lane-reader.ts';
import { LaneWriter } from './lane-writer.ts';
import { LANE, LANE_BYTES_MIN } from './layout.ts';
import { geometryOf, laneWord, type RingMemory, type RingShape, ringMemory, writeHeader } from './memory.ts';
import { SlabSource } from './slab.ts';

/** @param position  where every lane starts, in units */
export function bareRing(shape: Partial<RingShape> = {}, position = 0): RingMemory {
  const laneBytes = shape.laneBytes ?? LANE_BYTES_MIN;
  const geometry = geometryOf(
    { relation: 'N:1', owner: 'users', laneBytes, slotBytes: 0, maxMessageBytes: laneBytes / 8, ...shape },
    0,
  );
  const memory = ringMemory(new SharedArrayBuffer(geometry.fileBytes), geometry);
  writeHeader(memory);
  for (let lane = 0; lane < geometry.laneCount; lane += 1)
    for (const field of [LANE.tail, LANE.head, LANE.taken, LANE.received])
      memory.words[laneWord(lane, field)] = position;
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
): LaneReader {
  return new LaneReader(memory, lane, slabs, {
    fault: (error) => faults.push(error),
    failpoint: () => undefined,
  });
}

/** Writes one message and publishes it. @returns false when there is no room */
export function put(memory: RingMemory, writer: LaneWriter, body: Uint8Array, flags = 0): boolean {
  let at = writer.reserve(body.length, flags);
  if (at < 0) {
    if (!writer.admit(writer.loadHead())) throw new Error('impossible head');
    at = writer.reserve(body.length, flags);
    if (at < 0) return false;
  }
  memory.bytes.set(body, at);
  writer.publish();
  return true;
}

/** The present message of a reader. */
export function bodyOf(reader: LaneReader): Uint8Array {
  const { slab, payloadOffset, payloadBytes } = reader;
  return slab.bytes.slice(payloadOffset, payloadOffset + payloadBytes);
}

/** Every message there is, settled. */
export function drain(reader: LaneReader): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  while (reader.next()) {
    bodies.push(bodyOf(reader));
    reader.ledger.settle(reader.token);
  }
  reader.ledger.publishTaken();
  reader.ledger.commit();
  return bodies;
}

/** Bytes that tell messages apart. */
export function bodyNumber(number: number, length: number): Uint8Array {
  const body = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) body[i] = (number * 31 + i * 7 + 1) & 0xff;
  return body;
}
