// What is published on a channel: one message as a named envelope (wire/named-envelope.ts), or several in a frame, which cost the server and whoever
// reads them one PUBLISH instead of many.
//
//   0   u8   0: no identity has this length, so it is no envelope
//   1   u8   version = 1
//   2   u16  n, how many messages, from 1                        (all little-endian)
//   4   n × u32  their lengths
//   …   their named envelopes, one behind the other, to the end

import { NaruError } from '../../errors/index.ts';
import { viewOf } from '../../wire/named-envelope.ts';

/** Messages of one frame. More would save nothing that can be measured, and keep readers waiting. */
const FRAME_MAX = 256;
/** Bytes of its messages, unless there is only one: whoever keeps one of them keeps the memory of all. */
const FRAME_BYTES_MAX = 65_536;

const HEAD_BYTES = 4;
const VERSION = 1;

/** Where a message lies in memory that it shares with others. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** Where the frame ends that begins with the message `first`. @returns the index behind its last message */
export function frameEnd(spans: readonly Span[], first: number): number {
  const { from } = spans[first] as Span;
  const most = Math.min(spans.length, first + FRAME_MAX);
  let end = first + 1;
  while (end < most && (spans[end] as Span).to - from <= FRAME_BYTES_MAX) end += 1;
  return end;
}

/** What to publish for messages that lie one behind the other in `bytes`. */
export function frameOf(spans: readonly Span[], bytes: Buffer): Buffer {
  const { from } = spans[0] as Span;
  const { to } = spans.at(-1) as Span;
  if (spans.length === 1) return bytes.subarray(from, to);
  const head = HEAD_BYTES + spans.length * 4;
  const frame = Buffer.allocUnsafe(head + to - from);
  frame[0] = 0;
  frame[1] = VERSION;
  frame.writeUInt16LE(spans.length, 2);
  const view = viewOf(frame);
  for (const [index, span] of spans.entries())
    view.setUint32(HEAD_BYTES + index * 4, span.to - span.from, true);
  bytes.copy(frame, head, from, to);
  return frame;
}

/**
 * Goes through what anybody may have published.
 * @param message  called for each message with where it lies; its bytes may still be none
 * @throws NARU_INVALID_MESSAGE  before the first call
 */
export function readFrame(bytes: Buffer, message: (from: number, to: number) => void): void {
  if (bytes[0] !== 0) {
    message(0, bytes.length);
    return;
  }
  const lengths = checkedLengths(bytes);
  let from = HEAD_BYTES + lengths.byteLength;
  for (let at = 0; at < lengths.byteLength; at += 4) {
    const to = from + lengths.getUint32(at, true);
    message(from, to);
    from = to;
  }
}

function checkedLengths(bytes: Buffer): DataView {
  if (bytes.length < HEAD_BYTES || bytes[1] !== VERSION) throw invalid('no head of version 1');
  const size = bytes.readUInt16LE(2) * 4;
  const rest = bytes.length - HEAD_BYTES - size;
  if (size === 0 || rest < 0) throw invalid('no lengths');
  const lengths = new DataView(bytes.buffer, bytes.byteOffset + HEAD_BYTES, size);
  let sum = 0;
  for (let at = 0; at < size; at += 4) sum += lengths.getUint32(at, true);
  if (sum !== rest) throw invalid(`${rest} bytes of messages, ${sum} by their lengths`);
  return lengths;
}

function invalid(what: string): NaruError {
  return new NaruError('NARU_INVALID_MESSAGE', `the bytes are no frame of messages: ${what}`);
}
