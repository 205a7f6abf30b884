// Frames out of a stream of bytes: chunks of any size go in, the place of each frame's payload comes out, with no object per
// frame. What a payload means is not known here.

import { CODEC_LIMITS, FRAME_OVERHEAD } from './limits.ts';

export const FrameType = { method: 1, header: 2, body: 3, heartbeat: 8 } as const;
export const FRAME_END = 0xce;
/** Bytes in front of a frame's payload. */
export const FRAME_PREFIX = 7;
/** What a client says first: `AMQP`, 0, 0, 9, 1. */
export const PROTOCOL_HEADER: Buffer = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);

/** Takes frames. The payload is `buffer[start…end)` and is valid during the call only. */
export interface FrameHandler {
  frame(type: number, channel: number, buffer: Buffer, start: number, end: number): void;
  /** The stream is no sequence of frames any more; nothing is read after it. */
  broken(problem: FrameProblem): void;
}

export type FrameProblem =
  | {
      readonly kind: 'end-mark';
      readonly type: number;
      readonly found: number;
      /** Valid during the call only. */
      readonly payload: Buffer;
    }
  | { readonly kind: 'too-large'; readonly type: number; readonly size: number; readonly max: number };

export class FrameParser {
  /** Longest payload that is accepted, in bytes; the owner sets it when the peers have agreed. */
  payloadMax: number = CODEC_LIMITS.handshakeFrameBytesMax - FRAME_OVERHEAD;
  readonly #handler: FrameHandler;
  /** A frame that is not complete; null when there is none. */
  #partial: Buffer | null = null;
  #held = 0;
  #stopped = false;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Bytes of an unfinished frame that are kept. */
  get heldBytes(): number {
    return this.#held;
  }

  /** Nothing more is read: what comes is thrown away. */
  stop(): void {
    this.#stopped = true;
    this.#partial = null;
    this.#held = 0;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (this.#partial !== null && at < chunk.length && !this.#stopped) at = this.#continue(chunk, at);
    if (!this.#stopped && at < chunk.length) this.#parse(chunk, at);
  }

  /** Frames that lie whole in the chunk are handed on where they lie. */
  #parse(chunk: Buffer, start: number): void {
    const handler = this.#handler;
    const length = chunk.length;
    let at = start;
    while (length - at >= FRAME_OVERHEAD) {
      const size = sizeAt(chunk, at);
      if (size > this.payloadMax) return this.#tooLarge(chunk, at);
      const end = at + FRAME_PREFIX + size;
      if (end >= length) break;
      if (chunk[end] !== FRAME_END) return this.#wrongMark(chunk, at, end);
      const channel = ((chunk[at + 1] as number) << 8) | (chunk[at + 2] as number);
      handler.frame(chunk[at] as number, channel, chunk, at + FRAME_PREFIX, end);
      if (this.#stopped) return;
      at = end + 1;
    }
    if (at < length) this.#keep(chunk, at);
  }

  /** Only what has arrived takes memory; a declared size does not. */
  #keep(chunk: Buffer, at: number): void {
    const rest = chunk.length - at;
    if (rest >= FRAME_PREFIX && sizeAt(chunk, at) > this.payloadMax) {
      return this.#tooLarge(chunk, at);
    }
    this.#partial = Buffer.allocUnsafeSlow(Math.max(64, rest));
    chunk.copy(this.#partial, 0, at);
    this.#held = rest;
  }

  /** Adds to the unfinished frame what it lacks, and hands it on when it is complete. */
  #continue(chunk: Buffer, at: number): number {
    let next = this.#fill(chunk, at, FRAME_PREFIX);
    if (this.#held < FRAME_PREFIX) return next;
    const size = sizeAt(this.#partial as Buffer, 0);
    if (size > this.payloadMax) {
      this.#tooLarge(this.#partial as Buffer, 0);
      return next;
    }
    next = this.#fill(chunk, next, size + FRAME_OVERHEAD);
    if (this.#held < size + FRAME_OVERHEAD) return next;
    const frame = this.#partial as Buffer;
    this.#partial = null;
    this.#held = 0;
    if (frame[FRAME_PREFIX + size] !== FRAME_END) this.#wrongMark(frame, 0, FRAME_PREFIX + size);
    else {
      this.#handler.frame(
        frame[0] as number,
        frame.readUInt16BE(1),
        frame,
        FRAME_PREFIX,
        FRAME_PREFIX + size,
      );
    }
    return next;
  }

  #fill(chunk: Buffer, at: number, wanted: number): number {
    const count = Math.min(wanted - this.#held, chunk.length - at);
    if (count <= 0) return at;
    let partial = this.#partial as Buffer;
    if (this.#held + count > partial.length) {
      partial = Buffer.allocUnsafeSlow(
        Math.min(Math.max(partial.length * 2, this.#held + count), this.payloadMax + FRAME_OVERHEAD),
      );
      (this.#partial as Buffer).copy(partial, 0, 0, this.#held);
      this.#partial = partial;
    }
    chunk.copy(partial, this.#held, at, at + count);
    this.#held += count;
    return at + count;
  }

  #tooLarge(chunk: Buffer, at: number): void {
    const type = chunk[at] as number;
    this.#break({ kind: 'too-large', type, size: sizeAt(chunk, at), max: this.payloadMax });
  }

  #wrongMark(chunk: Buffer, at: number, end: number): void {
    const payload = chunk.subarray(at + FRAME_PREFIX, end);
    this.#break({ kind: 'end-mark', type: chunk[at] as number, found: chunk[end] as number, payload });
  }

  #break(problem: FrameProblem): void {
    this.stop();
    this.#handler.broken(problem);
  }
}

function sizeAt(buffer: Buffer, at: number): number {
  return (
    (buffer[at + 3] as number) * 0x1_00_00_00 +
    (((buffer[at + 4] as number) << 16) | ((buffer[at + 5] as number) << 8) | (buffer[at + 6] as number))
  );
}
