// The mapped bytes of one mailbox with its geometry: computing it for a new mailbox, writing it, and reading it back with
// every number checked, so that the rest of the ring may trust it. Maps nothing itself.

import { NaruError } from '../errors/index.ts';
import * as L from './layout.ts';

export type RingRelation = '1:1' | 'N:1' | '1:N' | 'N:N';
export type RingOwner = 'users' | 'process' | 'system';
export type RingDeliver = 'one' | 'all';
/** How lanes are consumed: by one consumer at a time, by several that share the messages, or by several that each get all. */
export type RingMode = 'exclusive' | 'competing' | 'topic';

/** What is chosen when a mailbox is made. */
export interface RingShape {
  readonly relation: RingRelation;
  readonly deliver: RingDeliver;
  /** A topic whose producers write over what slow consumers have not read yet. */
  readonly lossy: boolean;
  /** Priorities: 1 to LEVELS_MAX. */
  readonly levels: number;
  /** Last messages of each lane that a topic keeps for late consumers. */
  readonly retain: number;
  readonly owner: RingOwner;
  /** Bytes of one lane; a power of two. */
  readonly laneBytes: number;
  /** Room for the payload of every message record, in bytes; 0 = as long as the message. */
  readonly slotBytes: number;
  /** Longest body in bytes. */
  readonly maxMessageBytes: number;
}

/** A mailbox's numbers, as its header states them. */
export interface Geometry extends RingShape {
  readonly mode: RingMode;
  readonly fileBytes: number;
  readonly participantCount: number;
  /** A producer's seat has `levels` lanes, the least urgent first. */
  readonly laneCount: number;
  readonly cursorsOffset: number;
  readonly dataOffset: number;
  /** Longest record with its header, in bytes. */
  readonly maxRecordBytes: number;
  readonly maxProducers: number;
  readonly maxConsumers: number;
  readonly createdMs: number;
}

/** The mapped bytes in the three views that the ring needs. */
export interface RingMemory {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly geometry: Geometry;
}

const RELATIONS: readonly RingRelation[] = ['1:1', 'N:1', '1:N', 'N:N'];
const DELIVERS: readonly RingDeliver[] = ['one', 'all'];
const OWNERS: readonly RingOwner[] = ['users', 'process', 'system'];
const PARTICIPANTS_OFFSET = L.PAGE_BYTES;
const LANES_OFFSET = PARTICIPANTS_OFFSET + L.PARTICIPANTS * L.PARTICIPANT_STRIDE;

/**
 * Views over mapped bytes whose geometry is known.
 * @param length  how much of the object is there; less than all of it when only header and tables are
 */
export function ringMemory(
  buffer: ArrayBufferLike,
  geometry: Geometry,
  length: number = geometry.fileBytes,
): RingMemory {
  return {
    words: new Int32Array(buffer, 0, length >>> 2),
    bytes: new Uint8Array(buffer, 0, length),
    view: new DataView(buffer, 0, length),
    geometry,
  };
}

/** The numbers of a mailbox of this shape. `fileBytes` may exceed FILE_BYTES_MAX: the caller refuses that. */
export function geometryOf(shape: RingShape, createdMs: number): Geometry {
  const maxProducers = shape.relation.startsWith('1') ? 1 : L.PRODUCERS_DEFAULT;
  const maxConsumers = shape.relation.endsWith('1') ? 1 : L.CONSUMERS_MAX;
  const laneCount = maxProducers * shape.levels;
  const cursorsOffset = LANES_OFFSET + laneCount * L.LANE_STRIDE;
  const tables = cursorsOffset + L.CONSUMERS_MAX * L.CURSOR_STRIDE;
  const dataOffset = Math.ceil(tables / L.PAGE_BYTES) * L.PAGE_BYTES;
  return {
    ...shape,
    mode: shape.deliver === 'all' ? 'topic' : maxConsumers === 1 ? 'exclusive' : 'competing',
    fileBytes: dataOffset + laneCount * shape.laneBytes,
    participantCount: L.PARTICIPANTS,
    laneCount,
    cursorsOffset,
    dataOffset,
    maxRecordBytes: shape.laneBytes / L.RECORD_SHARE,
    maxProducers,
    maxConsumers,
    createdMs,
  };
}

/** Writes a header into zeroed memory, all but the ready mark, which the creator writes last. */
export function writeHeader(memory: RingMemory): void {
  const { words, view, geometry } = memory;
  const put = (offset: number, value: number): void => {
    words[offset >>> 2] = value;
  };
  put(L.HEADER.magic, L.MAGIC);
  put(L.HEADER.kind, L.KIND);
  put(L.HEADER.byteOrder, L.BYTE_ORDER);
  put(L.HEADER.versionMajor, L.VERSION_MAJOR);
  put(L.HEADER.versionMinor, L.VERSION_MINOR);
  put(L.HEADER.fileBytes, geometry.fileBytes);
  put(L.HEADER.participantsOffset, PARTICIPANTS_OFFSET);
  put(L.HEADER.participantStride, L.PARTICIPANT_STRIDE);
  put(L.HEADER.participantCount, geometry.participantCount);
  put(L.HEADER.lanesOffset, LANES_OFFSET);
  put(L.HEADER.laneStride, L.LANE_STRIDE);
  put(L.HEADER.laneCount, geometry.laneCount);
  put(L.HEADER.dataOffset, geometry.dataOffset);
  put(L.HEADER.laneBytes, geometry.laneBytes);
  put(L.HEADER.slotBytes, geometry.slotBytes);
  put(L.HEADER.maxMessageBytes, geometry.maxMessageBytes);
  put(L.HEADER.relation, RELATIONS.indexOf(geometry.relation) + 1);
  put(L.HEADER.owner, OWNERS.indexOf(geometry.owner) + 1);
  put(L.HEADER.deliver, DELIVERS.indexOf(geometry.deliver) + 1);
  put(L.HEADER.lossy, geometry.lossy ? 1 : 0);
  put(L.HEADER.levels, geometry.levels);
  put(L.HEADER.retain, geometry.retain);
  put(L.HEADER.cursorsOffset, geometry.cursorsOffset);
  put(L.HEADER.cursorStride, L.CURSOR_STRIDE);
  put(L.HEADER.maxProducers, geometry.maxProducers);
  put(L.HEADER.maxConsumers, geometry.maxConsumers);
  view.setFloat64(L.HEADER.createdMs, geometry.createdMs, true);
}

/** How errors name an object. */
export interface ObjectName {
  /** The scheme of its place. */
  readonly place: string;
  readonly path: string;
}

/**
 * Reads a header that another process wrote and checks every number in it.
 *
 * @param words      at least the header page
 * @param fileBytes  real size of the file
 * @param where      the file, for the error
 * @returns the geometry; undefined when the creator has not finished (no ready mark)
 * @throws NARU_EXISTS       it is something else of Naru's
 * @throws NARU_CORRUPT      it is no mailbox, or its numbers contradict each other or the file
 * @throws NARU_UNSUPPORTED  another major version, byte order, or a feature that this version does not know
 */
export function readHeader(words: Int32Array, fileBytes: number, where: ObjectName): Geometry | undefined {
  const at = (offset: number): number => (words[offset >>> 2] ?? 0) >>> 0;
  if (at(L.HEADER.magic) === 0 && at(L.HEADER.ready) === 0) return undefined;
  if (at(L.HEADER.magic) === L.MAGIC && at(L.HEADER.kind) !== L.KIND && L.OTHER_KINDS.has(at(L.HEADER.kind)))
    throw new NaruError(
      'NARU_EXISTS',
      `${where.path} is ${L.OTHER_KINDS.get(at(L.HEADER.kind))}, not a mailbox: choose another name`,
      { place: where.place, mailbox: where.path },
    );
  if (at(L.HEADER.magic) !== L.MAGIC || at(L.HEADER.kind) !== L.KIND)
    throw corrupt(where, `it starts with ${hex(at(L.HEADER.magic))}, not with "NARURING"`);
  if (at(L.HEADER.byteOrder) !== L.BYTE_ORDER)
    throw unsupported(where, 'was written on a machine of the other byte order');
  if (at(L.HEADER.versionMajor) !== L.VERSION_MAJOR)
    throw unsupported(
      where,
      `has layout version ${at(L.HEADER.versionMajor)}.${at(L.HEADER.versionMinor)}, this naru reads ${L.VERSION_MAJOR}.x`,
    );
  const unknown = (at(L.HEADER.requiredFeatures) & ~L.REQUIRED_FEATURES_KNOWN) >>> 0;
  if (unknown !== 0) throw unsupported(where, `needs features ${hex(unknown)} that this naru does not know`);
  if (at(L.HEADER.ready) !== L.READY) return undefined;
  return checkedGeometry(at, new DataView(words.buffer, words.byteOffset), fileBytes, where);
}

function checkedGeometry(
  at: (offset: number) => number,
  view: DataView,
  fileBytes: number,
  where: ObjectName,
): Geometry {
  const relation = RELATIONS[at(L.HEADER.relation) - 1];
  const owner = OWNERS[at(L.HEADER.owner) - 1];
  const deliver = DELIVERS[at(L.HEADER.deliver) - 1];
  if (relation === undefined || owner === undefined || deliver === undefined)
    throw corrupt(
      where,
      `relation ${at(L.HEADER.relation)}, owner ${at(L.HEADER.owner)} or deliver ${at(L.HEADER.deliver)} is unknown`,
    );
  const [levels, retain] = [at(L.HEADER.levels), at(L.HEADER.retain)];
  if (levels < 1 || levels > L.LEVELS_MAX || retain > L.RETAIN_MAX)
    throw corrupt(where, `${levels} priorities or ${retain} messages retained are impossible`);
  const lossy = at(L.HEADER.lossy) !== 0;
  if (deliver === 'all' ? levels > 1 : lossy)
    throw corrupt(where, 'a topic has one priority only, and nothing but a topic may lose messages');
  const laneBytes = at(L.HEADER.laneBytes);
  if (laneBytes < L.LANE_BYTES_MIN || (laneBytes & (laneBytes - 1)) !== 0)
    throw corrupt(where, `a lane of ${laneBytes} bytes is no power of two from ${L.LANE_BYTES_MIN}`);
  const geometry = geometryOf(
    {
      relation,
      deliver,
      lossy,
      levels,
      retain,
      owner,
      laneBytes,
      slotBytes: at(L.HEADER.slotBytes),
      maxMessageBytes: at(L.HEADER.maxMessageBytes),
    },
    view.getFloat64(L.HEADER.createdMs, true),
  );
  // Of one major version the tables have one place only; whatever differs was written by something else.
  const expected: readonly (readonly [string, number, number])[] = [
    ['fileBytes', at(L.HEADER.fileBytes), geometry.fileBytes],
    ['participantsOffset', at(L.HEADER.participantsOffset), PARTICIPANTS_OFFSET],
    ['participantStride', at(L.HEADER.participantStride), L.PARTICIPANT_STRIDE],
    ['participantCount', at(L.HEADER.participantCount), geometry.participantCount],
    ['lanesOffset', at(L.HEADER.lanesOffset), LANES_OFFSET],
    ['laneStride', at(L.HEADER.laneStride), L.LANE_STRIDE],
    ['laneCount', at(L.HEADER.laneCount), geometry.laneCount],
    ['cursorsOffset', at(L.HEADER.cursorsOffset), geometry.cursorsOffset],
    ['cursorStride', at(L.HEADER.cursorStride), L.CURSOR_STRIDE],
    ['dataOffset', at(L.HEADER.dataOffset), geometry.dataOffset],
    ['maxProducers', at(L.HEADER.maxProducers), geometry.maxProducers],
    ['maxConsumers', at(L.HEADER.maxConsumers), geometry.maxConsumers],
    ['size of the file', fileBytes, geometry.fileBytes],
  ];
  for (const [name, is, shouldBe] of expected)
    if (is !== shouldBe) throw corrupt(where, `${name} is ${is}, should be ${shouldBe}`);
  if (geometry.fileBytes > L.FILE_BYTES_MAX)
    throw corrupt(where, `${geometry.fileBytes} bytes are more than ${L.FILE_BYTES_MAX}`);
  const longest = laneBytes / L.MESSAGE_SHARE;
  if (geometry.maxMessageBytes > longest || geometry.slotBytes + L.UNIT_BYTES > geometry.maxRecordBytes)
    throw corrupt(where, `messages of ${geometry.maxMessageBytes} bytes do not fit lanes of ${laneBytes}`);
  return geometry;
}

/** Word index of a field of the header. */
export function headerWord(offset: number): number {
  return offset >>> 2;
}

/** Word index of a field of a participant. */
export function participantWord(slot: number, offset: number): number {
  return (PARTICIPANTS_OFFSET + slot * L.PARTICIPANT_STRIDE + offset) >>> 2;
}

/** Word index of a field of a lane's entry. */
export function laneWord(lane: number, offset: number): number {
  return (LANES_OFFSET + lane * L.LANE_STRIDE + offset) >>> 2;
}

/** Word index of a consumer's cursor in a lane of level 0. */
export function cursorWord(geometry: Geometry, consumer: number, lane: number): number {
  return ((geometry.cursorsOffset + consumer * L.CURSOR_STRIDE) >>> 2) + lane;
}

/** Byte offset of a lane's data. */
export function laneData(geometry: Geometry, lane: number): number {
  return geometry.dataOffset + lane * geometry.laneBytes;
}

function corrupt(where: ObjectName, what: string): NaruError {
  return new NaruError(
    'NARU_CORRUPT',
    `${where.path} is not a usable mailbox: ${what}. Remove it with "naru rm" once nobody uses it.`,
    { place: where.place, mailbox: where.path },
  );
}

function unsupported(where: ObjectName, what: string): NaruError {
  return new NaruError(
    'NARU_UNSUPPORTED',
    `${where.path} ${what}. Use the same version of naru on both sides, or remove the mailbox with "naru rm".`,
    { place: where.place, mailbox: where.path },
  );
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
