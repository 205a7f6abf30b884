// The frames of the link protocol: their layouts, and the writer that puts them one behind the other into buffers. Their numbers:
// frame-types.ts. Meaning and order of frames: docs/internals/link-protocol.md. Cutting a stream into frames: splitter.ts.

import { NaruError } from '../errors/index.ts';
import { type Encodable, encodeEnvelope } from './envelope.ts';
import { DELIVER_PREFIX_BYTES, FrameType, WANTS_RECEIPT } from './frame-types.ts';
import type { Chunk } from './splitter.ts';
import { LENGTH_BYTES } from './splitter.ts';
import { readText, writeText } from './text.ts';

export * from './frame-types.ts';

const SLAB_BYTES = 65_536;
/** Below this a loop over words beats the call of Buffer.copy. */
const WORDS_BYTES_MAX = 200;

/** The body of a record that has none: most calls. */
const EMPTY = Buffer.alloc(0);

/** Bytes of a record before its text. */
const RECORD_BYTES = 26;

/** The numbers of a record; what they mean is its type's business. */
export interface RecordHead {
  readonly id: number;
  readonly ref: number;
  readonly x: number;
  readonly y: number;
}

/** A record that was read. `body` points into the chunk it came in, which nobody writes again. */
export interface FrameRecord extends RecordHead {
  readonly text: string;
  readonly body: Buffer;
}

/** What a writer hands its buffers to. */
export interface WriterEvents {
  /** Bytes to send now; they are not changed before isIdle() says so. */
  emit(bytes: Buffer): void;
  /** True when everything emitted has left, so that its memory may be used again. Absent = never. */
  isIdle?(): boolean;
  /** There is something to flush() where there was nothing. */
  wake(): void;
}

/** Puts frames together, many in one buffer. Whoever owns it calls flush() once a turn. */
export class FrameWriter {
  readonly #events: WriterEvents;
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #from = 0;
  #to = 0;

  constructor(events: WriterEvents) {
    this.#events = events;
  }

  get pendingBytes(): number {
    return this.#to - this.#from;
  }

  flush(): void {
    if (this.#to === this.#from) return;
    const bytes = this.#bytes.subarray(this.#from, this.#to);
    this.#from = this.#to;
    this.#events.emit(bytes);
  }

  /**
   * @param size   encodedSize() of the message
   * @param flags  WANTS_RECEIPT, WANTS_SYNC
   */
  send(message: Encodable, size: number, flags: number): void {
    const at = this.#begin(FrameType.send, 1 + size);
    this.#bytes[at] = flags;
    encodeEnvelope(message, this.#bytes, this.#view, at + 1);
  }

  /** A message that is encoded already: `length` bytes at `offset` of a chunk. */
  deliver(
    chunk: Chunk,
    offset: number,
    length: number,
    head: { sender: number; deliveries: number; token: number; receipt: boolean },
  ): void {
    const at = this.#begin(FrameType.deliver, DELIVER_PREFIX_BYTES + length);
    const view = this.#view;
    view.setUint8(at, head.receipt ? WANTS_RECEIPT : 0);
    view.setUint16(at + 1, head.sender, true);
    view.setUint32(at + 3, head.deliveries, true);
    view.setFloat64(at + 7, head.token, true);
    this.#copy(chunk, offset, length, at + DELIVER_PREFIX_BYTES);
  }

  /** A frame without payload. */
  bare(type: number): void {
    this.#begin(type, 0);
  }

  /** A frame of one number. */
  count(type: number, count: number): void {
    const at = this.#begin(type, 4);
    this.#view.setUint32(at, count, true);
  }

  /** A frame of two counts. */
  counts(type: number, first: number, second: number): void {
    const at = this.#begin(type, 8);
    this.#view.setUint32(at, first, true);
    this.#view.setUint32(at + 4, second, true);
  }

  /** need, return, want, credit, recall: a number of messages and one of bytes. */
  amounts(type: number, messages: number, bytes: number): void {
    const at = this.#begin(type, 12);
    this.#view.setUint32(at, messages, true);
    this.#view.setFloat64(at + 4, bytes, true);
  }

  /** ack, received, confirmed: tokens or indices. */
  list(type: number, numbers: readonly number[]): void {
    const at = this.#begin(type, numbers.length * 8);
    for (let i = 0; i < numbers.length; i += 1) this.#view.setFloat64(at + i * 8, numbers[i] as number, true);
  }

  /** settle: a token, an outcome's number and a delay. extend: the same with outcome 0. */
  tokenAndMs(type: number, token: number, outcome: number, ms: number): void {
    const at = this.#begin(type, 17);
    this.#view.setFloat64(at, token, true);
    this.#view.setUint8(at + 8, outcome);
    this.#view.setFloat64(at + 9, ms, true);
  }

  /** A number, a small code and a text: sender, request, response, refused, dropped. */
  coded(type: number, id: number, code: number, text: string): void {
    const size = Buffer.byteLength(text);
    const at = this.#begin(type, 5 + size);
    this.#view.setUint32(at, id, true);
    this.#view.setUint8(at + 4, code);
    writeText(text, this.#bytes, at + 5);
  }

  /** hello, bye: one text. */
  text(type: number, text: string): void {
    const at = this.#begin(type, Buffer.byteLength(text));
    writeText(text, this.#bytes, at);
  }

  /** reply, answer, peeked: two numbers, a text and a message. @param size  encodedSize() of the message */
  addressed(type: number, id: number, extra: number, text: string, message: Encodable, size: number): void {
    const length = Buffer.byteLength(text);
    const at = this.#begin(type, 10 + length + size);
    this.#view.setUint32(at, id, true);
    this.#view.setUint32(at + 4, extra, true);
    this.#view.setUint16(at + 8, length, true);
    writeText(text, this.#bytes, at + 10);
    encodeEnvelope(message, this.#bytes, this.#view, at + 10 + length);
  }

  /** A call of a Manager's object, its answer, or news of it: numbers, a text of at most 65,535 bytes, and bytes. */
  record(type: number, head: RecordHead, text: string, body: Uint8Array): void {
    const length = text === '' ? 0 : Buffer.byteLength(text);
    const at = this.#begin(type, RECORD_BYTES + length + body.byteLength);
    const view = this.#view;
    view.setUint32(at, head.id, true);
    view.setUint32(at + 4, head.ref, true);
    view.setFloat64(at + 8, head.x, true);
    view.setFloat64(at + 16, head.y, true);
    view.setUint16(at + 24, length, true);
    if (length > 0) writeText(text, this.#bytes, at + RECORD_BYTES);
    if (body.byteLength > 0) this.#bytes.set(body, at + RECORD_BYTES + length);
  }

  /** Writes length and type. @returns where the payload goes */
  #begin(type: number, payload: number): number {
    const size = LENGTH_BYTES + 1 + payload;
    if (this.#to === this.#from) this.#rewind();
    if (this.#to + size > this.#bytes.length) this.#grow(size);
    else if (this.#to === this.#from) this.#events.wake();
    const at = this.#to;
    this.#view.setUint32(at, payload + 1, true);
    this.#bytes[at + LENGTH_BYTES] = type;
    this.#to = at + size;
    return at + LENGTH_BYTES + 1;
  }

  #grow(size: number): void {
    const had = this.#to > this.#from;
    this.flush();
    this.#rewind();
    if (this.#to > 0 || size > this.#bytes.length) {
      const bytes = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, size));
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      this.#from = 0;
      this.#to = 0;
    }
    if (!had) this.#events.wake();
  }

  /** Starts from the beginning once all is sent: memory that was just used is in the cache, and needs no clearing. */
  #rewind(): void {
    if (this.#to === 0 || this.#bytes.length > SLAB_BYTES || this.#events.isIdle?.() !== true) return;
    this.#from = 0;
    this.#to = 0;
  }

  #copy(chunk: Chunk, offset: number, length: number, at: number): void {
    if (length > WORDS_BYTES_MAX) {
      chunk.bytes.copy(this.#bytes, at, offset, offset + length);
      return;
    }
    const from = chunk.view;
    const to = this.#view;
    const words = length & ~3;
    for (let i = 0; i < words; i += 4) to.setUint32(at + i, from.getUint32(offset + i, true), true);
    for (let i = words; i < length; i += 1) to.setUint8(at + i, from.getUint8(offset + i));
  }
}

/** @throws NARU_CORRUPT  the payload has another size than its frame needs */
export function expectSize(type: number, start: number, end: number, size: number): void {
  if (end - start !== size) throw cut(type, end - start);
}

/** The numbers of an ack, received or confirmed frame. @throws NARU_CORRUPT */
export function readList(type: number, chunk: Chunk, start: number, end: number): number[] {
  if ((end - start) % 8 !== 0) throw cut(type, end - start);
  const numbers: number[] = [];
  for (let at = start; at < end; at += 8) numbers.push(chunk.view.getFloat64(at, true));
  return numbers;
}

/** A frame that FrameWriter.coded() wrote. @throws NARU_CORRUPT, NARU_INVALID_MESSAGE */
export function readCoded(
  type: number,
  chunk: Chunk,
  start: number,
  end: number,
): { id: number; code: number; text: string } {
  if (end - start < 5) throw cut(type, end - start);
  return {
    id: chunk.view.getUint32(start, true),
    code: chunk.view.getUint8(start + 4),
    text: readText(chunk.bytes, start + 5, end - start - 5),
  };
}

/** A frame that FrameWriter.addressed() wrote; the message lies from `offset` to the end. @throws NARU_CORRUPT, NARU_INVALID_MESSAGE */
export function readAddressed(
  type: number,
  chunk: Chunk,
  start: number,
  end: number,
): { id: number; extra: number; text: string; offset: number } {
  if (end - start < 10) throw cut(type, end - start);
  const length = chunk.view.getUint16(start + 8, true);
  if (length > end - start - 10) throw cut(type, end - start);
  return {
    id: chunk.view.getUint32(start, true),
    extra: chunk.view.getUint32(start + 4, true),
    text: readText(chunk.bytes, start + 10, length),
    offset: start + 10 + length,
  };
}

/** A frame that FrameWriter.record() wrote. @throws NARU_CORRUPT, NARU_INVALID_MESSAGE */
export function readRecord(type: number, chunk: Chunk, start: number, end: number): FrameRecord {
  if (end - start < RECORD_BYTES) throw cut(type, end - start);
  const { view, bytes } = chunk;
  const length = view.getUint16(start + 24, true);
  const at = start + RECORD_BYTES + length;
  if (at > end) throw cut(type, end - start);
  return {
    id: view.getUint32(start, true),
    ref: view.getUint32(start + 4, true),
    x: view.getFloat64(start + 8, true),
    y: view.getFloat64(start + 16, true),
    text: length === 0 ? '' : readText(bytes, start + RECORD_BYTES, length),
    body: at === end ? EMPTY : bytes.subarray(at, end),
  };
}

/** The text of a hello or bye frame. @throws NARU_INVALID_MESSAGE */
export function readFrameText(chunk: Chunk, start: number, end: number): string {
  return readText(chunk.bytes, start, end - start);
}

/**
 * JSON from a peer: objects only, at most `bytesMax` of text (the frame limit has seen to that).
 * @throws NARU_CORRUPT  it is no JSON object
 */
export function parseJson(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new NaruError('NARU_CORRUPT', 'the peer sent something that is not a JSON object');
}

function cut(type: number, size: number): NaruError {
  return new NaruError('NARU_CORRUPT', `a frame of type 0x${type.toString(16)} cannot have ${size} bytes`);
}
