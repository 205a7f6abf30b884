// The way back for replies: the server's direct reply-to. Requests and the consumer of their replies are on one channel, as it demands.

import { NaruError } from '../../errors/index.ts';
import type { DriverHooks, Outgoing, ReplyPort } from '../../mailbox/driver.ts';
import { toEnvelope } from './properties.ts';
import type { AmqpChannel, AmqpMessage } from './protocol.ts';
import { Publication, type Published } from './publication.ts';
import type { Publisher } from './publisher.ts';

const REPLY_TO = 'amq.rabbitmq.reply-to';

/** What a channel of requests begins with: their replies arrive on it. */
export async function hearReplies(channel: AmqpChannel, hooks: DriverHooks): Promise<void> {
  const hear = (message: AmqpMessage | null): void => {
    if (message !== null) hooks.reply({ ...toEnvelope(message), deliveries: 1, receipt: false, token: 0 });
  };
  await channel.consume(REPLY_TO, hear, { noAck: true });
}

export class DirectReplies implements ReplyPort {
  readonly address: string = REPLY_TO;
  readonly #publisher: Publisher;
  readonly #identity: string;

  constructor(publisher: Publisher, identity: string) {
    this.#publisher = publisher;
    this.#identity = identity;
  }

  send(replyTo: string, message: Outgoing): Promise<void> {
    return new Promise((resolve, reject) => {
      const publishing = { persistent: false, identity: this.#identity };
      const over = (_: Publication, what: Published): void => {
        if (what === 'placed') resolve();
        else reject(what instanceof Error ? what : gone(replyTo));
      };
      this.#publisher.publish(new Publication({ exchange: '', key: replyTo }, message, publishing, { over }));
    });
  }

  async close(): Promise<void> {
    // The consumer goes with the channel, which the publisher closes.
  }
}

function gone(replyTo: string): NaruError {
  return new NaruError('NARU_PEER_GONE', `${replyTo.slice(0, 80)}: the requester is gone`, {
    mailbox: replyTo,
  });
}
