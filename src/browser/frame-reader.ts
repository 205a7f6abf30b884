// Cuts the pieces that a WebSocket brings into the frames of the link protocol. As wire/splitter.ts, without Buffer.

import { NaruError } from '../errors/index.ts';
import { PROTOCOL } from '../wire/frame-types.ts';
import { readText } from '../wire/text.ts';

const MAGIC = [0x4e, 0x41, 0x52, 0x55] as const;
const PREAMBLE_BYTES = 8;
const LENGTH_BYTES = 4;
const KEPT_BYTES_MIN = 4_096;

/** A frame that came whole; nobody writes its bytes again. Its payload lies from `start` to `end`. */
export class Frame {
  readonly type: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly end: number;

  constructor(bytes: Uint8Array, view: DataView, start: number, end: number) {
    this.type = view.getUint8(start - 1);
    this.bytes = bytes;
    this.view = view;
    this.start = start;
    this.end = end;
  }

  /** @throws NARU_CORRUPT  the payload is shorter than that */
  need(bytes: number): void {
    if (this.end - this.start < bytes) {
      throw new NaruError('NARU_CORRUPT', `a frame of type 0x${this.type.toString(16)} is cut off`);
    }
  }

  /** The text from an offset in the payload to its end. @throws NARU_INVALID_MESSAGE */
  text(from: number): string {
    return readText(this.bytes, this.start + from, this.end - this.start - from);
  }

  /** The same as a JSON object; nothing is an empty one. @throws NARU_CORRUPT */
  json(from: number): Record<string, unknown> {
    const text = this.text(from);
    let value: unknown;
    try {
      value = text === '' ? {} : JSON.parse(text);
    } catch {
      value = undefined;
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
    throw new NaruError('NARU_CORRUPT', 'the host sent something that is not a JSON object');
  }
}

export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  #kept: Uint8Array = new Uint8Array(0);
  #keptLength = 0;
  /** So many bytes make the next step possible. */
  #needed = PREAMBLE_BYTES;
  #isGreeted = false;
  /** Longest frame, type and payload; raised once both sides agreed. */
  frameBytesMax: number;

  constructor(frameBytesMax: number, onFrame: (frame: Frame) => void) {
    this.frameBytesMax = frameBytesMax;
    this.#onFrame = onFrame;
  }

  /** @throws NARU_CORRUPT, NARU_UNSUPPORTED, and what `onFrame` throws */
  push(piece: Uint8Array): void {
    let bytes = piece;
    if (this.#keptLength > 0) {
      this.#keep(piece);
      if (this.#keptLength < this.#needed) return;
      bytes = this.#kept.subarray(0, this.#keptLength);
      this.#kept = new Uint8Array(0);
      this.#keptLength = 0;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = this.#isGreeted ? 0 : this.#readPreamble(bytes);
    if (this.#isGreeted) {
      this.#needed = LENGTH_BYTES;
      while (bytes.length - at >= LENGTH_BYTES) {
        const whole = LENGTH_BYTES + this.#checkLength(view.getUint32(at, true));
        if (at + whole > bytes.length) {
          this.#needed = whole;
          break;
        }
        this.#onFrame(new Frame(bytes, view, at + LENGTH_BYTES + 1, at + whole));
        at += whole;
      }
    }
    if (at < bytes.length) this.#keep(bytes.subarray(at));
  }

  #readPreamble(bytes: Uint8Array): number {
    if (bytes.length < PREAMBLE_BYTES) return 0;
    if (MAGIC.some((byte, index) => bytes[index] !== byte)) {
      throw new NaruError('NARU_CORRUPT', 'there is no mailbox of Naru: wrong first bytes');
    }
    if (bytes[MAGIC.length] !== PROTOCOL.major) {
      throw new NaruError(
        'NARU_UNSUPPORTED',
        `the host speaks version ${bytes[MAGIC.length]} of the protocol, this page ${PROTOCOL.major}; use the same version of naru on both sides`,
      );
    }
    this.#isGreeted = true;
    return PREAMBLE_BYTES;
  }

  /** Memory grows with what came, never with what was announced. */
  #keep(piece: Uint8Array): void {
    const length = this.#keptLength + piece.length;
    if (length > this.#kept.length) {
      const larger = new Uint8Array(Math.max(KEPT_BYTES_MIN, length * 2));
      larger.set(this.#kept.subarray(0, this.#keptLength));
      this.#kept = larger;
    }
    this.#kept.set(piece, this.#keptLength);
    this.#keptLength = length;
  }

  #checkLength(length: number): number {
    if (length >= 1 && length <= this.frameBytesMax) return length;
    throw new NaruError(
      'NARU_CORRUPT',
      `the host announced a frame of ${length} bytes, allowed are 1 to ${this.frameBytesMax}`,
    );
  }
}
