// A page's mailbox: what the user calls, and coming back when the connection is lost. The connection's frames are in connection.ts, the
// two ends in producer.ts and consumer.ts.

import { isNaruError, NaruError, type NaruErrorCode } from '../errors/index.ts';
import { LINK } from '../link/limits.ts';
import { Operation } from '../link/operation.ts';
import { Listeners } from '../mailbox/listeners.ts';
import { Receipt } from '../mailbox/receipt.ts';
import type { Encodable } from '../wire/envelope.ts';
import type { Envelope, MessageFields } from '../wire/envelope-types.ts';
import { FrameType } from '../wire/frame-types.ts';
import { type Codec, resolveCodec } from './codec.ts';
import { Connection } from './connection.ts';
import { Consumer, type Delivery, isLossy, type Outcome } from './consumer.ts';
import type { Frame } from './frame-reader.ts';
import { BROWSER } from './limits.ts';
import { BrowserMessage, type Keeper } from './message.ts';
import type { BrowserEvents, BrowserOptions, BrowserSendOptions } from './options.ts';
import { newIdentity, report, whenOnline } from './platform.ts';
import { Producer } from './producer.ts';
import { Requests } from './requests.ts';
import { type Limits, Waiter } from './waiting.ts';

type Role = 'producer' | 'consumer';

/** Errors of an attempt to come back that another attempt may not meet. */
const PASSING: ReadonlySet<string> = new Set<NaruErrorCode>([
  'NARU_DISCONNECTED',
  'NARU_PEER_GONE',
  'NARU_LIMIT',
  'NARU_TIMEOUT',
]);

/** A mailbox as a page has it; made by `open()`. */
export class BrowserMailbox<T = unknown> implements Keeper {
  readonly #url: string;
  readonly #options: BrowserOptions;
  readonly #codec: Codec;
  readonly #identity: string = newIdentity();
  readonly #listeners = new Listeners<BrowserEvents>();
  readonly #producer: Producer;
  readonly #consumer: Consumer;
  readonly #requests: Requests;
  readonly #roles = new Set<Role>();
  readonly #whenConnected = new Set<Waiter<Connection>>();
  /** Greeted, and with its seats. */
  #connection: Connection | undefined;
  /** Not yet. */
  #attempt: Connection | undefined;
  #lostHost = '';
  #sequence = 0;
  #peers = { producers: 0, consumers: 0 };
  #closed: Promise<{ undelivered: number }> | undefined;
  #failure: NaruError | undefined;
  #pause: (() => void) | undefined;

  constructor(url: string, options: BrowserOptions) {
    this.#url = url;
    this.#options = options;
    this.#codec = resolveCodec(options.codec);
    this.#producer = new Producer(url);
    this.#requests = new Requests(url);
    this.#consumer = new Consumer({
      url,
      group: options.group,
      from: options.from,
      prefetch: options.prefetch ?? BROWSER.prefetch,
      gap: (count, sender) => this.#tell('gap', { count, sender }),
    });
    if (options.role === 'producer' || options.role === 'consumer') this.#roles.add(options.role);
  }

  /** Connects for the first time: tries until the limits end it. */
  async start(): Promise<this> {
    const { signal, timeoutMs = BROWSER.openMs } = this.#options;
    const deadline = AbortSignal.timeout(timeoutMs);
    const stopped = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
    const abandon = (): void => {
      this.#attempt?.close();
      this.#pause?.();
    };
    stopped.addEventListener('abort', abandon, { once: true });
    try {
      let last: unknown;
      for (let attempt = 1; ; attempt += 1) {
        if (signal?.aborted === true) throw signal.reason;
        if (deadline.aborted) throw this.#error('NARU_TIMEOUT', notOpened(timeoutMs, last), last);
        try {
          await this.#connect();
          return this;
        } catch (error) {
          if (!stopped.aborted) last = error;
          const isPassing = isNaruError(error, 'NARU_DISCONNECTED') || isNaruError(error, 'NARU_PEER_GONE');
          if (!isPassing && !stopped.aborted) throw error;
        }
        if (!stopped.aborted) await this.#wait(attempt);
      }
    } finally {
      stopped.removeEventListener('abort', abandon);
    }
  }

  /** Producers and consumers that are attached to the mailbox, this page included. */
  get peers(): { readonly producers: number; readonly consumers: number } {
    return this.#peers;
  }

  /** Whether there is a connection to the host at the moment. */
  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** @returns a function that takes the listener off */
  on<K extends keyof BrowserEvents>(type: K, listener: (detail: BrowserEvents[K]) => void): () => void {
    return this.#listeners.on(type, listener);
  }

  /**
   * Sends a message, waiting while the mailbox is full or the connection is lost.
   *
   * @throws NARU_TIMEOUT, the signal's reason  it was not sent
   * @throws NARU_OUTCOME_UNKNOWN  the connection broke, or the time was over, before the receipt came
   * @throws NARU_INVALID_MESSAGE, NARU_TOO_LARGE, NARU_OVERLOADED, NARU_LIMIT, NARU_CLOSED
   */
  async send(data: T, options: BrowserSendOptions = {}): Promise<Receipt> {
    this.#checkOpen();
    const { confirm = 'placed', signal, timeoutMs, ...fields } = options;
    return await this.#send(this.#encode(data, fields), confirm, { signal, timeoutMs });
  }

  /**
   * Takes the next message. With `settle: 'auto'` it is settled at once.
   * @throws NARU_TIMEOUT, NARU_CLOSED, NARU_INVALID_MESSAGE, NARU_LIMIT; the signal's reason
   */
  async receive(limits: Limits = {}): Promise<BrowserMessage<T>> {
    this.#checkOpen();
    await this.#take('consumer');
    const delivery = await this.#consumer.next(limits);
    if (delivery === undefined) throw this.#error('NARU_CLOSED', 'the mailbox has ended');
    const message = this.#handOut(delivery);
    this.#autoAck(message, delivery);
    return message;
  }

  /**
   * Messages as they come, until the mailbox ends or is closed. With `settle: 'auto'` a message is settled when the next is asked for,
   * and released when the loop ends early; in a topic with `full: 'drop-oldest'` it is settled at once, and nothing is fetched ahead. A message that cannot be decoded is rejected and told as an `error` event.
   */
  async *messages(limits: Limits = {}): AsyncGenerator<BrowserMessage<T>, void, undefined> {
    this.#checkOpen();
    await this.#take('consumer');
    this.#consumer.loop(1);
    let current: [BrowserMessage<T>, Delivery] | undefined;
    try {
      for (;;) {
        const delivery = await this.#consumer.next(limits);
        if (delivery === undefined) return;
        const message = this.#handOutOrTell(delivery);
        if (message === undefined) continue;
        current = [message, delivery];
        if (isLossy(delivery.connection)) this.#autoAck(message, delivery);
        yield message;
        this.#autoAck(message, delivery);
        current = undefined;
      }
    } finally {
      const isManual = this.#options.settle === 'manual';
      if (current?.[0].markSettled() === true && !isManual) this.#consumer.settle(current[1], 'release', 0);
      this.#consumer.loop(-1);
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<BrowserMessage<T>, void, undefined> {
    return this.messages();
  }

  /**
   * Sends a request and waits for its answer.
   * @throws NARU_REMOTE  the handler failed; NARU_TIMEOUT; NARU_DISCONNECTED  the connection broke; and what `send` can raise
   */
  async request(data: T, options: BrowserSendOptions = {}): Promise<{ readonly data: unknown }> {
    this.#checkOpen();
    const { confirm = 'placed', signal, timeoutMs, ...fields } = options;
    const limits = { signal, timeoutMs };
    const connection = await this.#whileConnecting(limits);
    const replyTo = await this.#requests.address(connection);
    const { body } = await this.#requests.answer(this.#identity, limits, (correlationId) => {
      const message = this.#encode(data, { ...fields, replyTo, correlationId });
      return this.#send(message, confirm, limits);
    });
    return { data: this.#decode(body) };
  }

  /** Numbers of the mailbox, as its host has them. @throws NARU_DISCONNECTED */
  async stats(): Promise<Readonly<Record<string, unknown>>> {
    return await (await this.#whileConnecting({})).request(Operation.stats, {});
  }

  /** Ends the mailbox for everybody: consumers' loops finish when they have had the rest. */
  async end(): Promise<void> {
    await (await this.#whileConnecting({})).request(Operation.end, {});
  }

  /** Waits at most `flushMs` (2,000) for receipts, and leaves. @returns messages that were not confirmed. Idempotent. */
  close(options: { readonly flushMs?: number } = {}): Promise<{ undelivered: number }> {
    this.#closed ??= this.#close(options.flushMs ?? BROWSER.flushMs);
    return this.#closed;
  }

  /** For messages. */
  async settle(delivery: Delivery, outcome: Outcome, delayMs: number): Promise<void> {
    const isSettled = this.#consumer.settle(delivery, outcome, delayMs);
    const late = isSettled ? await this.#consumer.sync().catch(() => 1) : 1;
    if (late > 0) {
      throw this.#error('NARU_DISCONNECTED', 'the message went back before it was settled: it comes again');
    }
  }

  /** For messages. */
  async reply({ fields }: Delivery, data: unknown): Promise<void> {
    const { replyTo, correlationId } = fields ?? {};
    if (replyTo === undefined) throw this.#error('NARU_INVALID_ARGUMENT', 'nobody waits for an answer');
    const connection = await this.#whileConnecting({});
    await this.#requests.reply(connection, replyTo, this.#encode(data as T, { correlationId }));
  }

  async #send(message: Encodable, confirm: 'placed' | 'received', limits: Limits): Promise<Receipt> {
    // In line before anything is waited for: sends go in the order of the calls.
    const { waiter } = this.#producer.send(message, confirm === 'received', limits);
    this.#take('producer').catch((error: unknown) => waiter.reject(error));
    await waiter.promise;
    return new Receipt(confirm, message.fields?.id, this.#identity, message.sequence);
  }

  /** Takes a seat now and after every return. */
  async #take(role: Role): Promise<void> {
    if (this.#roles.has(role)) return;
    this.#roles.add(role);
    const connection = this.#connection;
    if (connection === undefined) return;
    try {
      await this.#attach(role, connection, false);
    } catch (error) {
      if (connection.isOver) return;
      this.#roles.delete(role);
      throw error;
    }
  }

  async #attach(role: Role, connection: Connection, isBack: boolean): Promise<void> {
    if (role === 'producer') await this.#producer.attach(connection);
    else await this.#consumer.attach(connection, isBack);
  }

  async #connect(): Promise<void> {
    const { key, heartbeatMs = BROWSER.heartbeatMs } = this.#options;
    const connection = new Connection({
      url: this.#url,
      identity: this.#identity,
      key,
      heartbeatMs,
      frame: (frame, from) => this.#onFrame(frame, from),
      read: () => this.#consumer.tell(),
      lost: (error, from) => this.#onLost(error, from),
    });
    this.#attempt = connection;
    try {
      await connection.greeted;
      const isBack = connection.host === this.#lostHost;
      for (const role of this.#roles) await this.#attach(role, connection, isBack);
      if (connection.isOver) throw this.#error('NARU_DISCONNECTED', 'the connection was lost again');
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      this.#attempt = undefined;
    }
    this.#connection = connection;
    this.#lostHost = connection.host;
    for (const waiter of this.#whenConnected) waiter.resolve(connection);
    this.#whenConnected.clear();
  }

  #onFrame(frame: Frame, connection: Connection): void {
    const { type, view, start } = frame;
    if (type === FrameType.answer) this.#requests.onAnswer(frame);
    else if (type === FrameType.peers) {
      frame.need(8);
      this.#peers = { producers: view.getUint32(start, true), consumers: view.getUint32(start + 4, true) };
      this.#tell('peers', this.#peers);
    } else if (type === FrameType.dropped) {
      frame.need(5);
      this.#tell('drop', { reason: frame.text(5), count: view.getUint32(start, true) });
    } else {
      this.#producer.onFrame(frame);
      this.#consumer.onFrame(frame, connection);
    }
  }

  #onLost(error: NaruError, connection: Connection): void {
    if (connection !== this.#connection) return;
    this.#connection = undefined;
    this.#leaveConnection(error);
    if (this.#closed !== undefined) return;
    if (error.code === 'NARU_CLOSED') this.#fail(error);
    else {
      this.#tell('disconnect', { reason: error.message });
      void this.#comeBack();
    }
  }

  #leaveConnection(error: NaruError): void {
    this.#producer.lost();
    this.#consumer.lost();
    this.#requests.lost(error);
  }

  async #comeBack(): Promise<void> {
    for (let attempts = 1; this.#closed === undefined; attempts += 1) {
      await this.#wait(attempts);
      if (this.#closed !== undefined) return;
      try {
        await this.#connect();
        this.#tell('reconnect', { attempts });
        return;
      } catch (error) {
        const known = isNaruError(error) ? error : this.#error('NARU_DISCONNECTED', String(error));
        // What was begun over the attempt has no answer either.
        this.#leaveConnection(known);
        if (!PASSING.has(known.code)) {
          if (this.#closed === undefined) this.#fail(known);
          return;
        }
      }
    }
  }

  /** Doubling, with chance, so that many pages that lost the same host do not come back in step. Ends early when the network is back. */
  async #wait(attempt: number): Promise<void> {
    const most = Math.min(LINK.backoffMs * 2 ** Math.min(attempt - 1, 16), LINK.backoffMsMax);
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        stop();
        this.#pause = undefined;
        resolve();
      };
      const timer = setTimeout(finish, most * (0.5 + Math.random() / 2));
      const stop = whenOnline(finish);
      this.#pause = finish;
    });
  }

  async #whileConnecting(limits: Limits): Promise<Connection> {
    this.#checkOpen();
    if (this.#connection !== undefined) return this.#connection;
    const waiter = new Waiter<Connection>();
    this.#whenConnected.add(waiter);
    waiter.limit(
      limits,
      () => ['NARU_TIMEOUT', `${this.#url}: there was no connection`],
      () => this.#whenConnected.delete(waiter),
    );
    return await waiter.promise;
  }

  async #close(flushMs: number): Promise<{ undelivered: number }> {
    this.#consumer.close();
    if (this.#producer.pending > 0 && flushMs > 0 && this.#failure === undefined) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise((resolve) => {
        timer = setTimeout(resolve, flushMs);
      });
      await Promise.race([this.#producer.drained(), late]);
      clearTimeout(timer);
    }
    const undelivered = this.#producer.pending;
    const error = this.#error('NARU_CLOSED', 'this handle was closed');
    this.#connection?.close();
    this.#attempt?.close();
    this.#connection = undefined;
    this.#pause?.();
    this.#giveUp(error);
    return { undelivered };
  }

  /** The mailbox is gone, or will not have this page. */
  #fail(error: NaruError): void {
    this.#failure = error;
    this.#consumer.fail(error);
    this.#giveUp(error);
    this.#tell('error', { error });
  }

  #giveUp(error: NaruError): void {
    this.#producer.fail(error);
    this.#requests.lost(error);
    for (const waiter of this.#whenConnected) waiter.reject(error);
    this.#whenConnected.clear();
  }

  #encode(data: T, fields: MessageFields): Encodable {
    let body: Uint8Array;
    try {
      body = this.#codec.encode(data);
    } catch (cause) {
      throw this.#error('NARU_INVALID_MESSAGE', `the data cannot be encoded: ${String(cause)}`, cause);
    }
    const { contentType = this.#codec.contentType } = fields;
    const all = contentType === undefined ? fields : { ...fields, contentType };
    const isPlain = Object.values(all).every((value) => value === undefined);
    this.#sequence = (this.#sequence + 1) >>> 0;
    return { body, sequence: this.#sequence, time: Date.now(), fields: isPlain ? undefined : all };
  }

  #decode(body: Envelope['body']): unknown {
    try {
      return this.#codec.decode(body);
    } catch (cause) {
      throw this.#error('NARU_INVALID_MESSAGE', `a message cannot be decoded: ${String(cause)}`, cause);
    }
  }

  /** @throws NARU_INVALID_MESSAGE  it cannot be decoded; it has been rejected */
  #handOut(delivery: Delivery): BrowserMessage<T> {
    this.#consumer.received(delivery);
    try {
      return new BrowserMessage(this.#decode(delivery.body) as T, delivery, this);
    } catch (error) {
      this.#consumer.settle(delivery, 'reject', 0);
      throw error;
    }
  }

  #handOutOrTell(delivery: Delivery): BrowserMessage<T> | undefined {
    try {
      return this.#handOut(delivery);
    } catch (error) {
      this.#tell('error', { error: error as NaruError });
      return undefined;
    }
  }

  #autoAck(message: BrowserMessage<T>, delivery: Delivery): void {
    if (this.#options.settle !== 'manual' && message.markSettled()) this.#consumer.settle(delivery, 'ack', 0);
  }

  #checkOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed !== undefined) throw this.#error('NARU_CLOSED', 'this handle was closed');
  }

  /** A listener that throws does not keep the others from hearing; an error that nobody hears is at least shown. */
  #tell<K extends keyof BrowserEvents>(type: K, detail: BrowserEvents[K]): void {
    const isHeard = this.#listeners.tell(type, detail, report);
    if (!isHeard && type === 'error') report((detail as BrowserEvents['error']).error);
  }

  #error(code: NaruErrorCode, what: string, cause?: unknown): NaruError {
    return new NaruError(code, `${this.#url}: ${what}`, { place: 'ws', mailbox: this.#url, cause });
  }
}

function notOpened(timeoutMs: number, last: unknown): string {
  const why = isNaruError(last) ? `; the last attempt: ${last.message}` : '';
  return `could not be opened within ${timeoutMs} ms${why}`;
}
