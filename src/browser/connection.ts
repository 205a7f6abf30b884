// One connection of a page to the host: its WebSocket, hello, requests with answers, heartbeat, and an end that is told exactly
// once. What messages mean is in producer.ts and consumer.ts; coming back after a loss in mailbox.ts.

import { isNaruError, NaruError } from '../errors/index.ts';
import { LINK } from '../link/limits.ts';
import { type MailboxSettings, readSettings } from '../link/settings.ts';
import { FIELD_LIMITS } from '../wire/fields.ts';
import { FRAME_OVERHEAD_BYTES, FrameType, PROTOCOL } from '../wire/frame-types.ts';
import { type Frame, FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { BROWSER } from './limits.ts';
import { type BrowserSocket, newSocket } from './platform.ts';

/** What a connection is made with. */
export interface ConnectionInit {
  readonly url: string;
  readonly identity: string;
  readonly key: string | undefined;
  /** 0 = none. */
  readonly heartbeatMs: number;
  /** Every frame that is not the connection's own. May throw: the connection ends with that. */
  frame(frame: Frame, connection: Connection): void;
  /** Everything that came together was handed out. */
  read(): void;
  /** It was greeted, and is over now. Told once, not after close(). */
  lost(error: NaruError, connection: Connection): void;
}

interface Asked {
  readonly resolve: (answer: Record<string, unknown>) => void;
  readonly reject: (error: NaruError) => void;
}

export class Connection {
  readonly writer: FrameWriter;
  /** Resolves when the host has greeted. */
  readonly greeted: Promise<void>;
  readonly #init: ConnectionInit;
  readonly #socket: BrowserSocket;
  readonly #reader: FrameReader;
  readonly #asked = new Map<number, Asked>();
  #settings: MailboxSettings | undefined;
  #host = '';
  #greet: ((error?: NaruError) => void) | undefined;
  #timer: ReturnType<typeof setTimeout>;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #count = 0;
  #heardAt = 0;
  #tickedAt = 0;
  #isOpen = false;
  #isOver = false;

  /** @throws NARU_INVALID_ARGUMENT  this page may not use the URL */
  constructor(init: ConnectionInit) {
    this.#init = init;
    this.#reader = new FrameReader(LINK.helloBytesMax, (frame) => this.#onFrame(frame));
    this.greeted = new Promise((resolve, reject) => {
      this.#greet = (error) => (error === undefined ? resolve() : reject(error));
    });
    try {
      this.#socket = newSocket(init.url);
    } catch (cause) {
      throw new NaruError('NARU_INVALID_ARGUMENT', `${init.url}: ${(cause as Error).message}`, {
        place: 'ws',
        cause,
      });
    }
    const socket = this.#socket;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => this.#onOpen());
    socket.addEventListener('message', ({ data }) => this.#onData(data));
    socket.addEventListener('close', () => this.#end(this.#error('NARU_DISCONNECTED', this.#whyClosed())));
    // What went wrong browsers say to nobody; that it is over comes as `close`.
    socket.addEventListener('error', () => undefined);
    this.writer = new FrameWriter((bytes) => {
      if (!this.#isOver) socket.send(bytes);
    });
    this.#timer = setTimeout(() => {
      this.#end(this.#error('NARU_DISCONNECTED', `no hello from the host within ${LINK.helloTimeoutMs} ms`));
    }, LINK.helloTimeoutMs);
  }

  /** What the mailbox is; after `greeted`. */
  get settings(): MailboxSettings {
    return this.#settings as MailboxSettings;
  }

  /** Who hosts: the same after a return to the same life of the mailbox. */
  get host(): string {
    return this.#host;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** So much is unsent that messages wait. */
  get isCongested(): boolean {
    return this.#socket.bufferedAmount + this.writer.pendingBytes > BROWSER.congestedBytes;
  }

  /** Asks the host for something. */
  request(operation: number, asked: object): Promise<Record<string, unknown>> {
    const text = JSON.stringify(asked);
    return this.#ask((id) => this.writer.coded(FrameType.request, id, operation, text === '{}' ? '' : text));
  }

  /** Writes something that is answered by its number. */
  ask(write: (id: number) => void): Promise<Record<string, unknown>> {
    return this.#ask(write);
  }

  /** Says goodbye. */
  close(): void {
    if (this.#isOver) return;
    if (this.#isOpen) {
      this.writer.text(FrameType.bye, '{}');
      this.writer.flush();
    }
    this.#finish(this.#error('NARU_CLOSED', 'this handle was closed'));
  }

  #ask(write: (id: number) => void): Promise<Record<string, unknown>> {
    if (this.#isOver)
      return Promise.reject(this.#error('NARU_DISCONNECTED', 'the connection to the host is lost'));
    this.#count = (this.#count + 1) >>> 0;
    const id = this.#count;
    const answer = new Promise<Record<string, unknown>>((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
    });
    write(id);
    return answer;
  }

  #onOpen(): void {
    if (this.#isOver) return;
    const { identity, key } = this.#init;
    this.#isOpen = true;
    this.writer.raw([0x4e, 0x41, 0x52, 0x55, PROTOCOL.major, PROTOCOL.minor, 0, 0]);
    this.writer.text(FrameType.hello, JSON.stringify({ identity, stated: {}, key, features: [] }));
    this.writer.flush();
  }

  #onData(data: unknown): void {
    this.#heardAt = performance.now();
    if (this.#isOver) return;
    try {
      if (!(data instanceof ArrayBuffer)) throw this.#error('NARU_CORRUPT', 'the host sent text');
      this.#reader.push(new Uint8Array(data));
      if (!this.#isOver) this.#init.read();
    } catch (error) {
      this.#end(isNaruError(error) ? error : this.#error('NARU_CORRUPT', String(error)));
    }
  }

  #onFrame(frame: Frame): void {
    if (this.#isOver) return;
    switch (frame.type) {
      case FrameType.ping:
        this.writer.bare(FrameType.pong);
        break;
      case FrameType.pong:
        break;
      case FrameType.hello:
        this.#onHello(frame.json(0));
        break;
      case FrameType.bye:
        this.#end(
          NaruError.fromJSON({ code: 'NARU_PEER_GONE', message: 'the host said goodbye', ...frame.json(0) }),
        );
        break;
      case FrameType.response:
        this.#onResponse(frame);
        break;
      default:
        if (this.#settings !== undefined) this.#init.frame(frame, this);
    }
  }

  #onHello(hello: Record<string, unknown>): void {
    this.#settings = readSettings(hello['settings']);
    this.#host = String(hello['identity']);
    this.#reader.frameBytesMax =
      this.#settings.maxMessageBytes + FIELD_LIMITS.fieldsBytesMax + FRAME_OVERHEAD_BYTES;
    clearTimeout(this.#timer);
    const { heartbeatMs } = this.#init;
    if (heartbeatMs > 0) {
      this.#tickedAt = performance.now();
      this.#heartbeat = setInterval(() => this.#tick(heartbeatMs), heartbeatMs);
    }
    this.#greet?.();
    this.#greet = undefined;
  }

  #onResponse(frame: Frame): void {
    frame.need(5);
    const id = frame.view.getUint32(frame.start, true);
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    const json = frame.json(5);
    if (frame.view.getUint8(frame.start + 4) === 0) asked?.resolve(json);
    else asked?.reject(NaruError.fromJSON(json));
  }

  #tick(heartbeatMs: number): void {
    const now = performance.now();
    // A page in the background is woken rarely: what came meanwhile may still wait to be read.
    const isLate = now - this.#tickedAt > heartbeatMs * 1.5;
    this.#tickedAt = now;
    const silentMs = Math.round(now - this.#heardAt);
    if (silentMs > heartbeatMs * LINK.heartbeatsToDeath && !isLate) {
      this.#end(this.#error('NARU_DISCONNECTED', `the host has been silent for ${silentMs} ms`));
    } else if (silentMs >= heartbeatMs / 2) this.writer.bare(FrameType.ping);
  }

  #end(error: NaruError): void {
    if (this.#isOver) return;
    const wasGreeted = this.#greet === undefined;
    this.#finish(error);
    if (wasGreeted) this.#init.lost(error, this);
  }

  #finish(error: NaruError): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearInterval(this.#heartbeat);
    this.#socket.close();
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
    this.#greet?.(error);
    this.#greet = undefined;
  }

  /** Browsers do not say why a WebSocket could not be opened. */
  #whyClosed(): string {
    if (this.#isOpen) return 'the connection was closed by the host';
    return 'no WebSocket could be opened: nobody listens there, the path is another, or this page’s origin is not allowed';
  }

  #error(code: 'NARU_DISCONNECTED' | 'NARU_CORRUPT' | 'NARU_CLOSED', what: string): NaruError {
    return new NaruError(code, `${this.#init.url}: ${what}`, { place: 'ws', mailbox: this.#init.url });
  }
}
