// Where one message ends and the next begins, for programs that know nothing of Naru: five ways to cut a stream of plain
// bytes (`?frame=`), and to write one. Bodies only: nothing else travels.

import { NaruError } from '../errors/index.ts';

/** lines: "\n" ends a message. length: u32 big-endian in front. fixed: always so long. chunk: whatever arrives. eof: all of it. */
export type RawFrame = 'lines' | 'length' | 'fixed' | 'chunk' | 'eof';

const NEWLINE = 0x0a;
const LENGTH_BYTES = 4;

/** How messages are cut. */
export interface RawFraming {
  readonly frame: RawFrame;
  /** Longest message in bytes; also bounds what is kept of an unfinished one. */
  readonly maxMessageBytes: number;
  /** fixed: the length of every message. */
  readonly slotBytes: number;
}

/**
 * What the framing adds to a message.
 * @throws NARU_INVALID_MESSAGE  the message cannot be told apart from the next one in this framing
 */
export function rawSize(body: Uint8Array, { frame, slotBytes }: RawFraming): number {
  const { length } = body;
  switch (frame) {
    case 'lines':
      if (body.includes(NEWLINE)) {
        throw invalid(
          'the message contains a line break, which ends a message with frame=lines; use frame=length',
        );
      }
      return length + 1;
    case 'length':
      return length + LENGTH_BYTES;
    case 'fixed':
      if (length !== slotBytes)
        throw invalid(`the message has ${length} bytes, with frame=fixed it must have ${slotBytes}`);
      return length;
    default:
      if (length === 0)
        throw invalid(`an empty message leaves no trace with frame=${frame}; use frame=length or lines`);
      return length;
  }
}

/** Writes a message with its framing at `offset`, where rawSize() bytes are free. @returns the offset after it */
export function writeRaw(body: Uint8Array, frame: RawFrame, target: Buffer, offset: number): number {
  let at = offset;
  if (frame === 'length') at = target.writeUInt32BE(body.length, at);
  target.set(body, at);
  at += body.length;
  if (frame === 'lines') {
    target[at] = NEWLINE;
    at += 1;
  }
  return at;
}

/** Cuts one stream. Messages are views of the pieces that arrived where they lie whole in one. */
export class RawSplitter {
  readonly #framing: RawFraming;
  /** An unfinished message, in the pieces that came. */
  #pieces: Buffer[] = [];
  #length = 0;
  #cutBytes = 0;

  constructor(framing: RawFraming) {
    this.#framing = framing;
  }

  /** Bytes of the unfinished message. */
  get keptBytes(): number {
    return this.#length;
  }

  /** How many bytes of what the last cut() was given belong to the messages that it found, also when it threw. */
  get cutBytes(): number {
    return this.#cutBytes;
  }

  /**
   * Takes the next bytes, which must never change afterwards.
   * @param out  gets the messages that are complete now
   * @throws NARU_TOO_LARGE  a message is longer than allowed; `out` has those before it
   */
  push(bytes: Buffer, out: Buffer[]): void {
    this.cut(bytes, out, Number.POSITIVE_INFINITY);
    this.hold(bytes.subarray(this.#cutBytes));
  }

  /**
   * Finds the messages that are complete, at most so many, and leaves the rest of the bytes to the caller, who gives them again with
   * more, or to hold(). The bytes of messages must never change afterwards.
   * @throws NARU_TOO_LARGE  as push(); `cutBytes` tells how far it came
   */
  cut(bytes: Buffer, out: Buffer[], most: number): void {
    this.#cutBytes = 0;
    switch (this.#framing.frame) {
      case 'lines':
        this.#cutLines(bytes, out, most);
        break;
      case 'length':
      case 'fixed':
        this.#cutCounted(bytes, out, most);
        break;
      case 'chunk':
        this.#cutChunks(bytes, out, most);
        break;
      case 'eof':
    }
  }

  /**
   * Keeps the beginning of a message of which more is to come.
   * @throws NARU_TOO_LARGE  it is longer than allowed already
   */
  hold(bytes: Buffer): void {
    const { frame } = this.#framing;
    if (frame === 'lines' || frame === 'eof') this.#checkLength(this.#length + bytes.length);
    this.#hold(bytes);
  }

  /** Forgets the unfinished message. @returns how many bytes of it were kept */
  drop(): number {
    const length = this.#length;
    this.#pieces = [];
    this.#length = 0;
    return length;
  }

  /**
   * The stream has ended.
   * @returns the last message, if it counts as one: a last line without line break, all of an `eof` stream
   * @throws NARU_INVALID_MESSAGE  it ended within a message
   */
  end(): Buffer | undefined {
    const { frame } = this.#framing;
    const length = this.#length;
    if (length === 0) return undefined;
    if (frame === 'lines' || frame === 'eof') return this.#join();
    throw invalid(`the stream ended within a message, after ${length} bytes of it (frame=${frame})`);
  }

  #cutLines(bytes: Buffer, out: Buffer[], most: number): void {
    let from = 0;
    for (let count = 0; count < most; count += 1) {
      const end = bytes.indexOf(NEWLINE, from);
      if (end < 0) break;
      const line = bytes.subarray(from, end);
      this.#checkLength(this.#length + line.length);
      from = end + 1;
      out.push(this.#length === 0 ? line : this.#joinWith(line));
      this.#cutBytes = from;
    }
  }

  #cutCounted(bytes: Buffer, out: Buffer[], most: number): void {
    const { frame, slotBytes } = this.#framing;
    const prefix = frame === 'length' ? LENGTH_BYTES : 0;
    let from = 0;
    for (let count = 0; count < most; count += 1) {
      if (this.#length + bytes.length - from < Math.max(prefix, 1)) break;
      const size = prefix + (prefix === 0 ? slotBytes : this.#peekLength(bytes, from));
      this.#checkLength(size - prefix);
      if (this.#length + bytes.length - from < size) break;
      const end = from + size - this.#length;
      if (this.#length === 0) out.push(bytes.subarray(from + prefix, end));
      else out.push(this.#joinWith(bytes.subarray(from, end)).subarray(prefix));
      from = end;
      this.#cutBytes = from;
    }
  }

  #cutChunks(bytes: Buffer, out: Buffer[], most: number): void {
    const { maxMessageBytes } = this.#framing;
    for (let count = 0; count < most && this.#cutBytes < bytes.length; count += 1) {
      const end = Math.min(bytes.length, this.#cutBytes + maxMessageBytes);
      out.push(bytes.subarray(this.#cutBytes, end));
      this.#cutBytes = end;
    }
  }

  /** The length field, which may lie across pieces. */
  #peekLength(bytes: Buffer, from: number): number {
    if (this.#length === 0) return bytes.readUInt32BE(from);
    const head = Buffer.concat([...this.#pieces, bytes.subarray(from, from + LENGTH_BYTES)], LENGTH_BYTES);
    return head.readUInt32BE(0);
  }

  #hold(piece: Buffer): void {
    if (piece.length === 0) return;
    const last = this.#pieces[this.#pieces.length - 1];
    // Bytes that trickle in one by one are gathered: a piece costs far more than a byte.
    if (last !== undefined && last.length + piece.length <= PIECE_BYTES) {
      this.#pieces[this.#pieces.length - 1] = Buffer.concat([last, piece]);
    } else this.#pieces.push(piece);
    this.#length += piece.length;
  }

  #joinWith(piece: Buffer): Buffer {
    this.#hold(piece);
    return this.#join();
  }

  #join(): Buffer {
    const [only] = this.#pieces;
    const whole =
      this.#pieces.length === 1 && only !== undefined ? only : Buffer.concat(this.#pieces, this.#length);
    this.#pieces = [];
    this.#length = 0;
    return whole;
  }

  #checkLength(length: number): void {
    const { maxMessageBytes } = this.#framing;
    if (length <= maxMessageBytes) return;
    throw new NaruError(
      'NARU_TOO_LARGE',
      `a message of at least ${length} bytes arrives, the limit is ${maxMessageBytes}; raise maxMessageBytes, or is it another frame?`,
    );
  }
}

/** Pieces below this are joined as they come. */
const PIECE_BYTES = 4096;

function invalid(what: string): NaruError {
  return new NaruError('NARU_INVALID_MESSAGE', what);
}
