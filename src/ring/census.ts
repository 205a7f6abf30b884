// Counting what lies in the lanes, without taking anything: for stats, for what close() reports, for `naru ls`. Works on a
// live mailbox, where the figures are exact only while nobody moves; costs nothing on the way of messages.

import { recordBytes } from './lane-writer.ts';
import { identityAt } from './lane-reader.ts';
import * as L from './layout.ts';
import { laneData, laneWord, type RingMemory } from './memory.ts';

export interface Census {
  /** Messages that nobody has taken, or that went back. */
  readonly depth: number;
  /** Their payload in bytes. */
  readonly depthBytes: number;
  /** Messages taken by a consumer, dead or alive, and not settled. */
  readonly unsettled: number;
  /** Messages that are still there, by the identity of their producer. */
  readonly bySender: ReadonlyMap<string, number>;
}

/** Walks all lanes once. Stops in a lane at the first record that makes no sense. */
export function takeCensus(memory: RingMemory): Census {
  const sum = { depth: 0, depthBytes: 0, unsettled: 0, bySender: new Map<string, number>() };
  for (let lane = 0; lane < memory.geometry.laneCount; lane += 1) countLane(memory, lane, sum);
  return sum;
}

interface Sum {
  depth: number;
  depthBytes: number;
  unsettled: number;
  readonly bySender: Map<string, number>;
}

function countLane(memory: RingMemory, lane: number, sum: Sum): void {
  const { words, bytes, geometry } = memory;
  const units = geometry.laneBytes / L.UNIT_BYTES;
  const data = laneData(geometry, lane);
  const slotStride = geometry.slotBytes === 0 ? 0 : recordBytes(geometry.slotBytes);
  const taken = Atomics.load(words, laneWord(lane, L.LANE.taken));
  const tail = Atomics.load(words, laneWord(lane, L.LANE.tail));
  let position = Atomics.load(words, laneWord(lane, L.LANE.head));
  let left = (tail - position) | 0;
  let sender = identityAt(memory, lane);
  while (left > 0 && left <= units) {
    const at = data + (position & (units - 1)) * L.UNIT_BYTES;
    const length = words[at >>> 2] as number;
    const flags = words[(at >>> 2) + 1] as number;
    const kind = flags & L.RECORD_KIND_MASK;
    if (kind === 0 || kind > L.RECORD_KIND.identity || length < 0 || length > geometry.laneBytes) return;
    const isMessage = kind === L.RECORD_KIND.message;
    if (kind === L.RECORD_KIND.identity && length <= L.IDENTITY_BYTES_MAX)
      sender = Buffer.from(bytes.slice(at + L.RECORD.payload, at + L.RECORD.payload + length)).toString(
        'latin1',
      );
    if (isMessage && (flags & L.RECORD_FLAG.settled) === 0) {
      const isOut = ((position - taken) | 0) < 0 && (flags & L.RECORD_FLAG.released) === 0;
      if (isOut) sum.unsettled += 1;
      else {
        sum.depth += 1;
        sum.depthBytes += length;
      }
      sum.bySender.set(sender, (sum.bySender.get(sender) ?? 0) + 1);
    }
    const advance = (isMessage && slotStride > 0 ? slotStride : recordBytes(length)) >>> 3;
    position = (position + advance) | 0;
    left -= advance;
  }
}
