// A cursor over the payload of one frame. One object serves a whole connection: point it at the bytes, then read in order.

import { isUtf8 } from 'node:buffer';
import { decodeTable, type FieldTable } from './field-table.ts';
import { malformed } from './problem.ts';

const NOTHING = Buffer.alloc(0);

/** Every method that reads throws NARU_INVALID_MESSAGE when the payload ends too early. */
export class Reader {
  buffer: Buffer = NOTHING;
  at = 0;
  end = 0;

  /** Points the cursor at `buffer[at…end)`. */
  reset(buffer: Buffer, at: number, end: number): this {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
    return this;
  }

  octet(): number {
    return this.buffer[this.#take(1)] as number;
  }

  short(): number {
    return this.buffer.readUInt16BE(this.#take(2));
  }

  long(): number {
    return this.buffer.readUInt32BE(this.#take(4));
  }

  /** Exact up to 2^53; beyond it the nearest number, which no counter of ours reaches. */
  longlong(): number {
    const at = this.#take(8);
    return this.buffer.readUInt32BE(at) * 0x1_0000_0000 + this.buffer.readUInt32BE(at + 4);
  }

  /** A name. @throws NARU_INVALID_MESSAGE  it is not UTF-8 */
  shortstr(): string {
    const length = this.octet();
    const at = this.#take(length);
    return textOf(this.buffer, at, at + length);
  }

  longstr(): string {
    const bytes = this.longbytes();
    return textOf(bytes, 0, bytes.length);
  }

  /** A view, valid as long as the frame's bytes are. */
  longbytes(): Buffer {
    const length = this.long();
    const at = this.#take(length);
    return this.buffer.subarray(at, at + length);
  }

  table(): FieldTable {
    const length = this.long();
    const at = this.#take(length);
    return decodeTable(this.buffer, at, at + length);
  }

  /** Nothing may be left. @throws NARU_INVALID_MESSAGE */
  finish(): void {
    if (this.at !== this.end) throw malformed(`${this.end - this.at} bytes behind the last argument`);
  }

  #take(size: number): number {
    const at = this.at;
    if (size > this.end - at)
      throw malformed(`${size} bytes expected, ${this.end - at} are left in the frame`);
    this.at = at + size;
    return at;
  }
}

/** Text that must be UTF-8: what cannot be written back as it came is not accepted. */
export function textOf(buffer: Buffer, start: number, end: number): string {
  const text = buffer.toString('utf8', start, end);
  // Ill-formed bytes always leave U+FFFD behind; only then is the second look needed.
  if (text.includes('\uFFFD') && !isUtf8(buffer.subarray(start, end))) {
    throw malformed(`a name of ${end - start} bytes is not UTF-8`);
  }
  return text;
}
