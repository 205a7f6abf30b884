// Cuts a stream of bytes into the frames of the link protocol (docs/internals/link-protocol.md): a preamble once, then
// u32 length, u8 type, payload. Frames that lie whole in a chunk are handed out where they are; only a frame that was cut
// by the network is copied together. Memory grows with what arrived, never with what a length says.

import { NaruError } from '../errors/index.ts';

/** Bytes that arrived together. Nobody writes into them again, so messages may point into them for ever. */
export interface Chunk {
  readonly bytes: Buffer;
  /** A view of exactly `bytes`. */
  readonly view: DataView;
  /** Where `bytes` lie: asking them for it costs a call into the engine each time. */
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
}

/** Bytes of the length field; the length counts type and payload. */
export const LENGTH_BYTES = 4;

/** Opens every connection, in both directions: `NARU`, major and minor version of the protocol, two zero bytes. */
export const PREAMBLE_BYTES = 8;

const MAGIC = [0x4e, 0x41, 0x52, 0x55] as const;
/** First size of the buffer in which a cut frame is put together. */
const PARTIAL_BYTES_MIN = 4096;

/** A chunk around some bytes. */
export function chunkOf(bytes: Buffer): Chunk {
  const { buffer, byteOffset } = bytes;
  return { bytes, view: new DataView(buffer, byteOffset, bytes.byteLength), buffer, byteOffset };
}

/** The preamble of a version of the protocol. */
export function encodePreamble(major: number, minor: number): Buffer {
  return Buffer.from([...MAGIC, major, minor, 0, 0]);
}

/** What a splitter calls. Both may throw; the connection ends then. */
export interface SplitterEvents {
  preamble(major: number, minor: number): void;
  /** Payload of a frame: `chunk.bytes[start…end)`. */
  frame(type: number, chunk: Chunk, start: number, end: number): void;
}

export class FrameSplitter {
  readonly #events: SplitterEvents;
  readonly #preamble = new Uint8Array(PREAMBLE_BYTES);
  #preambleLength = 0;
  #frameBytesMax: number;
  /** A frame that was cut: its bytes so far, its length field included. */
  #partial: Buffer = Buffer.alloc(0);
  #partialLength = 0;
  #stopped = false;

  /** @param frameBytesMax  longest frame, type and payload; may be raised later */
  constructor(frameBytesMax: number, events: SplitterEvents) {
    this.#frameBytesMax = frameBytesMax;
    this.#events = events;
  }

  /** Raises (or lowers) the limit, once both sides agreed on it. */
  set frameBytesMax(bytes: number) {
    this.#frameBytesMax = bytes;
  }

  /** Bytes kept for a frame that is not complete. */
  get keptBytes(): number {
    return this.#partial.length;
  }

  /** Nothing more is handed out, also from the chunk at hand. */
  stop(): void {
    this.#stopped = true;
    this.#partial = Buffer.alloc(0);
    this.#partialLength = 0;
  }

  /**
   * Takes the next bytes of the stream, which must never change afterwards.
   * @throws NARU_CORRUPT  no preamble, or a frame of length 0 or over the limit; and what the events throw
   */
  push(bytes: Buffer): void {
    let from = 0;
    if (this.#preambleLength < PREAMBLE_BYTES) from = this.#readPreamble(bytes);
    if (this.#partialLength > 0 && !this.#stopped) from = this.#completePartial(bytes, from);
    const end = bytes.length;
    if (from >= end || this.#stopped) return;
    const chunk = chunkOf(bytes);
    const { view } = chunk;
    while (end - from >= LENGTH_BYTES) {
      const next = from + LENGTH_BYTES + this.#checkLength(view.getUint32(from, true));
      if (next > end) break;
      this.#events.frame(view.getUint8(from + LENGTH_BYTES), chunk, from + LENGTH_BYTES + 1, next);
      if (this.#stopped) return;
      from = next;
    }
    if (from < end) this.#keep(bytes, from, end);
  }

  #readPreamble(bytes: Buffer): number {
    let at = 0;
    while (this.#preambleLength < PREAMBLE_BYTES && at < bytes.length) {
      const byte = bytes[at] as number;
      const expected = MAGIC[this.#preambleLength];
      if (expected !== undefined && byte !== expected) {
        throw new NaruError(
          'NARU_CORRUPT',
          'the peer does not speak the protocol of Naru: wrong first bytes',
        );
      }
      this.#preamble[this.#preambleLength] = byte;
      this.#preambleLength += 1;
      at += 1;
    }
    if (this.#preambleLength === PREAMBLE_BYTES) {
      this.#events.preamble(this.#preamble[4] as number, this.#preamble[5] as number);
    }
    return at;
  }

  /** Adds to the frame that was cut, and hands it out when it is whole. @returns how far `bytes` was read */
  #completePartial(bytes: Buffer, from: number): number {
    let at = from;
    if (this.#partialLength < LENGTH_BYTES) {
      at = this.#keep(bytes, at, Math.min(bytes.length, at + LENGTH_BYTES - this.#partialLength));
      if (this.#partialLength < LENGTH_BYTES) return at;
    }
    const whole = LENGTH_BYTES + this.#checkLength(this.#partial.readUInt32LE(0));
    at = this.#keep(bytes, at, Math.min(bytes.length, at + whole - this.#partialLength));
    if (this.#partialLength < whole) return at;
    const chunk = chunkOf(this.#partial.subarray(0, whole));
    this.#partial = Buffer.alloc(0);
    this.#partialLength = 0;
    this.#events.frame(chunk.view.getUint8(LENGTH_BYTES), chunk, LENGTH_BYTES + 1, whole);
    return at;
  }

  #keep(bytes: Buffer, from: number, to: number): number {
    const length = this.#partialLength + to - from;
    if (length > this.#partial.length) {
      // What has come decides, doubled; the announced length only keeps the last step from being too large.
      let size = Math.max(PARTIAL_BYTES_MIN, length * 2);
      if (this.#partialLength >= LENGTH_BYTES) {
        size = Math.max(length, Math.min(size, LENGTH_BYTES + this.#partial.readUInt32LE(0)));
      }
      const larger = Buffer.allocUnsafeSlow(size);
      this.#partial.copy(larger, 0, 0, this.#partialLength);
      this.#partial = larger;
    }
    bytes.copy(this.#partial, this.#partialLength, from, to);
    this.#partialLength = length;
    return to;
  }

  #checkLength(length: number): number {
    if (length >= 1 && length <= this.#frameBytesMax) return length;
    throw new NaruError(
      'NARU_CORRUPT',
      `the peer announced a frame of ${length} bytes, allowed are 1 to ${this.#frameBytesMax}`,
    );
  }
}
