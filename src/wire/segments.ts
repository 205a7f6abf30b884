// Messages in a stream that several write and that keeps together no more than a few thousand bytes of one write (a pipe): each message
// is cut into segments that are written whole, and put together again by the mark of its writer. A writer that dies between two
// segments leaves a message without an end, which is told and never taken for one.
//
//   0  u8   0x4e
//   1  u8   0x10 (the version) | 1: the first of its message | 2: the last
//   2  u16  length of what follows the head, 1 to SEGMENT_BYTES - 8
//   4  u32  mark of the writer, chosen at random                         (all little-endian)
//   8  …    the next bytes of the message

/** Longest segment, its head included: PIPE_BUF of Linux. */
export const SEGMENT_BYTES = 4096;
/** Bytes in front of each segment. */
export const SEGMENT_HEAD = 8;

const START = 0x4e;
const VERSION = 0x10;
const FIRST = 1;
const LAST = 2;
const WHOLE = VERSION | FIRST | LAST;
const PAYLOAD_MAX = SEGMENT_BYTES - SEGMENT_HEAD;
/** Unfinished messages kept; a writer that died among others that live leaves one, and its bytes are bounded by this. */
const UNFINISHED_MAX = 64;

/** Bytes that a message of `length` takes. */
export function segmentedSize(length: number): number {
  return length + SEGMENT_HEAD * Math.max(1, Math.ceil(length / PAYLOAD_MAX));
}

/** Writes the head of a message that fits in one segment; its `length` bytes go behind it. */
export function writeHead(target: Buffer, offset: number, length: number, mark: number): void {
  writeSegmentHead(target, offset, WHOLE, length, mark);
}

/** A message in segments, all of them SEGMENT_BYTES long but the last. */
export function segmented(message: Uint8Array, mark: number): Buffer {
  const target = Buffer.allocUnsafeSlow(segmentedSize(message.length));
  let at = 0;
  for (let from = 0; from < message.length; from += PAYLOAD_MAX) {
    const piece = message.subarray(from, from + PAYLOAD_MAX);
    const place = (from === 0 ? FIRST : 0) | (from + PAYLOAD_MAX >= message.length ? LAST : 0);
    writeSegmentHead(target, at, VERSION | place, piece.length, mark);
    target.set(piece, at + SEGMENT_HEAD);
    at += SEGMENT_HEAD + piece.length;
  }
  return target;
}

function writeSegmentHead(target: Buffer, at: number, flags: number, length: number, mark: number): void {
  target[at] = START;
  target[at + 1] = flags;
  target.writeUInt16LE(length, at + 2);
  target.writeUInt32LE(mark, at + 4);
}

/** What a stream held besides messages. */
export interface SegmentLoss {
  /** Messages without a beginning or an end. */
  torn: number;
  /** Messages over the limit. */
  tooLarge: number;
  /** Bytes that belong to no segment. */
  strayBytes: number;
}

interface Unfinished {
  pieces: Buffer[];
  length: number;
  /** It is over the limit: the rest of it is skipped. */
  refused: boolean;
}

/** Gets a message: where it begins and ends in `source`. */
export type Give = (source: Buffer, from: number, to: number) => void;

/** Puts the messages of one stream together. */
export class SegmentReader {
  readonly #maxBytes: number;
  readonly #unfinished = new Map<number, Unfinished>();
  /** Of the last cut(): bytes that need not be given again. */
  cutBytes = 0;
  /** Since the last take(). */
  #loss: SegmentLoss = { torn: 0, tooLarge: 0, strayBytes: 0 };

  /** @param maxBytes  longest message */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Messages of which only the beginning has come. */
  get unfinished(): number {
    return this.#unfinished.size;
  }

  /**
   * Finds at most so many messages. Never throws: what is no segment is skipped and counted.
   * @param give  gets each message; its source is `bytes` where it lies there whole
   */
  cut(bytes: Buffer, give: Give, most: number): void {
    let count = 0;
    let at = 0;
    while (count < most && at + SEGMENT_HEAD <= bytes.length) {
      const length = lengthAt(bytes, at);
      if (length < 0) {
        this.#loss.strayBytes += 1;
        at += 1;
        continue;
      }
      const end = at + SEGMENT_HEAD + length;
      if (end > bytes.length) break;
      if (this.#take(bytes, at, end, give)) count += 1;
      at = end;
    }
    this.cutBytes = at;
  }

  /** Nobody writes any more: what is unfinished stays so. */
  end(): void {
    for (const [mark, open] of this.#unfinished) this.#tear(mark, open);
  }

  /** What was lost since it was asked last; undefined: nothing. */
  takeLoss(): SegmentLoss | undefined {
    const loss = this.#loss;
    if (loss.torn + loss.tooLarge + loss.strayBytes === 0) return undefined;
    this.#loss = { torn: 0, tooLarge: 0, strayBytes: 0 };
    return loss;
  }

  /** One segment. @returns whether a message is whole with it */
  #take(bytes: Buffer, at: number, end: number, give: Give): boolean {
    const flags = bytes[at + 1] as number;
    if (flags === WHOLE && this.#unfinished.size === 0) {
      give(bytes, at + SEGMENT_HEAD, end);
      return true;
    }
    const message = this.#add(flags, bytes.readUInt32LE(at + 4), bytes.subarray(at + SEGMENT_HEAD, end));
    if (message === undefined) return false;
    give(message, 0, message.length);
    return true;
  }

  /** @returns the message that is whole with this segment */
  #add(flags: number, mark: number, piece: Buffer): Buffer | undefined {
    let open = this.#unfinished.get(mark);
    if ((flags & FIRST) !== 0) {
      if (open !== undefined) this.#tear(mark, open);
      if ((flags & LAST) !== 0) return piece;
      open = { pieces: [], length: 0, refused: false };
      this.#unfinished.set(mark, open);
      this.#evict();
    } else if (open === undefined) {
      // Its beginning went with somebody who read before, or was over the limit.
      if ((flags & LAST) !== 0) this.#loss.torn += 1;
      return undefined;
    }
    if (!open.refused) this.#keep(open, piece);
    if ((flags & LAST) === 0) return undefined;
    this.#unfinished.delete(mark);
    return open.refused ? undefined : Buffer.concat(open.pieces, open.length);
  }

  #keep(open: Unfinished, piece: Buffer): void {
    open.pieces.push(piece);
    open.length += piece.length;
    if (open.length <= this.#maxBytes) return;
    open.refused = true;
    open.pieces = [];
    this.#loss.tooLarge += 1;
  }

  #evict(): void {
    if (this.#unfinished.size <= UNFINISHED_MAX) return;
    for (const [mark, open] of this.#unfinished) {
      this.#tear(mark, open);
      return;
    }
  }

  #tear(mark: number, { refused }: Unfinished): void {
    this.#unfinished.delete(mark);
    if (!refused) this.#loss.torn += 1;
  }
}

/** @returns the length of the segment's content, or -1 when no segment begins there */
function lengthAt(bytes: Buffer, at: number): number {
  if (bytes[at] !== START || ((bytes[at + 1] as number) & ~(FIRST | LAST)) !== VERSION) return -1;
  const length = bytes.readUInt16LE(at + 2);
  return length >= 1 && length <= PAYLOAD_MAX ? length : -1;
}
