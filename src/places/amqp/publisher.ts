// The channel on which a handle publishes, and what it has not yet heard of again. What was not confirmed when the connection broke goes out
// once more on the next one, in its order and with its id; whoever waits for it waits so long and no longer.

import { NaruError } from '../../errors/index.ts';
import { type AmqpConnection, closeChannel } from './client.ts';
import { amqpError, REPLY, replyCode, replyText } from './failures.ts';
import type { Outgoing } from '../../mailbox/driver.ts';
import type { Route } from './delays.ts';
import { type PublishSettings, toProperties } from './properties.ts';
import type { AmqpChannel, AmqpMessage, PublishOptions } from './protocol.ts';
import { Tags } from './tags.ts';

/** How long a message waits for a connection before its send fails, in milliseconds. */
export const PATIENCE_MS = 30_000;
const LOOK_MS = 500;

/** What became of a message: the server has it; no queue took it; a full queue refused it; or an error. */
export type Published = 'placed' | 'returned' | 'refused' | Error;

/** Whose messages they are. */
export interface PublicationOwner {
  /** Called once for each, never from within publish(). */
  over(publication: Publication, what: Published): void;
}

/** A message on its way. */
export class Publication {
  readonly exchange: string;
  readonly key: string;
  readonly message: Outgoing;
  /** A copy: the caller may use its buffer again, and the message may have to go out once more. */
  readonly body: Buffer;
  readonly properties: PublishOptions;
  readonly owner: PublicationOwner;
  wasWritten = false;
  isReturned = false;
  /** Since when there has been no connection for it; 0 = it is on its way. */
  waitsSince = 0;

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
    this.owner = owner;
  }
}

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
  #channel: AmqpChannel | undefined;
  #connection: AmqpConnection | undefined;
  #starting: Promise<void> | undefined;
  /** Published on the channel, by delivery tag. */
  readonly #sent = new Tags<Publication>();
  #tag = 0;
  /** To be published as soon as there is a channel. */
  #waiting: Publication[] = [];
  #bytes = 0;
  #look: NodeJS.Timeout | undefined;
  #end: Error | undefined;
  #idle: (() => void)[] = [];

  constructor(init: PublisherInit) {
    this.#init = init;
  }

  get pending(): number {
    return this.#sent.size + this.#waiting.length;
  }

  get pendingBytes(): number {
    return this.#bytes;
  }

  /** Opens the channel, or does nothing when it is there. @throws NARU_DISCONNECTED, NARU_LIMIT, … */
  start(): Promise<void> {
    if (this.#channel !== undefined) return Promise.resolve();
    this.#starting ??= this.#open().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** The channel, for what must be done on the very channel that publishes. */
  get channel(): AmqpChannel | undefined {
    return this.#channel;
  }

  publish(entry: Publication): void {
    if (this.#end !== undefined) {
      const error = this.#end;
      setImmediate(() => entry.owner.over(entry, error));
      return;
    }
    // It may have been on its way before, and have been refused.
    entry.wasWritten = false;
    entry.isReturned = false;
    entry.waitsSince = 0;
    this.#bytes += entry.body.byteLength;
    if (this.pending === 0) this.#init.hold(true);
    if (this.#channel !== undefined && this.#waiting.length === 0) this.#write(this.#channel, entry);
    else this.#wait(entry);
  }

  /** Resolves when nothing is under way any more. */
  whenIdle(): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Everything that is under way, and everything that comes, fails. */
  end(error: Error): void {
    this.#end ??= error;
    clearInterval(this.#look);
    const all = [...this.#sent.clear(), ...this.#waiting];
    this.#waiting = [];
    for (const entry of all) this.#over(entry, entry.wasWritten ? this.#unknown() : error);
  }

  /** Ends it, and closes the channel. */
  async close(error: Error): Promise<void> {
    this.end(error);
    const channel = this.#channel;
    this.#channel = undefined;
    await closeChannel(channel);
  }

  async #open(): Promise<void> {
    const connection = this.#init.connection();
    if (connection === undefined) throw this.#disconnected();
    let channel: AmqpChannel | undefined;
    channel = await connection.channel('confirm', (error) => this.#lost(channel, error));
    channel.on('ack', ({ deliveryTag, multiple }: { deliveryTag: number; multiple: boolean }) => {
      this.#confirmed(deliveryTag, multiple, 'placed');
    });
    channel.on('nack', ({ deliveryTag, multiple }: { deliveryTag: number; multiple: boolean }) => {
      this.#confirmed(deliveryTag, multiple, 'refused');
    });
    channel.on('return', (message: AmqpMessage) => this.#returned(message));
    try {
      await this.#init.prepare(channel);
    } catch (error) {
      throw amqpError(error, this.#init.text);
    }
    this.#channel = channel;
    this.#connection = connection;
    this.#tag = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const entry of waiting) this.#write(channel, entry);
    if (this.#waiting.length > 0) return;
    clearInterval(this.#look);
    this.#look = undefined;
  }

  #write(channel: AmqpChannel, entry: Publication): void {
    const { exchange, key, body, properties } = entry;
    try {
      this.#connection?.gather();
      channel.publish(exchange, key, body, properties);
    } catch (error) {
      // Either the channel is over, and the news of it is on its way, or these properties cannot be encoded.
      if (isOver(error)) this.#wait(entry);
      else setImmediate(() => this.#over(entry, this.#notEncodable(error)));
      return;
    }
    entry.wasWritten = true;
    this.#tag += 1;
    this.#sent.add(this.#tag, entry);
  }

  #wait(entry: Publication): void {
    if (entry.waitsSince === 0) entry.waitsSince = performance.now();
    this.#waiting.push(entry);
    this.#look ??= setInterval(() => this.#giveUp(), LOOK_MS).unref();
  }

  #giveUp(): void {
    const latest = performance.now() - PATIENCE_MS;
    const tired = this.#waiting.filter(({ waitsSince }) => waitsSince < latest);
    if (tired.length === 0) return;
    this.#waiting = this.#waiting.filter(({ waitsSince }) => waitsSince >= latest);
    for (const entry of tired) this.#over(entry, entry.wasWritten ? this.#unknown() : this.#disconnected());
    this.#init.changed();
  }

  #confirmed(tag: number, multiple: boolean, what: 'placed' | 'refused'): void {
    const sent = this.#sent;
    for (let one = multiple ? sent.oldest : tag; one <= tag && sent.size > 0; one += 1) {
      const entry = sent.delete(one);
      if (entry !== undefined) this.#over(entry, entry.isReturned ? 'returned' : what);
    }
    this.#init.changed();
  }

  /** Comes before the confirm of the same message. */
  #returned({ properties }: AmqpMessage): void {
    const sent = this.#sent;
    for (let tag = sent.oldest; tag <= this.#tag; tag += 1) {
      const entry = sent.get(tag);
      if (entry === undefined || entry.isReturned || entry.properties.messageId !== properties.messageId)
        continue;
      entry.isReturned = true;
      return;
    }
  }

  #lost(channel: AmqpChannel | undefined, error: Error | undefined): void {
    if (channel === undefined || channel !== this.#channel) return;
    this.#channel = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const entry of this.#sent.clear()) {
      entry.waitsSince = 0;
      this.#wait(entry);
    }
    this.#waiting.push(...waiting);
    if (error === undefined || this.#end !== undefined) return;
    this.#refused(error);
  }

  /** The server closed the channel, and the connection is there: one message is to blame, or all are in vain. */
  #refused(error: Error): void {
    const translated = amqpError(error, this.#init.text);
    const code = replyCode(error);
    const tooLarge = /message size (\d+)/.exec(replyText(error))?.[1];
    if (code === REPLY.tooLarge || (code === REPLY.precondition && tooLarge !== undefined)) {
      const guilty = this.#waiting.find(({ body }) =>
        tooLarge === undefined ? true : body.byteLength === Number(tooLarge),
      );
      this.#waiting = this.#waiting.filter((entry) => entry !== guilty);
      if (guilty !== undefined) this.#over(guilty, this.#tooLarge(guilty, error));
    } else {
      const all = this.#waiting;
      this.#waiting = [];
      const what = code === REPLY.notFound ? ('returned' as const) : translated;
      for (const entry of all) this.#over(entry, what);
    }
    this.#init.changed();
    this.start().catch(() => undefined);
  }

  #over(entry: Publication, what: Published): void {
    this.#bytes -= entry.body.byteLength;
    entry.owner.over(entry, what);
    if (this.pending > 0) return;
    this.#init.hold(false);
    const idle = this.#idle;
    this.#idle = [];
    for (const listener of idle) listener();
  }

  #tooLarge({ body }: Publication, cause: unknown): NaruError {
    return this.#error(
      'NARU_TOO_LARGE',
      `the message has ${body.byteLength} bytes, more than the server takes (its setting max_message_size)`,
      cause,
    );
  }

  #notEncodable(cause: unknown): NaruError {
    return this.#error(
      'NARU_TOO_LARGE',
      `its headers are more than AMQP can carry (${replyText(cause)})`,
      cause,
    );
  }

  #unknown(): NaruError {
    return this.#error(
      'NARU_OUTCOME_UNKNOWN',
      'the connection broke before the server had confirmed it: it may or may not have arrived',
    );
  }

  #disconnected(): NaruError {
    return this.#error(
      'NARU_DISCONNECTED',
      `there was no connection for ${PATIENCE_MS} ms; is the server running?`,
    );
  }

  #error(
    code: 'NARU_TOO_LARGE' | 'NARU_OUTCOME_UNKNOWN' | 'NARU_DISCONNECTED',
    what: string,
    cause?: unknown,
  ): NaruError {
    const { text } = this.#init;
    return new NaruError(code, `${text}: ${what}`, { place: 'amqp', mailbox: text, cause });
  }
}

/** What amqplib throws of a channel that was closed. */
function isOver(error: unknown): boolean {
  return (error as { name?: unknown }).name === 'IllegalOperationError' || /clos/i.test(replyText(error));
}
