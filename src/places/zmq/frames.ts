// What messages look like in ZeroMQ's parts. Raw: the body alone. Envelope: a head of 8 bytes and a named envelope:
//
//   0  u8   'Z'
//   1  u8   version = 1
//   2  u8   0: a message; 1: a greeting, with the publisher's identity instead of an envelope
//   3  u8   0
//   4  u32  how many messages this socket had published with this one (pub); 0: not counted     (little-endian)
//   8       the envelope: wire/named-envelope.ts

import { NaruError } from '../../errors/index.ts';
import type { Encodable } from '../../wire/envelope.ts';
import type { Envelope } from '../../wire/envelope-types.ts';
import { encodeNamed, NamedReader, namedSize, viewOf } from '../../wire/named-envelope.ts';

const HEAD_BYTES = 8;
const MARK = 0x5a;
const VERSION = 1;
const GREETING = 1;
/** Messages are written one after the other into memory of this size; libzmq keeps what it has not sent yet. */
const SLAB_BYTES = 65_536;

/** From messages to bytes that nobody changes any more. */
export class Packer {
  readonly #sender: string | undefined;
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #view = viewOf(this.#slab);
  #at = 0;

  /** @param sender  identity of the handle; undefined: raw */
  constructor(sender: string | undefined) {
    this.#sender = sender;
  }

  /** @param count  of a publisher @throws NARU_INVALID_MESSAGE, NARU_TOO_LARGE */
  pack(message: Encodable, count: number): Buffer {
    const sender = this.#sender;
    const size = sender === undefined ? message.body.length : HEAD_BYTES + namedSize(message, sender);
    const isLong = size > SLAB_BYTES / 4;
    const target = isLong ? Buffer.allocUnsafeSlow(size) : this.#room(size);
    const at = isLong ? 0 : this.#at;
    if (!isLong) this.#at += size;
    if (sender === undefined) target.set(message.body, at);
    else {
      writeHead(target, at, 0, count);
      encodeNamed(message, sender, target, isLong ? viewOf(target) : this.#view, at + HEAD_BYTES);
    }
    return target.subarray(at, at + size);
  }

  #room(size: number): Buffer {
    if (this.#at + size > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#view = viewOf(this.#slab);
      this.#at = 0;
    }
    return this.#slab;
  }
}

/** What a publisher says to a new subscriber. @param count  messages that it has published */
export function greeting(sender: string, count: number): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + sender.length);
  writeHead(bytes, 0, GREETING, count);
  bytes.write(sender, HEAD_BYTES, 'latin1');
  return bytes;
}

function writeHead(target: Buffer, at: number, kind: number, count: number): void {
  target[at] = MARK;
  target[at + 1] = VERSION;
  target[at + 2] = kind;
  target[at + 3] = 0;
  target.writeUInt32LE(count, at + 4);
}

/** What lay in a part. */
export type Unpacked =
  | { readonly kind: 'message'; readonly envelope: Envelope; readonly count: number }
  | { readonly kind: 'greeting'; readonly sender: string; readonly count: number };

/** From bytes that anybody may have sent to messages. */
export class Unpacker {
  readonly #names = new NamedReader();
  readonly #isEnvelope: boolean;

  constructor(isEnvelope: boolean) {
    this.#isEnvelope = isEnvelope;
  }

  /** @throws NARU_INVALID_MESSAGE  it is none */
  unpack(part: Buffer): Unpacked {
    if (!this.#isEnvelope) return { kind: 'message', envelope: stranger(part), count: 0 };
    if (part.length < HEAD_BYTES || part[0] !== MARK || part[1] !== VERSION) {
      const what = 'bytes that are no envelope of version 1; who sent them wants format=raw';
      throw new NaruError('NARU_INVALID_MESSAGE', what);
    }
    const count = part.readUInt32LE(4);
    if (part[2] === GREETING) {
      return { kind: 'greeting', sender: part.toString('latin1', HEAD_BYTES, HEAD_BYTES + 128), count };
    }
    return { kind: 'message', envelope: this.#names.decode(part, HEAD_BYTES, part.length), count };
  }
}

function stranger(body: Uint8Array): Envelope {
  return { body, sender: '', sequence: 0, time: 0, fields: undefined };
}
