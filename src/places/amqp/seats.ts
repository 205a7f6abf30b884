// Who is attached: a consumer on a queue that is there for nothing else, one queue for producers and one for consumers. The server counts them,
// sees at once when one dies, gives the queue to one alone where the relation says so, and tells all when the mailbox is removed.

import { isNaruError, NaruError } from '../../errors/index.ts';
import { type AmqpConnection, closeChannel } from './client.ts';
import { amqpError, REPLY, replyCode } from './failures.ts';
import { NAMES } from './names.ts';
import type { AmqpChannel, AmqpMessage } from './protocol.ts';
import type { BoxSettings } from './settings.ts';

/** How long a queue stays on which nobody sits any more, in milliseconds. */
const EMPTY_MS = 60_000;
/** After a broken connection the server may take a while to see that the one before is dead. */
const AGAIN_MS = 500;
const AGAIN_MAX = 120;

export type Role = 'p' | 'c';

export interface Seat {
  leave(): Promise<void>;
}

interface Taken {
  readonly role: Role;
  channel: AmqpChannel | undefined;
}

export interface SeatsInit {
  readonly settings: BoxSettings;
  readonly text: string;
  /** The mailbox may have been removed. @returns whether it is still there, and the handle still uses it */
  readonly suspect: () => Promise<boolean>;
  /** A seat could not be taken again. */
  readonly lost: (error: Error) => void;
}

export class Seats {
  readonly #init: SeatsInit;
  readonly #taken = new Set<Taken>();

  constructor(init: SeatsInit) {
    this.#init = init;
  }

  /** @throws NARU_LIMIT  the relation allows one, who is there */
  async take(connection: AmqpConnection, role: Role): Promise<Seat> {
    const seat: Taken = { role, channel: undefined };
    await this.#sit(connection, seat);
    this.#taken.add(seat);
    return {
      leave: async () => {
        this.#taken.delete(seat);
        const { channel } = seat;
        seat.channel = undefined;
        await closeChannel(channel);
      },
    };
  }

  /** The connection is a new one. */
  async takeAgain(connection: AmqpConnection): Promise<void> {
    await Promise.all(Array.from(this.#taken, (seat) => this.#sitAgain(connection, seat)));
  }

  async count(connection: AmqpConnection): Promise<{ producers: number; consumers: number }> {
    return await connection.once(async (channel) => {
      const { consumerCount: producers } = await this.#declare(channel, 'p');
      const { consumerCount: consumers } = await this.#declare(channel, 'c');
      return { producers, consumers };
    });
  }

  async #sitAgain(connection: AmqpConnection, seat: Taken): Promise<void> {
    for (let attempt = 1; this.#taken.has(seat) && !connection.isOver; attempt += 1) {
      try {
        await this.#sit(connection, seat);
        return;
      } catch (error) {
        if (!isNaruError(error, 'NARU_LIMIT')) return;
        if (attempt === AGAIN_MAX) return this.#init.lost(error);
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS).unref());
      }
    }
  }

  async #sit(connection: AmqpConnection, seat: Taken): Promise<void> {
    const { settings, text } = this.#init;
    const { role } = seat;
    const side = role === 'p' ? settings.relation.startsWith('1') : settings.relation.endsWith('1');
    const channel = await connection.channel('plain', () => {
      if (seat.channel === channel) seat.channel = undefined;
    });
    try {
      await this.#declare(channel, role);
      const hear = (message: AmqpMessage | null): void => {
        if (message === null && seat.channel === channel) void this.#removed(connection, seat);
      };
      await channel.consume(NAMES.seats(settings.name, role), hear, { noAck: true, exclusive: side });
      seat.channel = channel;
    } catch (error) {
      if (replyCode(error) !== REPLY.refused) throw amqpError(error, text);
      const what = role === 'p' ? 'producer' : 'consumer';
      throw new NaruError(
        'NARU_LIMIT',
        `${text}: its relation is ${settings.relation}, and its one ${what} is there already`,
        { place: 'amqp', mailbox: text, cause: error },
      );
    }
  }

  /** The server took the seat away: the mailbox was removed, or the node of a cluster that had the queue is gone. */
  async #removed(connection: AmqpConnection, seat: Taken): Promise<void> {
    const { channel } = seat;
    seat.channel = undefined;
    await closeChannel(channel);
    if (await this.#init.suspect()) await this.#sitAgain(connection, seat);
  }

  #declare(channel: AmqpChannel, role: Role): Promise<{ readonly consumerCount: number }> {
    return channel.assertQueue(NAMES.seats(this.#init.settings.name, role), {
      durable: true,
      autoDelete: true,
      arguments: { 'x-queue-type': 'classic', 'x-expires': EMPTY_MS },
    });
  }
}
