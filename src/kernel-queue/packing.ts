// From messages to what lies in the kernel's queue, and back. Raw: the body alone, as C programs send and read it. Envelope: the
// sender's identity (a queue knows no senders), then the envelope: wire/named-envelope.ts. What type and priority become is the place's.

import { NaruError } from '../errors/index.ts';
import type { Delivery } from '../mailbox/driver.ts';
import type { Envelope, MessageFields } from '../wire/envelope-types.ts';
import { decodeNamed, encodeNamed, namedSize, viewOf } from '../wire/named-envelope.ts';
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
      const size = namedSize(message, sender);
      if (size > limitBytes) throw tooLarge(mailbox, message.body.length, size, limitBytes);
      const bytes = new Uint8Array(size);
      encodeNamed(message, sender, bytes, viewOf(bytes), 0);
      return { tag, body: bytes };
    },
    unpack: ({ body }) => decodeNamed(body),
  };
}

/** The kernel keeps what has expired: whoever takes it finds out, by the clock of this machine. */
export function isExpired({ time, fields }: Pick<Envelope, 'time' | 'fields'>): boolean {
  return fields?.ttlMs !== undefined && Date.now() > time + fields.ttlMs;
}

/** A message from the queue as it is handed out. */
export function deliveryOf(envelope: Envelope, token: number): Delivery {
  const { body, sender, sequence, time, fields } = envelope;
  return { body, sender, sequence, time, fields, deliveries: 1, receipt: false, token };
}

function tooLarge(mailbox: string, body: number, size: number, limit: number): NaruError {
  const text = `a body of ${body} bytes makes ${size} bytes with its headers, the queue takes ${limit}; send less, or fewer headers`;
  return new NaruError('NARU_TOO_LARGE', `${mailbox}: ${text}`, { mailbox });
}
