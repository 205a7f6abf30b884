// A message that was delivered on a channel. What stands in its properties is read when somebody asks for it.

import type { Delivery } from '../../mailbox/driver.ts';
import type { Envelope, MessageFields } from '../../wire/envelope-types.ts';
import { toEnvelope } from './properties.ts';
import type { AmqpMessage } from './protocol.ts';

export class AmqpDelivery implements Delivery {
  readonly message: AmqpMessage;
  readonly deliveries: number;
  readonly token: number;
  readonly receipt = false;
  /** Settled, and the server is still to be told. */
  isAcked = false;
  #envelope: Envelope | undefined;

  constructor(message: AmqpMessage, deliveries: number, token: number) {
    this.message = message;
    this.deliveries = deliveries;
    this.token = token;
  }

  get body(): Uint8Array {
    return this.message.content;
  }

  get sender(): string {
    return this.#read().sender;
  }

  get sequence(): number {
    return this.#read().sequence;
  }

  get time(): number {
    return this.#read().time;
  }

  get fields(): MessageFields | undefined {
    return this.#read().fields;
  }

  #read(): Envelope {
    this.#envelope ??= toEnvelope(this.message);
    return this.#envelope;
  }
}
