// The way back for answers where the engine itself carries them: an answer is handed to an address, and whoever asked knows by the correlation id
// which question it is to.

import { NaruError } from '../errors/index.ts';
import type { DriverFacts, DriverHooks, Outgoing, ReplyPort } from '../mailbox/driver.ts';
import { decodeNamed, encodeNamed, namedSize, viewOf } from '../wire/named-envelope.ts';
import type { Backend } from './backend.ts';

type Replying = Required<Pick<Backend, 'openReplies' | 'answer'>>;

export class EngineReplies implements ReplyPort {
  readonly address: string;
  readonly #facts: DriverFacts;
  readonly #backend: Replying;

  private constructor(address: string, facts: DriverFacts, backend: Replying) {
    this.address = address;
    this.#facts = facts;
    this.#backend = backend;
  }

  static async open(backend: Replying, facts: DriverFacts, hooks: DriverHooks): Promise<EngineReplies> {
    const address = await backend.openReplies((bytes) => {
      try {
        hooks.reply({ ...decodeNamed(bytes), deliveries: 1, receipt: false, token: 0 });
      } catch {
        // It is no answer: whoever sent it knows nothing of envelopes.
      }
    });
    return new EngineReplies(address, facts, backend);
  }

  async send(replyTo: string, message: Outgoing): Promise<void> {
    const { identity, capabilities, address } = this.#facts;
    const bytes = Buffer.allocUnsafe(namedSize(message, identity));
    encodeNamed(message, identity, bytes, viewOf(bytes), 0);
    if (await this.#backend.answer(replyTo, bytes)) {
      message.done?.();
      return;
    }
    throw new NaruError('NARU_PEER_GONE', `${replyTo.slice(0, 80)}: the requester is gone`, {
      place: capabilities.scheme,
      mailbox: address,
    });
  }

  /** It goes with the handle. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
