// One connection to a program that knows nothing of Naru: plain bytes in, cut into messages; messages out, many in one write.

import type { Socket } from 'node:net';
import { isNaruError, type NaruError } from '../errors/index.ts';
import { type RawFraming, RawSplitter, writeRaw } from '../wire/raw-framing.ts';
import { LINK } from './limits.ts';

/** What a raw connection tells its owner. */
export interface RawEvents {
  /** Takes a message in. @returns false when there is no room: it is offered again after resume() */
  message(body: Buffer): boolean;
  /** It may take messages again. */
  drain(): void;
  /** The peer sent what cannot be taken; the connection is being closed. */
  error(error: NaruError): void;
  /** It is over; so many messages were taken and cannot have left. */
  closed(lost: number): void;
}

export class RawConnection {
  readonly #socket: Socket;
  readonly #framing: RawFraming;
  readonly #events: RawEvents;
  readonly #splitter: RawSplitter;
  readonly #whenGone: Promise<void>;
  #gone: () => void = () => undefined;
  /** Messages that wait for room in the mailbox; the socket is paused meanwhile. */
  #arrived: Buffer[] = [];
  #slab: Buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;
  #written = 0;
  #unsent = 0;
  #congested = false;
  #ending = false;
  #closed = false;
  #scheduled = false;

  constructor(socket: Socket, framing: RawFraming, events: RawEvents) {
    this.#socket = socket;
    this.#framing = framing;
    this.#events = events;
    this.#splitter = new RawSplitter(framing);
    this.#whenGone = new Promise((resolve) => {
      this.#gone = resolve;
    });
    socket.on('data', (bytes: Buffer) => this.#onData(bytes));
    socket.on('end', () => this.#onEnd());
    socket.on('drain', () => this.#onDrain());
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose());
  }

  /** Whether it takes another message now. */
  get isReady(): boolean {
    return !this.#congested && !this.#ending && !this.#closed;
  }

  /** Takes a message whose framing takes `size` bytes. */
  send(body: Uint8Array, size: number): void {
    if (this.#to + size > this.#slab.length) {
      this.#flush();
      this.#slab = Buffer.allocUnsafeSlow(Math.max(LINK.slabBytes, size));
      this.#from = 0;
      this.#to = 0;
    }
    this.#to = writeRaw(body, this.#framing.frame, this.#slab, this.#to);
    this.#written += 1;
    if (this.#framing.frame === 'eof') this.end();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(() => this.#flush());
    }
    if (this.#socket.writableLength + this.#to - this.#from > LINK.congestedBytes) this.#congested = true;
  }

  /** There is room in the mailbox again. */
  resume(): void {
    if (this.#arrived.length > 0 && this.#hand()) this.#socket.resume();
  }

  /** Whether it keeps the process alive. */
  hold(on: boolean): void {
    if (on) this.#socket.ref();
    else this.#socket.unref();
  }

  /** Sends what is left, then says that nothing more comes. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#flush();
    this.#socket.end();
  }

  /** Closes both ways once everything is written, or by force after a while. */
  async close(): Promise<void> {
    this.end();
    this.#socket.resume();
    this.#socket.ref();
    const timer = setTimeout(() => this.#socket.destroy(), LINK.byeMs);
    await this.#whenGone;
    clearTimeout(timer);
  }

  #onData(bytes: Buffer): void {
    if (this.#closed) return;
    try {
      this.#splitter.push(bytes, this.#arrived);
    } catch (error) {
      this.#hand();
      this.#refuse(error);
      return;
    }
    if (!this.#hand()) this.#socket.pause();
  }

  #onEnd(): void {
    try {
      const last = this.#splitter.end();
      if (last !== undefined) this.#arrived.push(last);
      this.#hand();
    } catch (error) {
      if (isNaruError(error)) this.#events.error(error);
    }
    this.#ending = true;
    this.#flush();
  }

  /** @returns false when there is no room for all */
  #hand(): boolean {
    const arrived = this.#arrived;
    let count = 0;
    while (count < arrived.length && this.#events.message(arrived[count] as Buffer)) count += 1;
    this.#arrived = count === arrived.length ? [] : arrived.slice(count);
    return this.#arrived.length === 0;
  }

  #refuse(error: unknown): void {
    if (!isNaruError(error)) throw error;
    this.#events.error(error);
    this.#socket.destroy();
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#to === this.#from) return;
    const bytes = this.#slab.subarray(this.#from, this.#to);
    const count = this.#written;
    this.#from = this.#to;
    this.#written = 0;
    this.#unsent += count;
    this.#socket.write(bytes, (error) => {
      if (error === undefined || error === null) this.#unsent -= count;
    });
  }

  #onDrain(): void {
    if (!this.#congested) return;
    this.#congested = false;
    this.#events.drain();
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    // What has arrived belongs to the mailbox, also when there is no room yet: it is handed over as room comes.
    this.#events.closed(this.#unsent + this.#written);
    this.#gone();
  }

  /** Messages that arrived and still wait for room. */
  get waiting(): number {
    return this.#arrived.length;
  }
}
