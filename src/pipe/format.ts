// How messages lie in a pipe, and how they are found in it again. Raw: plain bytes cut by a frame (wire/raw-framing.ts). Envelope:
// segments that are written whole (wire/segments.ts) with an envelope and its sender's identity in them (wire/named-envelope.ts).

import { isNaruError } from '../errors/index.ts';
import { PIPE_BUF } from '../kernel/pipe-writer.ts';
import type { Envelope } from '../wire/envelope-types.ts';
import type { Encodable } from '../wire/envelope.ts';
import { encodeNamed, NamedReader, namedSize, viewOf } from '../wire/named-envelope.ts';
import { type RawFraming, rawSize, RawSplitter, writeRaw } from '../wire/raw-framing.ts';
import {
  SEGMENT_BYTES,
  SEGMENT_HEAD,
  segmented,
  segmentedSize,
  SegmentReader,
  writeHead,
} from '../wire/segments.ts';

/** What becomes of bytes that are no message. `reason` is counted, `text` is told. */
export type Lose = (reason: string, count: number, text: string) => void;

/** From messages to bytes. */
export interface PipePacker {
  /** Bytes that the message takes in the pipe. @throws NARU_INVALID_MESSAGE, NARU_TOO_LARGE */
  size(message: Encodable): number;
  /** Writes a message that takes PIPE_BUF bytes at most. @returns the offset after it */
  write(message: Encodable, target: Buffer, offset: number): number;
  /** A message that takes more, whole. */
  long(message: Encodable): Buffer;
  /** Of such a message so many bytes go in at a time; 0: as many as there is room for. */
  readonly pieceBytes: number;
  /** What is left of a message that was cut off spoils the next one: it must not stay in the pipe. */
  readonly isSpoiltByPieces: boolean;
}

/** From bytes to messages. Bytes of messages must never change afterwards. */
export interface PipeCutter {
  /** Finds at most so many messages. @returns how many bytes are done with: the others are given again, with more */
  cut(bytes: Buffer, out: Envelope[], most: number): number;
  /** Takes the beginning of a message of which more is to come. */
  hold(bytes: Buffer): void;
  /** All writers have gone: what is unfinished stays so. */
  end(out: Envelope[]): void;
}

/** The body and its frame. */
export function rawPacker(framing: RawFraming): PipePacker {
  return {
    size: ({ body }) => rawSize(body, framing),
    write: ({ body }, target, offset) => writeRaw(body, framing.frame, target, offset),
    long(message) {
      const target = Buffer.allocUnsafeSlow(rawSize(message.body, framing));
      writeRaw(message.body, framing.frame, target, 0);
      return target;
    },
    pieceBytes: 0,
    isSpoiltByPieces: true,
  };
}

/** @param mark  tells the segments of this writer from others' */
export function envelopePacker(sender: string, mark: number): PipePacker {
  // It writes into the same memory again and again.
  let last: Buffer = Buffer.alloc(0);
  let view = viewOf(last);
  return {
    size: (message) => segmentedSize(namedSize(message, sender)),
    write(message, target, offset) {
      if (target !== last) {
        last = target;
        view = viewOf(target);
      }
      const at = offset + SEGMENT_HEAD;
      const end = encodeNamed(message, sender, target, view, at);
      writeHead(target, offset, end - at, mark);
      return end;
    },
    long(message) {
      const whole = Buffer.allocUnsafeSlow(namedSize(message, sender));
      encodeNamed(message, sender, whole, viewOf(whole), 0);
      return segmented(whole, mark);
    },
    pieceBytes: SEGMENT_BYTES,
    isSpoiltByPieces: false,
  };
}

/** @param isPartialKept  frame=lines: what follows the last line break when all writers have gone is a message, too */
export function rawCutter(framing: RawFraming, isPartialKept: boolean, lose: Lose): PipeCutter {
  return new RawCutter(framing, isPartialKept, lose);
}

class RawCutter implements PipeCutter {
  readonly #framing: RawFraming;
  readonly #isPartialKept: boolean;
  readonly #lose: Lose;
  readonly #splitter: RawSplitter;
  /** A message was too long: everything up to the next one is skipped, where that can be told. */
  #isLost = false;

  constructor(framing: RawFraming, isPartialKept: boolean, lose: Lose) {
    this.#framing = framing;
    this.#isPartialKept = isPartialKept;
    this.#lose = lose;
    this.#splitter = new RawSplitter(framing);
  }

  cut(bytes: Buffer, out: Envelope[], most: number): number {
    let from = 0;
    if (this.#isLost) {
      from = this.#nextMessage(bytes);
      if (this.#isLost) return from;
    }
    const bodies: Buffer[] = [];
    const isFine = this.#try(() => this.#splitter.cut(bytes.subarray(from), bodies, most));
    for (const body of bodies) out.push(stranger(body));
    from += this.#splitter.cutBytes;
    return isFine ? from : from + this.cut(bytes.subarray(from), out, most - bodies.length);
  }

  hold(bytes: Buffer): void {
    if (!this.#isLost) this.#try(() => this.#splitter.hold(bytes));
  }

  end(out: Envelope[]): void {
    const { frame } = this.#framing;
    this.#isLost = false;
    if (frame === 'eof' || (frame === 'lines' && this.#isPartialKept)) {
      const last = this.#splitter.end();
      if (last !== undefined) out.push(stranger(last));
      return;
    }
    const length = this.#splitter.drop();
    if (length === 0) return;
    const hint = frame === 'lines' ? ' (partial=deliver takes a line without a line break for one)' : '';
    this.#lose('torn', 1, `the last writer went after ${length} bytes of a message, frame=${frame}${hint}`);
  }

  /** @returns false when a message is too long; then its end is looked for */
  #try(act: () => void): boolean {
    try {
      act();
      return true;
    } catch (error) {
      if (!isNaruError(error, 'NARU_TOO_LARGE')) throw error;
      this.#splitter.drop();
      this.#isLost = true;
      const where = this.#framing.frame === 'lines' ? 'it is skipped' : 'all is skipped until the writers go';
      this.#lose('tooLarge', 1, `${error.message}; ${where}`);
      return false;
    }
  }

  /** @returns how many bytes are skipped */
  #nextMessage(bytes: Buffer): number {
    const end = this.#framing.frame === 'lines' ? bytes.indexOf(0x0a) : -1;
    if (end < 0) return bytes.length;
    this.#isLost = false;
    return end + 1;
  }
}

/** @param maxBytes  longest message, its envelope included */
export function envelopeCutter(maxBytes: number, lose: Lose): PipeCutter {
  const reader = new SegmentReader(maxBytes);
  const names = new NamedReader();
  const tell = (): void => {
    const loss = reader.takeLoss();
    if (loss === undefined) return;
    const { torn, tooLarge, strayBytes } = loss;
    if (torn > 0) lose('torn', torn, `${torn} messages came without their end or beginning: a writer went`);
    if (tooLarge > 0)
      lose('tooLarge', tooLarge, `${tooLarge} messages are over the limit of ${maxBytes} bytes`);
    if (strayBytes > 0)
      lose('undecodable', 1, `${strayBytes} bytes are no message; who sent them wants format=raw`);
  };
  return {
    cut(bytes, out, most) {
      const give = (source: Buffer, from: number, to: number): void => {
        const message = decode(names, source, from, to, lose);
        if (message !== undefined) out.push(message);
      };
      reader.cut(bytes, give, most);
      tell();
      return reader.cutBytes;
    },
    hold(bytes) {
      lose('undecodable', 1, `${bytes.length} bytes are no whole segment; who sent them wants format=raw`);
    },
    end() {
      reader.end();
      tell();
    },
  };
}

function decode(
  names: NamedReader,
  source: Buffer,
  from: number,
  to: number,
  lose: Lose,
): Envelope | undefined {
  try {
    return names.decode(source, from, to);
  } catch (error) {
    if (!isNaruError(error)) throw error;
    lose('undecodable', 1, error.message);
    return undefined;
  }
}

function stranger(body: Uint8Array): Envelope {
  return { body, sender: '', sequence: 0, time: 0, fields: undefined };
}

/** The longest body that goes into a pipe in one piece. */
export function atomicBytes({ frame, slotBytes }: RawFraming): number {
  if (frame === 'fixed') return slotBytes;
  return PIPE_BUF - rawSize(new Uint8Array(1), { frame, slotBytes, maxMessageBytes: 1 }) + 1;
}
