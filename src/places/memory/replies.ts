// The way back for answers inside one thread: an address in the registry for each handle that asks.

import { NaruError } from '../../errors/index.ts';
import type { DriverHooks, Outgoing, ReplyPort } from '../../mailbox/driver.ts';
import { copyBody } from './body.ts';
import { registry } from './registry.ts';

export class MemoryPort implements ReplyPort {
  readonly address: string;
  readonly #identity: string;

  constructor(identity: string, hooks: DriverHooks) {
    this.#identity = identity;
    this.address = `memory://~port.${identity}`;
    registry().ports.set(this.address, (delivery) => hooks.reply(delivery));
  }

  /** @throws NARU_PEER_GONE  the requester has closed its handle, or lives in another thread */
  send(replyTo: string, message: Outgoing): Promise<void> {
    if (!registry().ports.has(replyTo)) {
      return Promise.reject(
        new NaruError(
          'NARU_PEER_GONE',
          `the requester is gone: nobody in this thread has the address "${replyTo.slice(0, 80)}"`,
          { place: 'memory' },
        ),
      );
    }
    const delivery = {
      body: copyBody(message.body),
      sender: this.#identity,
      sequence: message.sequence,
      time: message.time,
      fields: message.fields,
      deliveries: 1,
      receipt: false,
      token: 0,
    };
    // As with messages: whoever is called back is never inside its own call.
    queueMicrotask(() => {
      registry().ports.get(replyTo)?.(delivery);
      message.done?.();
    });
    return Promise.resolve();
  }

  close(): Promise<void> {
    registry().ports.delete(this.address);
    return Promise.resolve();
  }
}
