// Writes frames and values into one growing piece of memory. Where the bytes go next is its owner's business.

import { encodeFields, type FieldTable } from './field-table.ts';
import { FrameType, FRAME_END } from './frames.ts';
import { malformed } from './problem.ts';
import type { Sink } from './sink.ts';

/** Room for a short method with two names of 255 bytes. */
const ROOM = 1024;

export class Writer implements Sink {
  buffer: Buffer;
  /** Where the next byte goes. */
  at = 0;
  #frame = 0;

  constructor(bytes = 4096) {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
  }

  /** Starts a method frame; the arguments follow, then endFrame(). */
  beginMethod(channel: number, id: number): void {
    this.beginFrame(FrameType.method, channel);
    this.long(id);
  }

  beginFrame(type: number, channel: number): void {
    this.ensure(ROOM);
    this.#frame = this.at;
    this.octet(type);
    this.short(channel);
    this.at += 4;
  }

  /** Ends the frame that was begun last: sets its size and the mark behind it. */
  endFrame(): void {
    this.octet(FRAME_END);
    this.buffer.writeUInt32BE(this.at - this.#frame - 8, this.#frame + 3);
  }

  /** Makes room for `size` more bytes. */
  ensure(size: number): void {
    if (this.at + size <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + size));
    this.buffer.copy(grown, 0, 0, this.at);
    this.buffer = grown;
  }

  octet(value: number): void {
    this.ensure(1);
    this.buffer[this.at] = value;
    this.at += 1;
  }

  short(value: number): void {
    this.ensure(2);
    this.at = this.buffer.writeUInt16BE(value, this.at);
  }

  long(value: number): void {
    this.ensure(4);
    this.at = this.buffer.writeUInt32BE(value, this.at);
  }

  longlong(value: number): void {
    this.long(Math.floor(value / 0x1_0000_0000));
    this.long(value % 0x1_0000_0000);
  }

  int64(value: bigint): void {
    this.ensure(8);
    this.at = this.buffer.writeBigUInt64BE(BigInt.asUintN(64, value), this.at);
  }

  float(value: number): void {
    this.ensure(4);
    this.at = this.buffer.writeFloatBE(value, this.at);
  }

  double(value: number): void {
    this.ensure(8);
    this.at = this.buffer.writeDoubleBE(value, this.at);
  }

  shortstr(text: string): void {
    // Three bytes a unit at most: enough room, and only then is the length known.
    this.ensure(1 + text.length * 3);
    const length = this.buffer.write(text, this.at + 1, text.length * 3, 'utf8');
    if (length > 255) throw malformed(`a name of ${length} bytes, the limit is 255`);
    this.buffer[this.at] = length;
    this.at += 1 + length;
  }

  longstr(text: string): void {
    this.ensure(4 + text.length * 3);
    const length = this.buffer.write(text, this.at + 4, text.length * 3, 'utf8');
    this.buffer.writeUInt32BE(length, this.at);
    this.at += 4 + length;
  }

  longbytes(bytes: Uint8Array): void {
    this.long(bytes.length);
    this.bytes(bytes);
  }

  bytes(bytes: Uint8Array): void {
    this.ensure(bytes.length);
    this.buffer.set(bytes, this.at);
    this.at += bytes.length;
  }

  table(table: FieldTable): void {
    this.counted(() => encodeFields(table, this));
  }

  counted(body: () => void): void {
    this.long(0);
    const start = this.at;
    body();
    this.buffer.writeUInt32BE(this.at - start, start - 4);
  }

  /** A copy of what was written, and starts again. */
  take(): Buffer {
    const taken = Buffer.from(this.buffer.subarray(0, this.at));
    this.at = 0;
    return taken;
  }
}
