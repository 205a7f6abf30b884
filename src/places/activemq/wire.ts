// One sending link as messages on their way see it: how many more the server takes, and what it said of each.

import type { Outbox, Parcel, Wire } from '../../client/outbox.ts';
import { NaruError } from '../../errors/index.ts';
import { activemqError } from './failures.ts';
import type { RheaContext, RheaSender } from './protocol.ts';

/** A message as it is written. */
export interface Packet extends Parcel {
  readonly payload: Buffer;
}

export class LinkWire implements Wire<Packet> {
  readonly #link: RheaSender;
  #written = 0;

  /** @param changed  the server takes more than before */
  constructor(link: RheaSender, outbox: Outbox<Packet>, text: string, changed: () => void) {
    this.#link = link;
    const over = (context: RheaContext, error?: Error): void => outbox.answered(context.delivery?.id, error);
    const full = (context: RheaContext): void =>
      over(
        context,
        new NaruError('NARU_FULL', `${text}: the server did not take the message; it may have no room`, {
          place: 'activemq',
          mailbox: text,
        }),
      );
    // What nobody hears on the link rhea offers to session, connection and container, for each message.
    link.on('settled', () => undefined);
    link.on('accepted', (context: RheaContext) => over(context));
    link.on('rejected', (context: RheaContext) =>
      over(context, activemqError(context.delivery?.remote_state?.error ?? {}, text)),
    );
    link.on('released', full);
    link.on('modified', full);
    link.on('sender_flow', () => {
      outbox.flush();
      changed();
    });
  }

  /** How many more may be written. rhea counts one as written a moment later, and what has no credit holds up its whole session. */
  get room(): number {
    return this.#link.credit + this.#link.delivery_count - this.#written;
  }

  write({ payload }: Packet): number | undefined {
    if (this.room <= 0) return undefined;
    this.#written += 1;
    // The tag is ours, since rhea is slow to make one; it names a message on its link until that is settled.
    return this.#link.send(payload, String(this.#written), 0).id;
  }
}
