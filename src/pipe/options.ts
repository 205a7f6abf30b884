// What the options of a mailbox that is a pipe mean, for FIFOs and descriptors alike.

import { PIPE_BUF } from '../kernel/pipe-writer.ts';
import type { Owner } from '../mailbox/capabilities.ts';
import type { NobodyPolicy, Relation } from '../mailbox/options.ts';
import type { PlaceOptions, PlaceUrl } from '../mailbox/place.ts';
import { refusal } from '../mailbox/refusal.ts';
import { FIELD_LIMITS } from '../wire/envelope.ts';
import type { RawFraming } from '../wire/raw-framing.ts';
import { atomicBytes } from './format.ts';

/** Largest message unless it is said otherwise, in bytes. */
const MESSAGE_BYTES = 16_777_216;
/** Room for fields, envelope and identity beside the largest body, in bytes. */
export const NAMED_BYTES: number = FIELD_LIMITS.fieldsBytesMax + 1024;

/** Parameters of the URL that both places know. */
export const PIPE_PARAMETERS: readonly string[] = ['partial'];

/** How one handle uses its pipe. */
export interface PipeSettings {
  /** Undefined: envelopes. */
  readonly framing: RawFraming | undefined;
  /** frame=lines: what follows the last line break when all writers have gone is a message. */
  readonly isPartialKept: boolean;
  /** No other producer writes. */
  readonly isAlone: boolean;
  readonly nobody: NobodyPolicy | undefined;
  /** When this handle holds the end that reads open, so that what is sent stays: from open() on, while it sends, or never. */
  readonly keeps: 'at-once' | 'with-sender' | 'no';
  readonly capacityBytes: number | undefined;
  /** Longest body that is sent. */
  readonly maxSentBytes: number;
  /** Longest body that is received. */
  readonly maxReceivedBytes: number;
  readonly flushMs: number;
}

/** @param possible  the only way how a mailbox of this place lives @throws NARU_UNSUPPORTED */
export function refuseOwner(url: PlaceUrl, { owner }: PlaceOptions, possible: Owner): void {
  if (owner === undefined || owner === possible) return;
  const what = `the kernel keeps a pipe as long as somebody has it open, and the name of a FIFO until it is removed; owner "${owner}" is not possible`;
  throw refusal('NARU_UNSUPPORTED', url, what);
}

/**
 * @param relation  what holds when nothing is said
 * @throws NARU_UNSUPPORTED, NARU_INVALID_ARGUMENT; NARU_TOO_LARGE  messages that would not stay together
 */
export function readPipeSettings(url: PlaceUrl, options: PlaceOptions, relation: Relation): PipeSettings {
  refuseMeaningless(url, options);
  const { capacityBytes, maxMessageBytes = MESSAGE_BYTES, nobody, role, flushMs, frame } = options;
  const framing = framingOf(url, options);
  const isAlone = (options.relation ?? (frame === 'eof' ? '1:1' : relation)).startsWith('1:');
  if (frame === 'eof' && !isAlone) {
    throw refusal(
      'NARU_INVALID_ARGUMENT',
      url,
      'with frame=eof all that is written is one message: relation 1:1',
    );
  }
  const most = framing === undefined ? maxMessageBytes : framing.maxMessageBytes;
  return {
    framing,
    isPartialKept: readPartial(url, frame),
    isAlone,
    nobody,
    keeps: nobody === 'keep' ? 'at-once' : nobody === undefined && role !== 'producer' ? 'with-sender' : 'no',
    capacityBytes,
    maxSentBytes: framing === undefined || isAlone ? most : Math.min(most, together(url, framing)),
    maxReceivedBytes: most,
    flushMs,
  };
}

/** Why maxSentBytes is what it is, for the error of a body that is longer; undefined: because it was said. */
export function limitReason({
  framing,
  isAlone,
  maxSentBytes,
  maxReceivedBytes,
}: PipeSettings): string | undefined {
  if (framing === undefined || isAlone || maxSentBytes === maxReceivedBytes) return undefined;
  return `PIPE_BUF (${PIPE_BUF} bytes with the frame): no more stays together when several write; a producer that is alone (relation 1:1) may send more, and format=envelope takes more from several`;
}

/** @returns the longest body that is written in one piece @throws NARU_TOO_LARGE  fixed messages are longer */
function together(url: PlaceUrl, framing: RawFraming): number {
  const most = atomicBytes(framing);
  if (most <= PIPE_BUF) return most;
  const what = `messages of ${most} bytes are longer than PIPE_BUF (${PIPE_BUF}), which is the most that stays together when several write; for a producer that is alone say relation=1:1`;
  throw refusal('NARU_TOO_LARGE', url, what);
}

function framingOf(url: PlaceUrl, options: PlaceOptions): RawFraming | undefined {
  const { format, frame = 'lines', slotBytes, maxMessageBytes = MESSAGE_BYTES } = options;
  if (format === 'envelope') {
    if (options.frame === undefined) return undefined;
    throw refusal(
      'NARU_INVALID_ARGUMENT',
      url,
      `frame=${frame} cuts plain bytes; envelopes have their own borders`,
    );
  }
  if (frame === 'fixed' && slotBytes === undefined) {
    throw refusal('NARU_INVALID_ARGUMENT', url, 'frame=fixed needs the length of a message: slotBytes');
  }
  return {
    frame,
    slotBytes: slotBytes ?? 0,
    maxMessageBytes: Math.min(maxMessageBytes, slotBytes ?? Infinity),
  };
}

function readPartial(url: PlaceUrl, frame: PlaceOptions['frame']): boolean {
  const text = url.extra['partial'];
  if (text === undefined || text === 'report') return false;
  if (text !== 'deliver') {
    throw refusal('NARU_INVALID_ARGUMENT', url, `partial is report or deliver, got "${text.slice(0, 40)}"`);
  }
  if (frame === undefined || frame === 'lines') return true;
  throw refusal('NARU_INVALID_ARGUMENT', url, 'partial=deliver is about lines: frame=lines');
}

/** Options that would change nothing. */
function refuseMeaningless(url: PlaceUrl, options: PlaceOptions): void {
  const { tls, capacityMessages } = options;
  if (tls !== undefined) throw refusal('NARU_UNSUPPORTED', url, 'the option tls has no meaning for a pipe');
  if (capacityMessages !== undefined) {
    throw refusal('NARU_UNSUPPORTED', url, 'a pipe has room in bytes, not in messages: give capacity');
  }
}
