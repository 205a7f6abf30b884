// One record's header as it lies in shared memory, and stepping from record to record without copying anything. Nothing in a
// lane is trusted: a step that makes no sense is no step.

import * as L from './layout.ts';
import { laneData, laneWord, type RingMemory } from './memory.ts';

/** Bytes a record with such a payload takes in a lane. */
export function recordBytes(payloadBytes: number): number {
  return (payloadBytes + L.RECORD.payload + L.UNIT_BYTES - 1) & ~(L.UNIT_BYTES - 1);
}

/** Bytes of every message record; 0 = as long as the message. */
export function strideOf(slotBytes: number): number {
  return slotBytes === 0 ? 0 : recordBytes(slotBytes);
}

/** How far apart two positions are: positive when `a` is ahead of `b`. Positions wrap at 2^32. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

/** Whether the record with these flags is a message: not padding, nor an identity. */
export function isMessage(flags: number): boolean {
  return (flags & L.RECORD_KIND_MASK) === L.RECORD_KIND.message;
}

/** Whether it says whose messages follow. */
export function isIdentity(flags: number): boolean {
  return (flags & L.RECORD_KIND_MASK) === L.RECORD_KIND.identity;
}

/** Looks at the records of one lane where they lie. */
export class LaneRecords {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #dataWord: number;
  readonly #units: number;
  readonly #slotStride: number;

  constructor(memory: RingMemory, lane: number) {
    const { geometry } = memory;
    this.#words = memory.words;
    this.#bytes = memory.bytes;
    this.#dataWord = laneData(geometry, lane) >>> 2;
    this.#units = geometry.laneBytes / L.UNIT_BYTES;
    this.#slotStride = strideOf(geometry.slotBytes);
  }

  /** Word index of the flags of the record at `position`. */
  flagsWord(position: number): number {
    return this.#dataWord + (position & (this.#units - 1)) * 2 + 1;
  }

  flags(position: number): number {
    return Atomics.load(this.#words, this.flagsWord(position));
  }

  setFlags(position: number, flags: number): void {
    Atomics.store(this.#words, this.flagsWord(position), flags);
  }

  /** Payload of the record at `position`, in bytes. */
  length(position: number): number {
    return this.#words[this.flagsWord(position) - 1] as number;
  }

  /** Byte offset of the payload of the record at `position`. */
  payloadOffset(position: number): number {
    return (this.flagsWord(position) + 1) * 4;
  }

  /**
   * Units from the record at `position` to the next one.
   *
   * @param flags  of that record
   * @param left   units between it and the end of what is to be looked at
   * @returns 0 when the record makes no sense
   */
  units(position: number, flags: number, left: number): number {
    const length = this.length(position);
    const untilEnd = this.#units - (position & (this.#units - 1));
    if (length < 0 || length > untilEnd * L.UNIT_BYTES - L.RECORD.payload) return 0;
    const kind = flags & L.RECORD_KIND_MASK;
    if (kind === 0 || kind > L.RECORD_KIND.identity) return 0;
    const stride =
      kind === L.RECORD_KIND.message && this.#slotStride > 0 ? this.#slotStride : recordBytes(length);
    const units = stride >>> 3;
    return units > left || units > untilEnd ? 0 : units;
  }

  /**
   * Whether a lane could hold all that is said to lie between two positions. If not, a walk from one to the other would go
   * round and round.
   */
  isSpan(from: number, to: number): boolean {
    const units = distance(to, from);
    return units >= 0 && units <= this.#units;
  }

  /** The text of the identity record at `position`. */
  identityBytes(position: number): Uint8Array {
    const at = this.payloadOffset(position);
    return this.#bytes.slice(at, at + Math.min(this.length(position), L.IDENTITY_BYTES_MAX));
  }
}

/** Goes from record to record between two positions of a lane; ends at the first one that makes no sense. */
export class RecordWalk {
  readonly #records: LaneRecords;
  readonly #until: number;
  /** Of the present record; where the walk starts before there is one. */
  position: number;
  flags = 0;
  /** Where the next record would lie: where the walk stopped. */
  end: number;
  isDamaged: boolean;

  constructor(records: LaneRecords, from: number, until: number) {
    this.#records = records;
    this.#until = until;
    this.position = from;
    this.end = from;
    this.isDamaged = !records.isSpan(from, until);
  }

  /** @returns false at the end, and where `isDamaged` */
  next(): boolean {
    if (this.isDamaged || this.end === this.#until) return false;
    this.position = this.end;
    this.flags = this.#records.flags(this.position);
    const units = this.#records.units(this.position, this.flags, distance(this.#until, this.position));
    this.isDamaged = units === 0;
    this.end = (this.position + units) | 0;
    return !this.isDamaged;
  }
}

/** Where a lane keeps whose messages follow at one of its positions. */
export interface IdentityField {
  readonly position: number;
  readonly bytes: number;
  readonly text: number;
}

export const HEAD_IDENTITY: IdentityField = {
  position: L.LANE.head,
  bytes: L.LANE.identityBytes,
  text: L.LANE.identity,
};
export const TAKEN_IDENTITY: IdentityField = {
  position: L.LANE.taken,
  bytes: L.LANE.takenIdentityBytes,
  text: L.LANE.takenIdentity,
};

/**
 * Moves a position past an identity record. The position is stored AT the record before the text changes: whoever finds
 * that a SIGKILL cut this short either has the old text with an old position, or meets the record.
 */
export function passIdentity(
  memory: RingMemory,
  lane: number,
  field: IdentityField,
  position: number,
  text: Uint8Array,
  failpoint: (name: string) => void,
): void {
  const { words, bytes } = memory;
  Atomics.store(words, laneWord(lane, field.position), position);
  failpoint('identity:head-at-record');
  const at = laneWord(lane, field.text) * 4;
  bytes.fill(0, at, at + L.IDENTITY_BYTES_MAX);
  bytes.set(text, at);
  failpoint('identity:half-written');
  Atomics.store(words, laneWord(lane, field.bytes), text.length);
}

/** Whose messages follow at a lane's head, or at where the next message is taken. */
export function identityAt(memory: RingMemory, lane: number, field: IdentityField = HEAD_IDENTITY): string {
  const length = Atomics.load(memory.words, laneWord(lane, field.bytes));
  if (length < 0 || length > L.IDENTITY_BYTES_MAX) return '';
  const at = laneWord(lane, field.text) * 4;
  return identityText(memory.bytes.slice(at, at + length));
}

/** Identities are plain ASCII; whatever else a damaged one holds must not reach a terminal or a log. */
export function identityText(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replaceAll(/[^\x21-\x7e]/g, '?');
}
