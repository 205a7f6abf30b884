// One channel that publishes as messages on their way see it: which of them the server has confirmed, refused or given back.

import type { Outbox, Wire } from '../../client/outbox.ts';
import { NaruError } from '../../errors/index.ts';
import type { AmqpConnection } from './client.ts';
import { replyText } from './failures.ts';
import type { AmqpChannel, AmqpMessage } from './protocol.ts';
import type { Answer, Publication } from './publication.ts';
import { Tags } from './tags.ts';

interface Confirm {
  readonly deliveryTag: number;
  /** All up to this one. */
  readonly multiple: boolean;
}

export interface ChannelWireInit {
  readonly text: string;
  readonly connection: AmqpConnection;
  readonly outbox: Outbox<Publication, Answer>;
  /** Some were confirmed: there is room. */
  readonly changed: () => void;
}

export class ChannelWire implements Wire<Publication> {
  /** For what must be done on the very channel that publishes. */
  readonly channel: AmqpChannel;
  readonly #init: ChannelWireInit;
  readonly #sent = new Tags<Publication>();
  #tag = 0;

  constructor(channel: AmqpChannel, init: ChannelWireInit) {
    this.channel = channel;
    this.#init = init;
    channel.on('ack', (confirm: Confirm) => this.#confirmed(confirm, 'placed'));
    channel.on('nack', (confirm: Confirm) => this.#confirmed(confirm, 'refused'));
    channel.on('return', (message: AmqpMessage) => this.#returned(message));
  }

  write(publication: Publication): boolean {
    const { exchange, key, body, properties } = publication;
    try {
      this.#init.connection.gather();
      this.channel.publish(exchange, key, body, properties);
    } catch (error) {
      // Either the channel is over, and the news of it is on its way, or these properties cannot be encoded.
      if (isOver(error)) return false;
      throw this.#notEncodable(error);
    }
    publication.isReturned = false;
    this.#tag += 1;
    this.#sent.add(this.#tag, publication);
    return true;
  }

  abandon(): Publication[] {
    return this.#sent.clear();
  }

  #confirmed({ deliveryTag, multiple }: Confirm, answer: Answer): void {
    const { outbox, changed } = this.#init;
    const sent = this.#sent;
    for (let one = multiple ? sent.oldest : deliveryTag; one <= deliveryTag && sent.size > 0; one += 1) {
      const publication = sent.delete(one);
      if (publication !== undefined)
        outbox.answered(publication, publication.isReturned ? 'returned' : answer);
    }
    changed();
  }

  /** Comes before the confirm of the same message. */
  #returned({ properties }: AmqpMessage): void {
    const sent = this.#sent;
    for (let tag = sent.oldest; tag <= this.#tag; tag += 1) {
      const publication = sent.get(tag);
      if (publication === undefined || publication.isReturned) continue;
      if (publication.properties.messageId !== properties.messageId) continue;
      publication.isReturned = true;
      return;
    }
  }

  #notEncodable(cause: unknown): NaruError {
    const { text } = this.#init;
    return new NaruError(
      'NARU_TOO_LARGE',
      `${text}: its headers are more than AMQP can carry (${replyText(cause)})`,
      { place: 'amqp', mailbox: text, cause },
    );
  }
}

/** What amqplib throws of a channel that was closed. */
function isOver(error: unknown): boolean {
  return (error as { name?: unknown }).name === 'IllegalOperationError' || /clos/i.test(replyText(error));
}
