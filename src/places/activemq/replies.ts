// The way back for replies: an address that the server makes up for this connection, and a link that leads wherever a message says.

import type { DriverHooks, Outgoing, ReplyPort } from '../../mailbox/driver.ts';
import type { ActivemqConnection } from './client.ts';
import { decodeMessage } from './message.ts';
import type { RheaContext, RheaReceiver } from './protocol.ts';
import { Packet, type Packets } from './wire.ts';

/** Answers that may be on their way. */
const CREDIT = 256;

export interface RepliesInit {
  readonly hooks: DriverHooks;
  /** Of messages that go wherever they say. */
  readonly outbox: Packets;
  readonly encode: (message: Outgoing, to: string) => Buffer;
}

export class Replies implements ReplyPort {
  readonly #init: RepliesInit;
  #link: RheaReceiver | undefined;

  constructor(init: RepliesInit) {
    this.#init = init;
  }

  /** Another one on each connection: answers to what was asked over the one before are lost, and those who ask again are heard. */
  get address(): string {
    return this.#link?.source?.address ?? '';
  }

  async start(connection: ActivemqConnection): Promise<void> {
    const link = await connection.receiver({ source: { dynamic: true } });
    link.on('message', ({ delivery, message }: RheaContext) => {
      if (delivery !== undefined) connection.settle(delivery, 'accepted');
      link.add_credit(1);
      if (message !== undefined) this.#init.hooks.reply(decodeMessage(connection.library.message, message));
    });
    link.add_credit(CREDIT);
    this.#link = link;
  }

  send(replyTo: string, message: Outgoing): Promise<void> {
    const payload = this.#init.encode(message, replyTo);
    return new Promise((resolve, reject) => {
      this.#init.outbox.send(
        new Packet(payload, (error) => (error === undefined ? resolve() : reject(error))),
      );
    });
  }

  async close(): Promise<void> {
    // The address goes with the connection.
  }
}
