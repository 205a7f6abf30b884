// The channel on which a handle publishes: it is opened, lost, and closed by a server that will not have a message. What is under way
// meanwhile is the outbox's.

import { Outbox } from '../../client/outbox.ts';
import { NaruError } from '../../errors/index.ts';
import { type AmqpConnection, closeChannel } from './client.ts';
import { amqpError, REPLY, replyCode, replyText } from './failures.ts';
import type { AmqpChannel } from './protocol.ts';
import type { Answer, Publication } from './publication.ts';
import { ChannelWire } from './wire.ts';

export interface PublisherInit {
  readonly text: string;
  /** Keeps the process alive while something is under way. */
  readonly hold: (isNeeded: boolean) => void;
  /** What a new channel begins with, before anything is published. */
  readonly prepare: (channel: AmqpChannel) => Promise<void>;
  /** The connection there is now. */
  readonly connection: () => AmqpConnection | undefined;
  /** Some were confirmed, or failed: there is room. */
  readonly changed: () => void;
}

export class Publisher {
  readonly #init: PublisherInit;
  readonly #outbox: Outbox<Publication, Answer>;
  #wire: ChannelWire | undefined;
  #starting: Promise<void> | undefined;
  #isOver = false;

  constructor(init: PublisherInit) {
    this.#init = init;
    const { text, hold, changed } = init;
    this.#outbox = new Outbox({ place: 'amqp', text, hold, changed });
  }

  get pending(): number {
    return this.#outbox.pending;
  }

  get pendingBytes(): number {
    return this.#outbox.pendingBytes;
  }

  /** Opens the channel, or does nothing when it is there. @throws NARU_DISCONNECTED, NARU_LIMIT, … */
  start(): Promise<void> {
    if (this.#wire !== undefined) return Promise.resolve();
    this.#starting ??= this.#open().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** The channel, for what must be done on the very channel that publishes. */
  get channel(): AmqpChannel | undefined {
    return this.#wire?.channel;
  }

  publish(publication: Publication): void {
    this.#outbox.send(publication);
  }

  /** Resolves when nothing is under way any more. */
  whenIdle(): Promise<void> {
    return this.#outbox.whenIdle();
  }

  /** Everything that is under way, and everything that comes, fails. */
  end(error: Error): void {
    this.#isOver = true;
    this.#outbox.end(error);
  }

  /** Ends it, and closes the channel. */
  async close(error: Error): Promise<void> {
    this.end(error);
    const channel = this.#wire?.channel;
    this.#wire = undefined;
    await closeChannel(channel);
  }

  async #open(): Promise<void> {
    const { connection: current, prepare, changed, text } = this.#init;
    const connection = current();
    if (connection === undefined) throw amqpError(new Error('it was lost again'), text);
    let wire: ChannelWire | undefined;
    const channel = await connection.channel('confirm', (error) => this.#lost(wire, error));
    wire = new ChannelWire(channel, { text, connection, outbox: this.#outbox, changed });
    try {
      await prepare(channel);
    } catch (error) {
      throw amqpError(error, text);
    }
    this.#wire = wire;
    this.#outbox.connected(wire);
  }

  #lost(wire: ChannelWire | undefined, error: Error | undefined): void {
    if (wire === undefined || wire !== this.#wire) return;
    this.#wire = undefined;
    this.#outbox.disconnected(error !== undefined);
    if (error !== undefined && !this.#isOver) this.#refused(error);
  }

  /** The server closed the channel, and the connection is there: one message is to blame, or all are in vain. */
  #refused(error: Error): void {
    const code = replyCode(error);
    const tooLarge = /message size (\d+)/.exec(replyText(error))?.[1];
    if (code === REPLY.tooLarge || (code === REPLY.precondition && tooLarge !== undefined)) {
      const isToBlame = ({ bytes }: Publication): boolean =>
        tooLarge === undefined || bytes === Number(tooLarge);
      const guilty = this.#outbox.takeWaiting(isToBlame);
      if (guilty !== undefined) this.#outbox.answered(guilty, this.#tooLarge(guilty, error));
    } else this.#outbox.fail(code === REPLY.notFound ? 'returned' : amqpError(error, this.#init.text));
    this.#init.changed();
    this.start().catch(() => undefined);
  }

  #tooLarge({ bytes }: Publication, cause: unknown): NaruError {
    const { text } = this.#init;
    return new NaruError(
      'NARU_TOO_LARGE',
      `${text}: the message has ${bytes} bytes, more than the server takes (its setting max_message_size)`,
      { place: 'amqp', mailbox: text, cause },
    );
  }
}
