// An envelope with its sender's identity in front, for places that do not know who sends: kernel queues, pipes.
//
//   0   u8   length of the identity, n
//   1   the identity, ASCII
//   1+n the envelope: envelope.ts

import type { Envelope } from './envelope-types.ts';
import { decodeEnvelope, type Encodable, encodedSize, encodeEnvelope } from './envelope.ts';

/** How many bytes encodeNamed() will write. @throws as encodedSize() */
export function namedSize(message: Encodable, sender: string): number {
  return 1 + sender.length + encodedSize(message);
}

/**
 * Writes a message at `offset`, where namedSize() bytes are free.
 * @param view  a view of exactly the same bytes as `target`
 * @returns the offset after the message
 */
export function encodeNamed(
  message: Encodable,
  sender: string,
  target: Uint8Array,
  view: DataView,
  offset: number,
): number {
  target[offset] = sender.length;
  for (let i = 0; i < sender.length; i += 1) target[offset + i + 1] = sender.charCodeAt(i) & 0x7f;
  return encodeEnvelope(message, target, view, offset + 1 + sender.length);
}

/**
 * Reads a message that anybody may have written. Its body is a view of `bytes`, not a copy.
 * @throws NARU_INVALID_MESSAGE  the bytes are not a message
 */
export function decodeNamed(bytes: Uint8Array): Envelope {
  return new NamedReader().decode(bytes, 0, bytes.length);
}

/** decodeNamed() for a stream of messages: most come from the sender of the one before, and many lie in the same memory. */
export class NamedReader {
  #source: Uint8Array = new Uint8Array(0);
  #view = viewOf(this.#source);
  /** The length of the name and the name, as bytes. */
  #known: Uint8Array = new Uint8Array(1);
  #name = '';

  /** @throws NARU_INVALID_MESSAGE  the bytes from `from` to `to` are not a message */
  decode(source: Uint8Array, from: number, to: number): Envelope {
    if (source !== this.#source) {
      this.#source = source;
      this.#view = viewOf(source);
    }
    if (!this.#isKnown(source, from)) {
      this.#known = source.slice(from, Math.min(to, from + 1 + (source[from] ?? 0)));
      this.#name = String.fromCharCode(...this.#known.subarray(1));
    }
    const head = from + this.#known.length;
    return decodeEnvelope(source, this.#view, head, to - head, this.#name);
  }

  #isKnown(source: Uint8Array, from: number): boolean {
    const known = this.#known;
    for (let i = 0; i < known.length; i += 1) if (known[i] !== source[from + i]) return false;
    return true;
  }
}

/** A view of exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
