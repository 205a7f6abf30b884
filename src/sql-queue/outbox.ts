// A message as the values of one row, for sending inside of the caller's own transaction: encoding and checks as a handle does them. The
// statement is the place's, the transaction the caller's.

import { type Codec, type CodecName, resolveCodec } from '../mailbox/codec.ts';
import type { DriverFacts } from '../mailbox/driver.ts';
import { Encoder } from '../mailbox/outgoing.ts';
import { messageId } from '../mailbox/receipt.ts';
import { encodeNamed, namedSize, viewOf } from '../wire/named-envelope.ts';

/** How openOutbox() opens. */
export interface OutboxOptions {
  /** Default: `json`. */
  readonly codec?: CodecName | Codec;
}

/** What may be said of one message. */
export interface OutboxSendOptions {
  /** The message's own id. Default: made of handle and number. */
  readonly id?: string;
  readonly priority?: number;
  readonly ttlMs?: number;
  readonly delayMs?: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** priority, delay, time to live, size, message */
export type OutboxValues = readonly [number, number | null, number | null, number, Uint8Array];

export class OutboxEncoder {
  readonly #encoder: Encoder;
  readonly #identity: string;

  constructor(facts: DriverFacts, mailbox: string, { codec }: OutboxOptions) {
    this.#identity = facts.identity;
    this.#encoder = new Encoder(facts, {
      mailbox,
      codec: resolveCodec(codec),
      schema: undefined,
      slotBytes: undefined,
      emulate: [],
    });
  }

  /** @throws NARU_INVALID_MESSAGE, NARU_TOO_LARGE, NARU_INVALID_ARGUMENT  as send() */
  encode(data: unknown, options: OutboxSendOptions | undefined): { id: string; values: OutboxValues } {
    const message = this.#encoder.encode(data, Date.now(), options, undefined, undefined);
    const bytes = Buffer.alloc(namedSize(message, this.#identity));
    encodeNamed(message, this.#identity, bytes, viewOf(bytes), 0);
    const { id, priority = 0, delayMs, ttlMs } = message.fields ?? {};
    const rounded = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms));
    return {
      id: messageId(id, this.#identity, message.sequence),
      values: [priority, rounded(delayMs), rounded(ttlMs), bytes.byteLength, bytes],
    };
  }
}
