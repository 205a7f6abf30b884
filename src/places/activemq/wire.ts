// One sending link as messages on their way see it: how many more the server takes, and what it said of each.

import type { Outbox, Parcel, Wire } from '../../client/outbox.ts';
import { NaruError } from '../../errors/index.ts';
import { activemqError } from './failures.ts';
import type { RheaContext, RheaSender } from './protocol.ts';

/** A message as it is written. What the server says of it is nothing, or an error. */
export class Packet implements Parcel<undefined> {
  readonly payload: Buffer;
  readonly over: (error: Error | undefined) => void;
  wasWritten = false;
  waitsSince = 0;
  losses = 0;

  constructor(payload: Buffer, over: (error: Error | undefined) => void) {
    this.payload = payload;
    this.over = over;
  }

  get bytes(): number {
    return this.payload.byteLength;
  }
}

export type Packets = Outbox<Packet, undefined>;

export class LinkWire implements Wire<Packet> {
  readonly #link: RheaSender;
  /** What the server has not answered, by the ids that rhea gives. */
  readonly #sent = new Map<unknown, Packet>();
  #written = 0;

  /** @param changed  some were answered, or the server takes more than before */
  constructor(link: RheaSender, outbox: Packets, text: string, changed: () => void) {
    this.#link = link;
    const over = ({ delivery }: RheaContext, error?: Error): void => {
      const packet = this.#sent.get(delivery?.id);
      if (packet === undefined) return;
      this.#sent.delete(delivery?.id);
      outbox.answered(packet, error);
      changed();
    };
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

  write(packet: Packet): boolean {
    if (this.room <= 0) return false;
    this.#written += 1;
    // The tag is ours, since rhea is slow to make one; it names a message on its link until that is settled.
    this.#sent.set(this.#link.send(packet.payload, String(this.#written), 0).id, packet);
    return true;
  }

  abandon(): Packet[] {
    const all = [...this.#sent.values()];
    this.#sent.clear();
    return all;
  }
}
