// What one message consists of while it travels: the shape that every codec of bytes, every store and every driver
// agrees on. The bytes themselves are in envelope.ts.

/** Optional headers of a message. A field that is absent was not set by the sender. */
export interface MessageFields {
  /** The sender's own id for the message; without it `message.id` is made from sender and sequence. */
  readonly id?: string | undefined;
  readonly contentType?: string | undefined;
  readonly correlationId?: string | undefined;
  /** Where an answer goes, in the place's own form. */
  readonly replyTo?: string | undefined;
  /** Ordering key: messages with the same key are handled one after the other. */
  readonly key?: string | undefined;
  /** Application's type of the message (a System V type is a number in text). */
  readonly type?: string | undefined;
  /** An integer, higher is more urgent. */
  readonly priority?: number | undefined;
  readonly ttlMs?: number | undefined;
  readonly delayMs?: number | undefined;
  /** User headers: any text to any text, order kept. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** One message as it travels: who, when, which, and the encoded body. */
export interface Envelope {
  /** The encoded body. 0 bytes is a valid body. */
  readonly body: Uint8Array;
  /** The sender's handle: `<pid>.<start>.<thread>/<handle>`; empty from strangers. */
  readonly sender: string;
  /** Counts the sender's messages from 1; wraps at 2^32. 0 from strangers. */
  readonly sequence: number;
  /** When it was sent: milliseconds since the epoch by the sender's clock; 0 from strangers. */
  readonly time: number;
  /** Undefined when no optional header is set: the common, fast case. */
  readonly fields: MessageFields | undefined;
}
