// A participant at the other end of a connection: its hello, its requests, its credit as a producer, its demand as a
// consumer. The frames are described in docs/internals/link-protocol.md.

import { isNaruError, NaruError } from '../errors/index.ts';
import { bodyOffset, encodedSize } from '../wire/envelope.ts';
import { FrameType, parseJson, PROTOCOL, readAddressed, readCoded, readFrameText } from '../wire/frames.ts';
import type { Chunk } from '../wire/splitter.ts';
import { Connection, type LinkStream } from './connection.ts';
import { HostConsumer } from './host-consumer.ts';
import { HostProducer } from './host-producer.ts';
import type { Host, Participant } from './host.ts';
import { type LinkMessage, itemOf } from './item.ts';
import { LINK } from './limits.ts';
import { Operation } from './operation.ts';
import { checkSettings, readStated } from './settings.ts';

/** What a connection needs of its listener. */
export interface HostConnectionInit {
  readonly host: Host;
  readonly heartbeatMs: number;
  /** Looks at a peer's hello before anything of it counts. @throws NARU_DENIED */
  readonly checkHello?: ((hello: Readonly<Record<string, unknown>>) => void) | undefined;
  /** Destroys the mailbox, the place's part included. */
  readonly unlink: () => Promise<void>;
  readonly closed: (connection: HostConnection) => void;
}

export class HostConnection implements Participant {
  readonly connection: Connection;
  readonly #init: HostConnectionInit;
  readonly #host: Host;
  readonly #helloTimer: NodeJS.Timeout;
  #identity = '';
  #greeted = false;
  #producer: HostProducer | undefined;
  #consumer: HostConsumer | undefined;
  #replyAddress: string | undefined;

  constructor(stream: LinkStream, init: HostConnectionInit) {
    this.#init = init;
    this.#host = init.host;
    const { mailbox, place } = init.host;
    this.connection = new Connection(
      stream,
      { mailbox, place, heartbeatMs: init.heartbeatMs },
      {
        preamble: (major) => this.#checkVersion(major),
        frame: (type, chunk, start, end) => this.#onFrame(type, chunk, start, end),
        read: () => this.#producer?.tell(),
        drain: () => this.#consumer?.pumpSoon(),
        closed: (error) => this.#onClosed(error),
      },
    );
    this.#helloTimer = setTimeout(() => {
      const text = `${mailbox}: no hello within ${LINK.helloTimeoutMs} ms`;
      this.connection.abort(new NaruError('NARU_TIMEOUT', text, this.#host));
    }, LINK.helloTimeoutMs).unref();
  }

  get identity(): string {
    return this.#identity;
  }

  peersChanged(): void {
    const { producers, consumers } = this.#host.peers;
    this.connection.writer.counts(FrameType.peers, producers, consumers);
  }

  dropped(reason: string, count: number): void {
    this.connection.writer.coded(FrameType.dropped, count, 0, reason);
  }

  stopped(error: NaruError, final: boolean): void {
    this.#consumer?.finish();
    this.connection.close(final ? error : new NaruError('NARU_PEER_GONE', error.message, this.#host));
  }

  #checkVersion(major: number): void {
    if (major === PROTOCOL.major) return;
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${this.#host.mailbox}: the peer speaks version ${major} of the protocol, this host ${PROTOCOL.major}.${PROTOCOL.minor}; use the same version of naru on both sides`,
      this.#host,
    );
  }

  #onFrame(type: number, chunk: Chunk, start: number, end: number): void {
    if (!this.#greeted) {
      if (type !== FrameType.hello) throw this.#unexpected(type);
      this.#greet(parseJson(readFrameText(chunk, start, end)));
      return;
    }
    switch (type) {
      case FrameType.send:
        this.#needProducer(type).onSend(chunk, start, end);
        break;
      case FrameType.need:
      case FrameType.return:
        this.#needProducer(type).onAmounts(type, chunk, start, end);
        break;
      case FrameType.want:
      case FrameType.ack:
      case FrameType.settle:
      case FrameType.received:
      case FrameType.extend:
        // What still comes of a consumer that has left concerns nobody.
        this.#consumer?.onFrame(type, chunk, start, end);
        break;
      case FrameType.request:
        this.#onRequest(chunk, start, end);
        break;
      case FrameType.reply:
        this.#onReply(chunk, start, end);
        break;
      case FrameType.bye:
        this.connection.close(undefined);
        break;
      default:
        throw this.#unexpected(type);
    }
  }

  /** @throws NARU_EXISTS  it states other options than the mailbox has; NARU_DENIED */
  #greet(hello: Record<string, unknown>): void {
    const host = this.#host;
    clearTimeout(this.#helloTimer);
    this.#init.checkHello?.(hello);
    checkSettings(readStated(hello['stated']), host.settings, host.mailbox);
    this.#identity = textOf(hello['identity']).slice(0, IDENTITY_MAX);
    this.#greeted = true;
    const { producers, consumers } = host.peers;
    const answer = {
      identity: host.identity,
      settings: host.settings,
      peers: { producers, consumers },
      features: [],
    };
    this.connection.writer.text(FrameType.hello, JSON.stringify(answer));
    this.connection.allow(host.settings.maxMessageBytes);
    this.connection.startHeartbeat();
    host.join(this);
  }

  #onRequest(chunk: Chunk, start: number, end: number): void {
    if (end - start > LINK.helloBytesMax) throw this.#unexpected(FrameType.request);
    const { id, code, text } = readCoded(FrameType.request, chunk, start, end);
    try {
      const answer = this.#perform(id, code, text === '' ? {} : parseJson(text));
      if (answer !== undefined) this.#respond(id, answer);
    } catch (error) {
      this.#fail(id, error);
    }
  }

  /** @returns undefined when the answer comes later */
  #perform(id: number, operation: number, asked: Record<string, unknown>): object | undefined {
    const host = this.#host;
    switch (operation) {
      case Operation.attachProducer:
        this.#producer ??= new HostProducer(host, this.connection, this.#identity);
        return {};
      case Operation.detachProducer:
        this.#producer?.close();
        this.#producer = undefined;
        return {};
      case Operation.attachConsumer:
        this.#consumer ??= new HostConsumer(host, this.connection, asked);
        return {};
      case Operation.detachConsumer:
        this.#consumer?.close();
        this.#consumer = undefined;
        return {};
      case Operation.openReplies:
        this.#replyAddress ??= host.openReplies((item) => this.#deliverAnswer(item));
        return { address: this.#replyAddress };
      case Operation.end:
        host.end();
        return {};
      case Operation.stats:
        return host.stats();
      case Operation.peek:
        this.#peek(id, Number(asked['max']));
        return {};
      case Operation.purge:
        return { count: host.purge() };
      case Operation.unlink:
        this.#unlink(id);
        return undefined;
      case Operation.poll:
        return { ended: this.#consumer?.poll(Number(asked['count'])) ?? false };
      case Operation.room:
        this.#askRoom(id, Number(asked['bytes']));
        return undefined;
      case Operation.sync:
        return { late: this.#consumer?.takeLate() ?? 0 };
      default:
        throw new NaruError('NARU_UNSUPPORTED', `${host.mailbox}: unknown request ${operation}`, host);
    }
  }

  #askRoom(id: number, bytes: number): void {
    const asking = this.#needProducer(Operation.room).ask(bytes);
    asking.then(
      () => this.#respond(id, {}),
      (error: unknown) => this.#fail(id, error),
    );
  }

  #unlink(id: number): void {
    this.#respond(id, {});
    this.connection.flush();
    this.#init.unlink().catch((error: unknown) => this.#fail(id, error));
  }

  #peek(id: number, max: number): void {
    const { writer } = this.connection;
    let bytes = 0;
    for (const { item, deliveries } of this.#host.peek(Math.min(Math.max(0, max) || 0, LINK.peekMax))) {
      bytes += item.length;
      // Whoever asks and does not read gets less and less.
      if (bytes + this.connection.unsentBytes > LINK.peekBytesMax) break;
      writer.addressed(FrameType.peeked, id, deliveries, item.sender, item, encodedSize(item));
    }
  }

  #onReply(chunk: Chunk, start: number, end: number): void {
    const { id, text, offset } = readAddressed(FrameType.reply, chunk, start, end);
    const length = end - offset;
    const body = bodyOffset(chunk.view, offset, length);
    const item = itemOf(chunk, offset, length, body, length, this.#identity, undefined, 0, false);
    try {
      this.#host.answer(text, item);
      this.#respond(id, {});
    } catch (error) {
      this.#fail(id, error);
    }
  }

  #deliverAnswer(item: LinkMessage): void {
    const { mailbox } = this.#host;
    if (this.connection.unsentBytes > LINK.answersBytesMax) {
      const text = `${mailbox}: whoever asked does not read its answers: ${LINK.answersBytesMax} bytes wait`;
      throw new NaruError('NARU_LIMIT', text, this.#host);
    }
    this.connection.writer.addressed(FrameType.answer, 0, 0, item.sender, item, encodedSize(item));
  }

  #respond(id: number, answer: object): void {
    this.connection.writer.coded(FrameType.response, id, 0, JSON.stringify(answer));
  }

  #fail(id: number, error: unknown): void {
    const known = isNaruError(error)
      ? error
      : new NaruError('NARU_REMOTE', String(error), { mailbox: this.#host.mailbox, cause: error });
    this.connection.writer.coded(FrameType.response, id, 1, JSON.stringify(known));
  }

  #needProducer(type: number): HostProducer {
    if (this.#producer === undefined) throw this.#unexpected(type);
    return this.#producer;
  }

  #unexpected(type: number): NaruError {
    const text = `${this.#host.mailbox}: a frame of type 0x${type.toString(16)} may not come here`;
    return new NaruError('NARU_CORRUPT', text, this.#host);
  }

  #onClosed(error: NaruError | undefined): void {
    const host = this.#host;
    clearTimeout(this.#helloTimer);
    host.leave(this);
    const tell = error !== undefined && this.#greeted && !host.isStopped;
    if (tell && this.#producer !== undefined) host.orphaned('producer', this.#identity);
    if (tell && this.#consumer !== undefined) host.orphaned('consumer', this.#identity);
    this.#producer?.close();
    this.#consumer?.close();
    if (this.#replyAddress !== undefined) host.closeReplies(this.#replyAddress);
    if (error !== undefined && error.code !== 'NARU_DISCONNECTED') host.counters.brokenConnections += 1;
    this.#init.closed(this);
  }
}

/** Longest identity of a peer, in characters: `<pid>.<start>.<thread>/<handle>` is far shorter. */
const IDENTITY_MAX = 128;

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
