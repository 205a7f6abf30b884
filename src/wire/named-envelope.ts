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
  return decodeAfterName(bytes, nameOf(bytes));
}

/** decodeNamed() for a stream of messages: most come from the sender of the one before, whose name need not be read again. */
export class NamedReader {
  #bytes: Uint8Array = new Uint8Array(1);
  #name = '';

  /** @throws NARU_INVALID_MESSAGE  the bytes are not a message */
  decode(bytes: Uint8Array): Envelope {
    if (!this.#isSame(bytes)) {
      this.#name = nameOf(bytes);
      this.#bytes = bytes.slice(0, 1 + this.#name.length);
    }
    return decodeAfterName(bytes, this.#name);
  }

  #isSame(bytes: Uint8Array): boolean {
    const known = this.#bytes;
    for (let i = 0; i < known.length; i += 1) if (known[i] !== bytes[i]) return false;
    return true;
  }
}

function nameOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(1, 1 + (bytes[0] ?? 0)));
}

function decodeAfterName(bytes: Uint8Array, name: string): Envelope {
  const head = 1 + name.length;
  return decodeEnvelope(bytes, viewOf(bytes), head, bytes.length - head, name);
}

/** A view of exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
