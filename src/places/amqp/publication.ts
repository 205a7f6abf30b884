// A message on its way to an AMQP server, as it is published, and whose it is.

import type { Parcel } from '../../client/outbox.ts';
import type { Outgoing } from '../../mailbox/driver.ts';
import type { Route } from './delays.ts';
import { type PublishSettings, toProperties } from './properties.ts';
import type { PublishOptions } from './protocol.ts';

/** What a server says of a message: it has it; no queue took it; a full queue refused it. */
export type Answer = 'placed' | 'returned' | 'refused';

/** What became of a message. */
export type Published = Answer | Error;

/** Whose messages they are. */
export interface PublicationOwner {
  /** Called once for each, never from within publish(). */
  over(publication: Publication, what: Published): void;
}

export class Publication implements Parcel<Answer> {
  readonly exchange: string;
  readonly key: string;
  readonly message: Outgoing;
  /** A copy: the caller may use its buffer again, and the message may have to go out once more. */
  readonly body: Buffer;
  readonly properties: PublishOptions;
  /** The server gave it back: no queue took it. Its confirm is still to come. */
  isReturned = false;
  wasWritten = false;
  waitsSince = 0;
  losses = 0;
  readonly #owner: PublicationOwner;

  constructor(
    { exchange, key }: Route,
    message: Outgoing,
    publishing: PublishSettings,
    owner: PublicationOwner,
  ) {
    this.exchange = exchange;
    this.key = key;
    this.message = message;
    this.body = Buffer.from(message.body);
    this.properties = toProperties(message, publishing);
    this.#owner = owner;
  }

  get bytes(): number {
    return this.body.byteLength;
  }

  over(what: Published): void {
    this.#owner.over(this, what);
  }
}
