// The way back for answers where the engine itself carries them: an answer is handed to an address, and whoever asked knows by the correlation id
// which question it is to.

import { isNaruError, NaruError } from '../errors/index.ts';
import type { DriverFacts, DriverHooks, Outgoing, ReplyPort } from '../mailbox/driver.ts';
import { decodeNamed, encodeNamed, namedSize, viewOf } from '../wire/named-envelope.ts';
import type { Replies } from './backend.ts';

export class EngineReplies implements ReplyPort {
  readonly address: string;
  readonly #facts: DriverFacts;
  readonly #replies: Replies;

  private constructor(address: string, facts: DriverFacts, replies: Replies) {
    this.address = address;
    this.#facts = facts;
    this.#replies = replies;
  }

  static async open(replies: Replies, facts: DriverFacts, hooks: DriverHooks): Promise<EngineReplies> {
    const address = await replies.open((bytes) => {
      try {
        hooks.reply({ ...decodeNamed(bytes), deliveries: 1, receipt: false, token: 0 });
      } catch {
        // It is no answer: whoever sent it knows nothing of envelopes.
      }
    });
    return new EngineReplies(address, facts, replies);
  }

  async send(replyTo: string, message: Outgoing): Promise<void> {
    const { identity, capabilities, address } = this.#facts;
    const bytes = Buffer.allocUnsafe(namedSize(message, identity));
    encodeNamed(message, identity, bytes, viewOf(bytes), 0);
    if (await this.#replies.answer(replyTo, bytes)) {
      message.done?.();
      return;
    }
    throw new NaruError('NARU_PEER_GONE', `${replyTo.slice(0, 80)}: the requester is gone`, {
      place: capabilities.scheme,
      mailbox: address,
    });
  }

  async close(): Promise<void> {
    try {
      await this.#replies.close?.();
    } catch (error) {
      // Whoever looks next finds that this handle is gone.
      if (!isNaruError(error)) throw error;
    }
  }
}
