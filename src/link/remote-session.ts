// The way of a handle to a mailbox that another process hosts: hello, requests and their answers, and the two seats
// (remote-producer.ts, remote-consumer.ts). When the connection is lost the session is over; driver.ts makes another one.

import { NaruError } from '../errors/index.ts';
import type { Confirm } from '../mailbox/capabilities.ts';
import type { Delivery, Outgoing, PlaceStats } from '../mailbox/driver.ts';
import { encodedSize } from '../wire/envelope.ts';
import { FrameType, parseJson, PROTOCOL, readAddressed, readCoded, readFrameText } from '../wire/frames.ts';
import type { Chunk } from '../wire/splitter.ts';
import { Connection, type LinkStream } from './connection.ts';
import { Operation } from './operation.ts';
import { deliveryAt } from './item.ts';
import { LINK } from './limits.ts';
import type { RemoteInit, SeatHolder } from './remote.ts';
import { RemoteConsumer } from './remote-consumer.ts';
import { RemoteProducer } from './remote-producer.ts';
import { Hold } from './session.ts';
import type { ConsumerOptions, ConsumerSeat, Peers, ProducerSeat, Session } from './session.ts';
import type { SessionReplies } from './session.ts';
import { type MailboxSettings, newSettings, readSettings } from './settings.ts';

interface PendingRequest {
  /** It keeps the process alive. */
  readonly holds: boolean;
  readonly resolve: (answer: Record<string, unknown>) => void;
  readonly reject: (error: NaruError) => void;
}

/**
 * Says hello over a stream that is connected.
 * @param signal  ends the wait for the host's hello, and with it the connection
 * @throws NARU_EXISTS, NARU_LIMIT, NARU_UNSUPPORTED  the host refused; NARU_DISCONNECTED, NARU_CORRUPT  it is no host;
 *         the signal's reason
 */
export function connectSession(
  stream: LinkStream,
  init: RemoteInit,
  signal: AbortSignal,
): Promise<RemoteSession> {
  return new Promise((resolve, reject) => {
    const session: RemoteSession = new RemoteSession(stream, init, (error) => {
      signal.removeEventListener('abort', abandon);
      if (error === undefined) resolve(session);
      else reject(error);
    });
    const abandon = (): void => {
      reject(signal.reason);
      void session.close();
    };
    signal.addEventListener('abort', abandon, { once: true });
    if (signal.aborted) abandon();
  });
}

export class RemoteSession implements Session, SeatHolder {
  readonly created: boolean;
  readonly offered: Confirm = 'accepted';
  readonly address: string;
  readonly #init: RemoteInit;
  readonly #connection: Connection;
  readonly #requests = new Map<number, PendingRequest>();
  readonly #peeked = new Map<number, Delivery[]>();
  readonly #helloTimer: NodeJS.Timeout;
  #greeted: ((error?: NaruError) => void) | undefined;
  #settings: MailboxSettings = newSettings({});
  #hostIdentity = '';
  #peers: Peers = { producers: 0, consumers: 0 };
  #producer: RemoteProducer | undefined;
  #consumer: RemoteConsumer | undefined;
  #requestCount = 0;
  /** Requests that keep the process alive until they are answered. */
  #held = 0;
  #holding = 0;
  /** The host's last words. */
  #farewell: NaruError | undefined;

  constructor(stream: LinkStream, init: RemoteInit, greeted: (error?: NaruError) => void) {
    this.#init = init;
    this.#greeted = greeted;
    this.address = init.address;
    this.created = init.created ?? false;
    this.#connection = new Connection(stream, init, {
      preamble: (major) => this.#checkVersion(major),
      frame: (type, chunk, start, end) => this.#onFrame(type, chunk, start, end),
      read: () => this.#consumer?.tell(),
      drain: () => init.events.writable(),
      closed: (error) => this.#onClosed(error),
    });
    const { identity, stated, key } = init;
    this.#connection.writer.text(FrameType.hello, JSON.stringify({ identity, stated, key, features: [] }));
    this.#helloTimer = setTimeout(() => {
      this.#connection.abort(
        this.#error('NARU_DISCONNECTED', `no hello from the host within ${LINK.helloTimeoutMs} ms`),
      );
    }, LINK.helloTimeoutMs);
  }

  get settings(): MailboxSettings {
    return this.#settings;
  }

  get host(): string {
    return this.#hostIdentity;
  }

  get peers(): Peers {
    return this.#peers;
  }

  hold(reason: number, on: boolean): void {
    this.#holding = on ? this.#holding | reason : this.#holding & ~reason;
    if (!this.#connection.isClosed) this.#connection.hold(this.#holding !== 0);
  }

  async attachProducer(): Promise<ProducerSeat> {
    const producer = new RemoteProducer(this.#connection, this, this.#init);
    this.#producer = producer;
    try {
      await this.request(Operation.attachProducer, {});
      return producer;
    } catch (error) {
      this.#producer = undefined;
      throw error;
    }
  }

  async attachConsumer(options: ConsumerOptions): Promise<ConsumerSeat> {
    const consumer = new RemoteConsumer(this.#connection, this, this.#init);
    this.#consumer = consumer;
    try {
      await this.request(Operation.attachConsumer, options);
      return consumer;
    } catch (error) {
      this.#consumer = undefined;
      throw error;
    }
  }

  async openReplies(): Promise<SessionReplies> {
    const { address } = await this.request(Operation.openReplies, {});
    return { address: String(address), send: (replyTo, message) => this.#reply(replyTo, message) };
  }

  async stats(): Promise<PlaceStats> {
    return (await this.request(Operation.stats, {})) as unknown as PlaceStats;
  }

  async peek(max: number): Promise<Delivery[]> {
    const found: Delivery[] = [];
    // The number of the request is the next one: peeked frames carry it and come before the answer.
    const id = this.#requestCount + 1;
    this.#peeked.set(id, found);
    try {
      await this.request(Operation.peek, { max });
      return found;
    } finally {
      this.#peeked.delete(id);
    }
  }

  async purge(): Promise<number> {
    return Number((await this.request(Operation.purge, {}))['count']);
  }

  async unlink(): Promise<void> {
    await this.request(Operation.unlink, {});
  }

  async close(): Promise<{ undelivered: number }> {
    clearTimeout(this.#helloTimer);
    this.#connection.close(undefined);
    await this.#connection.whenGone();
    return { undelivered: 0 };
  }

  /** Asks the host for something that has an answer. @param holds  the process stays alive until it comes */
  request(operation: number, asked: object, holds: boolean = true): Promise<Record<string, unknown>> {
    if (this.#connection.isClosed) return Promise.reject(this.#lostError());
    this.#requestCount += 1;
    const id = this.#requestCount;
    const text = JSON.stringify(asked);
    this.#connection.writer.coded(FrameType.request, id >>> 0, operation, text === '{}' ? '' : text);
    return this.#answerTo(id, holds);
  }

  #answerTo(id: number, holds: boolean): Promise<Record<string, unknown>> {
    if (holds) this.#held += 1;
    if (holds) this.hold(Hold.request, true);
    return new Promise((resolve, reject) => {
      this.#requests.set(id >>> 0, { holds, resolve, reject });
    });
  }

  async #reply(replyTo: string, message: Outgoing): Promise<void> {
    if (this.#connection.isClosed) throw this.#lostError();
    const size = encodedSize(message);
    this.#requestCount += 1;
    const id = this.#requestCount;
    this.#connection.writer.addressed(FrameType.reply, id >>> 0, 0, replyTo, message, size);
    await this.#answerTo(id, true);
  }

  #checkVersion(major: number): void {
    if (major === PROTOCOL.major) return;
    throw this.#error(
      'NARU_UNSUPPORTED',
      `the host speaks version ${major} of the protocol, this process ${PROTOCOL.major}.${PROTOCOL.minor}; use the same version of naru on both sides`,
    );
  }

  #onFrame(type: number, chunk: Chunk, start: number, end: number): void {
    const { view } = chunk;
    switch (type) {
      case FrameType.deliver:
        this.#consumer?.onDeliver(chunk, start, end);
        break;
      case FrameType.sender:
        this.#consumer?.onSender(chunk, start, end);
        break;
      case FrameType.ended:
        this.#consumer?.onEnded();
        break;
      case FrameType.placed:
      case FrameType.synced:
      case FrameType.refused:
      case FrameType.confirmed:
      case FrameType.credit:
      case FrameType.recall:
        this.#producer?.onFrame(type, chunk, start, end);
        break;
      case FrameType.response:
        this.#onResponse(chunk, start, end);
        break;
      case FrameType.answer:
      case FrameType.peeked:
        this.#onAddressed(type, chunk, start, end);
        break;
      case FrameType.peers:
        this.#peers = { producers: view.getUint32(start, true), consumers: view.getUint32(start + 4, true) };
        this.#init.events.peers();
        break;
      default:
        this.#onRare(type, chunk, start, end);
    }
  }

  #onRare(type: number, chunk: Chunk, start: number, end: number): void {
    if (type === FrameType.dropped) {
      const { id, text } = readCoded(type, chunk, start, end);
      this.#init.events.event('drop', { reason: text, count: id });
    } else if (type === FrameType.hello && this.#greeted !== undefined) {
      this.#onHello(parseJson(readFrameText(chunk, start, end)));
    } else if (type === FrameType.bye) {
      const json = parseJson(readFrameText(chunk, start, end));
      this.#farewell = NaruError.fromJSON({
        code: 'NARU_PEER_GONE',
        message: 'the host said goodbye',
        ...json,
      });
      this.#connection.abort(this.#farewell);
    } else {
      throw this.#error('NARU_CORRUPT', `a frame of type 0x${type.toString(16)} may not come here`);
    }
  }

  #onHello(hello: Record<string, unknown>): void {
    this.#settings = readSettings(hello['settings']);
    this.#hostIdentity = typeof hello['identity'] === 'string' ? hello['identity'] : '';
    const peers = (hello['peers'] ?? {}) as Record<string, unknown>;
    this.#peers = { producers: Number(peers['producers']) || 0, consumers: Number(peers['consumers']) || 0 };
    this.#connection.allow(this.#settings.maxMessageBytes);
    this.#connection.startHeartbeat();
    clearTimeout(this.#helloTimer);
    this.#connection.hold(this.#holding !== 0);
    const greeted = this.#greeted;
    this.#greeted = undefined;
    greeted?.();
  }

  #onResponse(chunk: Chunk, start: number, end: number): void {
    const { id, code, text } = readCoded(FrameType.response, chunk, start, end);
    const pending = this.#requests.get(id);
    if (pending === undefined) return;
    this.#requests.delete(id);
    if (pending.holds) this.#held -= 1;
    if (this.#held === 0) this.hold(Hold.request, false);
    const json = parseJson(text);
    if (code === 0) pending.resolve(json);
    else pending.reject(NaruError.fromJSON(json));
  }

  #onAddressed(type: number, chunk: Chunk, start: number, end: number): void {
    const { id, extra, text, offset } = readAddressed(type, chunk, start, end);
    const deliveries = type === FrameType.peeked ? extra : 1;
    const delivery = deliveryAt(chunk, offset, end - offset, text, false).handTo(this, 0, deliveries);
    if (type === FrameType.answer) this.#init.events.reply(delivery);
    else this.#peeked.get(id)?.push(delivery);
  }

  #onClosed(error: NaruError | undefined): void {
    clearTimeout(this.#helloTimer);
    const lost = error ?? this.#error('NARU_CLOSED', 'this handle was closed');
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const { reject } of requests) reject(lost);
    this.#producer?.lost(lost);
    this.#consumer?.lost();
    const greeted = this.#greeted;
    this.#greeted = undefined;
    if (greeted !== undefined) greeted(lost);
    else if (error !== undefined) this.#init.events.lost(lost, lost.code === 'NARU_CLOSED');
  }

  #lostError(): NaruError {
    return this.#farewell ?? this.#error('NARU_DISCONNECTED', 'the connection to the host is lost');
  }

  #error(
    code: 'NARU_DISCONNECTED' | 'NARU_CORRUPT' | 'NARU_UNSUPPORTED' | 'NARU_CLOSED',
    text: string,
  ): NaruError {
    return new NaruError(code, `${this.#init.mailbox}: ${text}`, this.#init);
  }
}
