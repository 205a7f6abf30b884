// From messages to what lies in the kernel's queue, and back. Raw: the body alone, as C programs send and read it. Envelope: the
// sender's identity (a queue knows no senders), then the envelope of src/wire/. What type and priority become is the place's.
//
//   0   u8   length of the identity, n
//   1   the identity, ASCII
//   1+n the envelope: wire/envelope.ts

import { NaruError } from '../errors/index.ts';
import type { Delivery } from '../mailbox/driver.ts';
import type { Envelope, MessageFields } from '../wire/envelope-types.ts';
import { decodeEnvelope, encodedSize, encodeEnvelope } from '../wire/envelope.ts';
import type { QueueItem } from './queue.ts';

/** Bytes of the kernel's limit that an envelope keeps for identity, prefix and a few fields; more fields take from the body. */
export const ENVELOPE_BYTES = 256;

/** What the kernel keeps beside the bytes, as a field of the message. */
export interface TagField {
  /** @throws NARU_INVALID_ARGUMENT  the fields ask for a tag that the kernel does not have */
  tagOf(fields: MessageFields | undefined): number;
  /** What a raw message tells besides its body. */
  fieldsOf(tag: number): MessageFields | undefined;
}

/** The parts of a message that travel. */
export type Packable = Pick<Envelope, 'body' | 'sequence' | 'time' | 'fields'>;

/** One way of laying messages in a queue. */
export interface Packing {
  /** @throws NARU_TOO_LARGE, NARU_INVALID_ARGUMENT, NARU_INVALID_MESSAGE */
  pack(message: Packable, sender: string): QueueItem;
  /** @throws NARU_INVALID_MESSAGE  a program that knows nothing of envelopes sent it */
  unpack(item: QueueItem): Envelope;
}

/** The body and nothing else. */
export function rawPacking(tags: TagField): Packing {
  return {
    pack: ({ body, fields }) => ({ tag: tags.tagOf(fields), body }),
    unpack: ({ tag, body }) => ({ body, sender: '', sequence: 0, time: 0, fields: tags.fieldsOf(tag) }),
  };
}

/** @param limitBytes  the largest message of the queue */
export function envelopePacking(tags: TagField, limitBytes: number, mailbox: string): Packing {
  return {
    pack(message, sender) {
      const tag = tags.tagOf(message.fields);
      const head = 1 + sender.length;
      const size = head + encodedSize(message);
      if (size > limitBytes) throw tooLarge(mailbox, message.body.length, size, limitBytes);
      const bytes = new Uint8Array(size);
      bytes[0] = sender.length;
      for (let i = 0; i < sender.length; i += 1) bytes[i + 1] = sender.charCodeAt(i) & 0x7f;
      encodeEnvelope(message, bytes, viewOf(bytes), head);
      return { tag, body: bytes };
    },
    unpack({ body }) {
      const head = 1 + (body[0] ?? 0);
      const sender = String.fromCharCode(...body.subarray(1, head));
      return decodeEnvelope(body, viewOf(body), head, body.length - head, sender);
    },
  };
}

/** A message from the queue as it is handed out. */
export function deliveryOf(envelope: Envelope, token: number): Delivery {
  const { body, sender, sequence, time, fields } = envelope;
  return { body, sender, sequence, time, fields, deliveries: 1, receipt: false, token };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function tooLarge(mailbox: string, body: number, size: number, limit: number): NaruError {
  const text = `a body of ${body} bytes makes ${size} bytes with its headers, the queue takes ${limit}; send less, or fewer headers`;
  return new NaruError('NARU_TOO_LARGE', `${mailbox}: ${text}`, { mailbox });
}
