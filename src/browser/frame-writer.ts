// Puts frames one behind the other and hands them to a WebSocket, many in one message. As FrameWriter of wire/frames.ts,
// without Buffer.

import { type Encodable, encodeEnvelope } from '../wire/envelope.ts';
import { textBytes, writeText } from '../wire/text.ts';

const BUFFER_BYTES = 16_384;
/** Longest message that the host takes. */
const PIECE_BYTES_MAX = 65_536;
const FRAME_HEAD_BYTES = 5;

export class FrameWriter {
  readonly #emit: (bytes: Uint8Array) => void;
  #bytes: Uint8Array = new Uint8Array(BUFFER_BYTES);
  #view: DataView = new DataView(this.#bytes.buffer);
  #length = 0;
  #scheduled = false;

  /** @param emit  takes bytes that it must copy before it returns */
  constructor(emit: (bytes: Uint8Array) => void) {
    this.#emit = emit;
  }

  get pendingBytes(): number {
    return this.#length;
  }

  flush(): void {
    this.#scheduled = false;
    for (let from = 0; from < this.#length; from += PIECE_BYTES_MAX) {
      this.#emit(this.#bytes.subarray(from, Math.min(this.#length, from + PIECE_BYTES_MAX)));
    }
    this.#length = 0;
    if (this.#bytes.length > PIECE_BYTES_MAX) this.#allocate(BUFFER_BYTES);
  }

  /** Bytes as they are: the preamble. */
  raw(bytes: readonly number[]): void {
    this.#bytes.set(bytes, this.#reserve(bytes.length));
  }

  bare(type: number): void {
    this.#begin(type, 0);
  }

  text(type: number, text: string): void {
    const at = this.#begin(type, textBytes(text));
    writeText(text, this.#bytes, at);
  }

  /** A number, a small code and a text. */
  coded(type: number, id: number, code: number, text: string): void {
    const at = this.#begin(type, 5 + textBytes(text));
    this.#view.setUint32(at, id, true);
    this.#view.setUint8(at + 4, code);
    writeText(text, this.#bytes, at + 5);
  }

  /** A number of messages and one of bytes. */
  amounts(type: number, messages: number, bytes: number): void {
    const at = this.#begin(type, 12);
    this.#view.setUint32(at, messages, true);
    this.#view.setFloat64(at + 4, bytes, true);
  }

  /** Tokens. */
  list(type: number, numbers: readonly number[]): void {
    const at = this.#begin(type, numbers.length * 8);
    for (const [index, number] of numbers.entries()) this.#view.setFloat64(at + index * 8, number, true);
  }

  settle(type: number, token: number, outcome: number, delayMs: number): void {
    const at = this.#begin(type, 17);
    this.#view.setFloat64(at, token, true);
    this.#view.setUint8(at + 8, outcome);
    this.#view.setFloat64(at + 9, delayMs, true);
  }

  /** @param size  encodedSize() of the message */
  send(type: number, message: Encodable, size: number, flags: number): void {
    const at = this.#begin(type, 1 + size);
    this.#bytes[at] = flags;
    encodeEnvelope(message, this.#bytes, this.#view, at + 1);
  }

  /** An answer for whoever has the address. */
  reply(type: number, id: number, address: string, message: Encodable, size: number): void {
    const length = textBytes(address);
    const at = this.#begin(type, 10 + length + size);
    this.#view.setUint32(at, id, true);
    this.#view.setUint32(at + 4, 0, true);
    this.#view.setUint16(at + 8, length, true);
    writeText(address, this.#bytes, at + 10);
    encodeEnvelope(message, this.#bytes, this.#view, at + 10 + length);
  }

  #begin(type: number, payload: number): number {
    const at = this.#reserve(FRAME_HEAD_BYTES + payload);
    this.#view.setUint32(at, payload + 1, true);
    this.#bytes[at + 4] = type;
    return at + FRAME_HEAD_BYTES;
  }

  #reserve(size: number): number {
    if (this.#length + size > PIECE_BYTES_MAX) this.flush();
    if (this.#length + size > this.#bytes.length)
      this.#allocate(Math.max(this.#bytes.length * 2, this.#length + size));
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => this.flush());
    }
    const at = this.#length;
    this.#length += size;
    return at;
  }

  #allocate(size: number): void {
    const larger = new Uint8Array(size);
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}
