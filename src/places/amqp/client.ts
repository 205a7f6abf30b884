// One connection to an AMQP server through the package amqplib, as this place needs it: channels, what the server can do, and errors that
// say what to do. Reconnecting is not its business.

import { importPackage } from '../../client/optional-package.ts';
import type { Connected } from '../../client/reconnecting.ts';
import { NaruError } from '../../errors/index.ts';
import { amqpError } from './failures.ts';
import type { AmqpTarget } from './options.ts';
import type { AmqpChannel, AmqpModel, AmqpPackage, ServerProperties } from './protocol.ts';

const INSTALL = 'amqplib@^2.3.1';
const CONNECT_TIMEOUT_MS = 5_000;
/** How long the goodbye may take before the socket is closed all the same. */
const GOODBYE_MS = 1_000;
/** The oldest RabbitMQ whose answers are known: quorum queues, and counts of deliveries. */
const OLDEST = [3, 8] as const;
const NEEDED = ['publisher_confirms', 'basic.nack', 'consumer_cancel_notify'] as const;

/** What matters of a server. */
export interface ServerFacts {
  /** A confirm for a durable queue that is not a quorum queue survives a power cut. */
  readonly confirmsDurable: boolean;
  /** What is durable is there after a restart. */
  readonly survives: boolean;
}

/**
 * @param text  the mailbox, for errors
 * @throws NARU_UNSUPPORTED  it is too old, or lacks what this place is built on
 */
export function readServer(properties: ServerProperties, text: string): ServerFacts {
  const { product, version, capabilities, naru_sync: sync } = properties;
  const refuse = (what: string): NaruError =>
    new NaruError('NARU_UNSUPPORTED', `${text}: ${what}`, { place: 'amqp', mailbox: text });
  const [major = 0, minor = 0] = String(version).split('.').map(Number);
  const [oldestMajor, oldestMinor] = OLDEST;
  if (product === 'RabbitMQ' && (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)))
    throw refuse(`the server is RabbitMQ ${String(version)}, amqp:// needs ${OLDEST.join('.')} or newer`);
  const missing = NEEDED.filter((name) => capabilities?.[name] !== true);
  if (missing.length > 0)
    throw refuse(`the server (${String(product)} ${String(version)}) lacks ${missing.join(', ')}`);
  return { confirmsDurable: sync === 'disk', survives: sync !== 'memory' };
}

export class AmqpConnection implements Connected {
  readonly server: ServerFacts;
  readonly #model: AmqpModel;
  readonly #text: string;
  #isOver = false;
  #isGathering = false;
  #mustGather = false;

  private constructor(model: AmqpModel, text: string) {
    this.#model = model;
    this.#text = text;
    this.server = readServer(model.connection.serverProperties, text);
  }

  /**
   * @param isFirst  it was never reached before: what it refuses it refuses for good
   * @param lost  called once when the connection breaks
   * @throws NARU_PACKAGE_MISSING, NARU_DISCONNECTED, NARU_DENIED, NARU_NOT_FOUND (the virtual host), NARU_UNSUPPORTED (too old)
   */
  static async connect(target: AmqpTarget, isFirst: boolean, lost: () => void): Promise<AmqpConnection> {
    const { default: client } = (await importPackage('amqplib', INSTALL, 'amqp')) as AmqpPackage;
    let model: AmqpModel;
    try {
      model = await client.connect(target.server, { ...target.socket, timeout: CONNECT_TIMEOUT_MS });
    } catch (error) {
      throw connectError(error, target.text, isFirst);
    }
    let connection: AmqpConnection;
    try {
      connection = new AmqpConnection(model, target.text);
    } catch (error) {
      model.on('error', () => undefined);
      await model.close().catch(() => undefined);
      throw error;
    }
    // The connection holds no process of its own; who waits does.
    model.connection.heartbeater?.sendTimer.unref();
    model.connection.heartbeater?.recvTimer.unref();
    const over = (): void => {
      if (connection.#isOver) return;
      connection.#isOver = true;
      lost();
    };
    model.on('error', over);
    model.on('close', over);
    return connection;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** @param onClose  the channel is closed: by the server with an error, or with its connection */
  channel(kind: 'plain' | 'confirm', onClose: (error: Error | undefined) => void): Promise<AmqpChannel> {
    return this.#guard(async () => {
      const channel =
        kind === 'plain' ? await this.#model.createChannel() : await this.#model.createConfirmChannel();
      let why: Error | undefined;
      channel.on('error', (error: Error) => {
        why = error;
      });
      channel.on('close', () => onClose(why));
      return channel;
    });
  }

  /** Uses a channel of its own: one that the server closes with an error disturbs nobody. @throws the error as amqplib has it */
  async once<T>(use: (channel: AmqpChannel) => Promise<T>): Promise<T> {
    let isOpen = true;
    const channel = await this.channel('plain', () => {
      isOpen = false;
    });
    try {
      return await use(channel);
    } finally {
      if (isOpen) await closeChannel(channel);
    }
  }

  /**
   * What is written to channels in this turn of the event loop goes out together: amqplib makes a system call for each message. It passes
   * them on in an immediate of its own, which comes after the first of these two and before the second.
   */
  gather(): void {
    this.#mustGather = true;
    if (!this.#isGathering) this.#gatherTurn();
  }

  #gatherTurn(): void {
    this.#mustGather = false;
    this.#isGathering = true;
    const { stream } = this.#model.connection;
    stream.cork();
    setImmediate(() => {
      setImmediate(() => {
        this.#isGathering = false;
        stream.uncork();
        // What was written between the two is still to be passed on.
        if (this.#mustGather) this.#gatherTurn();
      });
    });
  }

  ref(): void {
    this.#model.connection.stream.ref?.();
  }

  unref(): void {
    this.#model.connection.stream.unref?.();
  }

  destroy(): void {
    this.#isOver = true;
    this.unref();
    const { stream } = this.#model.connection;
    const timer = setTimeout(() => stream.destroy(), GOODBYE_MS).unref();
    // Says goodbye, so that the server does not log a broken connection.
    this.#guard(() => this.#model.close())
      .catch(() => stream.destroy())
      .finally(() => clearTimeout(timer));
  }

  /** Closes the connection and comes when the server knows it, or cannot be told. */
  async leave(): Promise<void> {
    this.#isOver = true;
    const { stream } = this.#model.connection;
    // A goodbye without an answer never ends by itself.
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GOODBYE_MS);
      this.#guard(() => this.#model.close())
        .catch(() => undefined)
        .finally(() => {
          clearTimeout(timer);
          resolve();
        });
    });
    stream.destroy();
  }

  /** amqplib throws at once, or rejects, when the connection is over. */
  async #guard<T>(use: () => Promise<T>): Promise<T> {
    try {
      return await use();
    } catch (error) {
      throw amqpError(error, this.#text);
    }
  }
}

/** Closes a channel, and comes also when its connection breaks meanwhile: then amqplib's own call never ends. */
export async function closeChannel(channel: AmqpChannel | undefined): Promise<void> {
  if (channel === undefined) return;
  await new Promise<void>((resolve) => {
    channel.on('close', () => resolve());
    Promise.resolve()
      .then(() => channel.close())
      .then(
        () => resolve(),
        () => resolve(),
      );
  });
}

/** A server that is starting or stopping refuses in many ways: only what waiting does not help against is for ever. */
function connectError(error: unknown, text: string, isFirst: boolean): NaruError {
  const translated = amqpError(error, text);
  const { code, message } = translated;
  // amqplib does not tell why the server closed the connection when the virtual host was named.
  if (isFirst && /ConnectionOpenOk; got <ConnectionClose/.test(message)) {
    const what = 'the server refuses this virtual host: it is not there, or this user may not use it';
    return new NaruError('NARU_NOT_FOUND', `${text}: ${what}`, {
      place: 'amqp',
      mailbox: text,
      cause: error,
    });
  }
  if (code === 'NARU_DENIED' || code === 'NARU_NOT_FOUND') return translated;
  return new NaruError('NARU_DISCONNECTED', message, { place: 'amqp', mailbox: text, cause: error });
}
