// All messages a broker holds: bytes packed into shared pieces of memory, numbers in typed arrays, no object per message. A
// message is a slot number, counted by whoever keeps it. What queue it is in, and where, is not known here. The bytes of a message
// that is stored may be away: then only its numbers are here.
//
// The bytes of a message: exchange and routing key as two short strings, the properties (flags first), the body.

import { FREE, grow } from './typed.ts';

/** Bytes of a piece that many small messages share. */
const CHUNK_BYTES = 256 * 1024;
/** Larger messages have a piece of their own. */
const SHARED_BYTES_MAX = 32 * 1024;
const SLOTS_MIN = 1024;
/** Empty pieces kept for reuse, so that a steady flow allocates nothing. */
const SPARE_MAX = 16;
/** What a slot takes in the arrays below. */
const SLOT_BYTES = 23;
/** What storage adds to it. */
const SEQUENCE_BYTES = 6;
/** Exchange and routing key are at most 512 bytes: above them is room for a flag. */
const KEY_BYTES = 0x3ff;
const PERSISTENT = 0x8000;
/** In place of a piece's number: the bytes are not in memory. */
const AWAY = -2;

export class MessageTable {
  #chunkOf = new Int32Array(SLOTS_MIN);
  #start = new Uint32Array(SLOTS_MIN);
  /** Bytes of exchange and routing key, and whether the message is persistent. */
  #keys = new Uint16Array(SLOTS_MIN);
  #propertyBytes = new Uint32Array(SLOTS_MIN);
  #bodyBytes = new Uint32Array(SLOTS_MIN);
  /** How many keep it; of a free slot: the next free one. */
  #refs = new Int32Array(SLOTS_MIN);
  #priority = new Uint8Array(SLOTS_MIN);
  /** Where storage keeps it, 0: nowhere. Made when the first message is stored. */
  #sequences: Sequences | null = null;
  #slots = 0;
  #free = FREE;
  #count = 0;

  readonly #chunks: Buffer[] = [];
  /** Messages in each piece; FREE when the number is unused. */
  readonly #live: number[] = [];
  readonly #unused: number[] = [];
  readonly #spare: Buffer[] = [];
  #current = FREE;
  #used = CHUNK_BYTES;
  #bytes = 0;

  /** Messages held. */
  get count(): number {
    return this.#count;
  }

  /** Memory taken by the messages' bytes and numbers. */
  get bytes(): number {
    return this.#bytes + this.#slots * (SLOT_BYTES + (this.#sequences === null ? 0 : SEQUENCE_BYTES));
  }

  /** Of that, what the messages' bytes take. */
  get contentBytes(): number {
    return this.#bytes;
  }

  /**
   * Takes a slot for a message whose body follows with fill(). It is kept once.
   * @param key  where exchange and routing key lie
   */
  begin(
    key: Buffer,
    keyStart: number,
    keyEnd: number,
    properties: Buffer,
    propertyStart: number,
    propertyEnd: number,
    bodyBytes: number,
  ): number {
    const keyBytes = keyEnd - keyStart;
    const propertyBytes = propertyEnd - propertyStart;
    const slot = this.#takeSlot();
    const chunk = this.#reserve(slot, keyBytes + propertyBytes + bodyBytes);
    let at = this.#start[slot] as number;
    copy(key, keyStart, keyEnd, chunk, at);
    at += keyBytes;
    copy(properties, propertyStart, propertyEnd, chunk, at);
    this.#keys[slot] = keyBytes;
    this.#propertyBytes[slot] = propertyBytes;
    this.#bodyBytes[slot] = bodyBytes;
    this.#refs[slot] = 1;
    this.#priority[slot] = 0;
    if (this.#sequences !== null) this.#sequences.set(slot, 0);
    this.#count += 1;
    return slot;
  }

  /**
   * A message that only storage has the bytes of. It is kept once.
   * @param headBytes  of exchange, routing key and properties together
   */
  addAway(headBytes: number, bodyBytes: number, sequence: number): number {
    const slot = this.#takeSlot();
    this.#chunkOf[slot] = AWAY;
    this.#keys[slot] = 0;
    this.#propertyBytes[slot] = headBytes;
    this.#bodyBytes[slot] = bodyBytes;
    this.#refs[slot] = 1;
    this.#priority[slot] = 0;
    this.setSequence(slot, sequence);
    this.#count += 1;
    return slot;
  }

  /** Whether the message's bytes are not in memory: what reads them must bring them back first. */
  isAway(slot: number): boolean {
    return this.#chunkOf[slot] === AWAY;
  }

  /** Forgets the bytes of a message that storage has. */
  sendAway(slot: number): void {
    const chunk = this.#chunkOf[slot] as number;
    if (chunk === AWAY) return;
    this.#chunkOf[slot] = AWAY;
    this.#leave(chunk);
  }

  /** Puts the bytes of a message back. @param bytes  exchange and routing key, properties, body */
  bringBack(slot: number, bytes: Buffer): void {
    const exchangeBytes = 1 + (bytes[0] as number);
    const keyBytes = exchangeBytes + 1 + (bytes[exchangeBytes] as number);
    const before = this.#keys[slot] as number;
    const headBytes = (before & KEY_BYTES) + (this.#propertyBytes[slot] as number);
    this.#keys[slot] = (before & PERSISTENT) | keyBytes;
    this.#propertyBytes[slot] = headBytes - keyBytes;
    const chunk = this.#reserve(slot, bytes.length);
    copy(bytes, 0, bytes.length, chunk, this.#start[slot] as number);
  }

  /** Where storage keeps the message; 0: nowhere. */
  sequence(slot: number): number {
    return this.#sequences === null ? 0 : this.#sequences.get(slot);
  }

  setSequence(slot: number, sequence: number): void {
    this.#sequences ??= new Sequences(this.#refs.length);
    this.#sequences.set(slot, sequence);
  }

  /** All of a message's bytes, as a view. */
  content(slot: number): Buffer {
    const start = this.start(slot);
    return this.chunk(slot).subarray(start, this.bodyStart(slot) + this.bodyBytes(slot));
  }

  /** A whole message at once, kept once. @param key  exchange and routing key as two short strings */
  add(key: Buffer, properties: Buffer, body: Buffer): number {
    const slot = this.begin(key, 0, key.length, properties, 0, properties.length, body.length);
    this.fill(slot, 0, body, 0, body.length);
    return slot;
  }

  /** Another message with the same bytes, kept once, that nobody has stored. */
  copy(slot: number): number {
    const from = this.chunk(slot);
    const start = this.start(slot);
    const bodyStart = this.bodyStart(slot);
    const bodyBytes = this.bodyBytes(slot);
    const copied = this.begin(
      from,
      start,
      this.propertyStart(slot),
      from,
      this.propertyStart(slot),
      bodyStart,
      bodyBytes,
    );
    this.fill(copied, 0, from, bodyStart, bodyStart + bodyBytes);
    this.describe(copied, this.priority(slot), this.persistent(slot));
    return copied;
  }

  /** Puts a part of the body in place. */
  fill(slot: number, at: number, bytes: Buffer, start: number, end: number): void {
    copy(bytes, start, end, this.chunk(slot), this.bodyStart(slot) + at);
  }

  keep(slot: number): void {
    this.#refs[slot] = (this.#refs[slot] as number) + 1;
  }

  /** One who kept the message does no more; with the last its memory is free. */
  release(slot: number): void {
    const refs = (this.#refs[slot] as number) - 1;
    if (refs > 0) {
      this.#refs[slot] = refs;
      return;
    }
    const chunk = this.#chunkOf[slot] as number;
    if (chunk !== AWAY) this.#leave(chunk);
    this.#refs[slot] = this.#free;
    this.#free = slot;
    this.#count -= 1;
  }

  /** The memory that holds the message; offsets into it come from the methods below. */
  chunk(slot: number): Buffer {
    return this.#chunks[this.#chunkOf[slot] as number] as Buffer;
  }

  /** Where exchange and routing key begin. */
  start(slot: number): number {
    return this.#start[slot] as number;
  }

  propertyStart(slot: number): number {
    return (this.#start[slot] as number) + ((this.#keys[slot] as number) & KEY_BYTES);
  }

  bodyStart(slot: number): number {
    return this.propertyStart(slot) + (this.#propertyBytes[slot] as number);
  }

  bodyBytes(slot: number): number {
    return this.#bodyBytes[slot] as number;
  }

  priority(slot: number): number {
    return this.#priority[slot] as number;
  }

  persistent(slot: number): boolean {
    return ((this.#keys[slot] as number) & PERSISTENT) !== 0;
  }

  /** Notes what its properties say of a message. */
  describe(slot: number, priority: number, persistent: boolean): void {
    this.#priority[slot] = priority;
    const keyBytes = (this.#keys[slot] as number) & KEY_BYTES;
    this.#keys[slot] = persistent ? keyBytes | PERSISTENT : keyBytes;
  }

  /** A copy of the body. */
  body(slot: number): Buffer {
    const start = this.bodyStart(slot);
    return Buffer.from(this.chunk(slot).subarray(start, start + this.bodyBytes(slot)));
  }

  #takeSlot(): number {
    const slot = this.#free;
    if (slot !== FREE) {
      this.#free = this.#refs[slot] as number;
      return slot;
    }
    if (this.#slots === this.#refs.length) this.#growSlots();
    this.#slots += 1;
    return this.#slots - 1;
  }

  #growSlots(): void {
    const size = this.#refs.length * 2;
    this.#chunkOf = grow(this.#chunkOf, new Int32Array(size));
    this.#start = grow(this.#start, new Uint32Array(size));
    this.#keys = grow(this.#keys, new Uint16Array(size));
    this.#propertyBytes = grow(this.#propertyBytes, new Uint32Array(size));
    this.#bodyBytes = grow(this.#bodyBytes, new Uint32Array(size));
    this.#refs = grow(this.#refs, new Int32Array(size));
    this.#priority = grow(this.#priority, new Uint8Array(size));
    this.#sequences?.grow(size);
  }

  /** Finds room in the piece in use, in a new one, or in one of its own. */
  #reserve(slot: number, size: number): Buffer {
    if (size > SHARED_BYTES_MAX) {
      const own = this.#addChunk(Buffer.allocUnsafeSlow(size));
      this.#chunkOf[slot] = own;
      this.#start[slot] = 0;
      this.#live[own] = 1;
      return this.#chunks[own] as Buffer;
    }
    if (this.#used + size > CHUNK_BYTES) this.#nextChunk();
    const chunk = this.#current;
    this.#chunkOf[slot] = chunk;
    this.#start[slot] = this.#used;
    this.#live[chunk] = (this.#live[chunk] as number) + 1;
    this.#used += size;
    return this.#chunks[chunk] as Buffer;
  }

  /** The piece in use holds itself, so that it is not given back while it is written to. */
  #nextChunk(): void {
    const full = this.#current;
    this.#current = this.#addChunk(this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES));
    this.#live[this.#current] = 1;
    this.#used = 0;
    if (full !== FREE) this.#leave(full);
  }

  #addChunk(bytes: Buffer): number {
    const number = this.#unused.pop() ?? this.#chunks.length;
    this.#chunks[number] = bytes;
    this.#bytes += bytes.length;
    return number;
  }

  #leave(number: number): void {
    const live = (this.#live[number] as number) - 1;
    this.#live[number] = live;
    if (live > 0) return;
    const bytes = this.#chunks[number] as Buffer;
    this.#bytes -= bytes.length;
    this.#chunks[number] = EMPTY;
    this.#unused.push(number);
    if (bytes.length === CHUNK_BYTES && this.#spare.length < SPARE_MAX) this.#spare.push(bytes);
  }
}

/** Sequences of slots in six bytes each: 2^48 of them, a million a second for nine years. */
class Sequences {
  #low: Uint32Array;
  #high: Uint16Array;

  constructor(slots: number) {
    this.#low = new Uint32Array(slots);
    this.#high = new Uint16Array(slots);
  }

  get(slot: number): number {
    return (this.#high[slot] as number) * 0x1_0000_0000 + (this.#low[slot] as number);
  }

  set(slot: number, sequence: number): void {
    this.#low[slot] = sequence;
    this.#high[slot] = Math.floor(sequence / 0x1_0000_0000);
  }

  grow(slots: number): void {
    this.#low = grow(this.#low, new Uint32Array(slots));
    this.#high = grow(this.#high, new Uint16Array(slots));
  }
}

const EMPTY = Buffer.alloc(0);
/** Below so many bytes a loop is faster than a call into the engine. */
const LOOP_BYTES = 24;

/** The memory behind the bytes that were copied last: asking for it costs as much as copying a kilobyte. */
let source: Buffer = EMPTY;
let memory: ArrayBufferLike = EMPTY.buffer;
let offset = 0;

/** Copies `from[start…end)` to `target` at `at`. */
export function copy(from: Buffer, start: number, end: number, target: Buffer, at: number): void {
  const size = end - start;
  if (size < LOOP_BYTES) {
    for (let i = 0; i < size; i += 1) target[at + i] = from[start + i] as number;
    return;
  }
  if (from !== source) {
    source = from;
    memory = from.buffer;
    offset = from.byteOffset;
  }
  target.set(new Uint8Array(memory, offset + start, size), at);
}
