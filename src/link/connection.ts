// One connection that speaks frames, the same at both ends: splitting, writing once a turn, backpressure, heartbeat, and an
// end that is told exactly once. What frames mean is in host-connection.ts and remote-session.ts.

import type { Duplex } from 'node:stream';
import { isNaruError, NaruError } from '../errors/index.ts';
import { FRAME_OVERHEAD_BYTES, FrameType, FrameWriter, PROTOCOL } from '../wire/frames.ts';
import { FIELD_LIMITS } from '../wire/envelope.ts';
import { type Chunk, encodePreamble, FrameSplitter } from '../wire/splitter.ts';
import { LINK } from './limits.ts';

/** What a connection tells its owner. */
export interface ConnectionEvents {
  /** The peer's version; throw to refuse it. */
  preamble(major: number, minor: number): void;
  /** Any frame but ping and pong. May throw: the connection is then aborted with that error. */
  frame(type: number, chunk: Chunk, start: number, end: number): void;
  /** All frames of one piece of the stream were handed out. */
  read(): void;
  /** `isCongested` became false. */
  drain(): void;
  /** It is over. `undefined` when close() was called here. Told once. */
  closed(error: NaruError | undefined): void;
}

/** How a connection behaves. */
export interface ConnectionSettings {
  /** The mailbox's URL, for errors. */
  readonly mailbox: string;
  readonly place: string;
  /** 0 = no heartbeat. */
  readonly heartbeatMs: number;
}

/** A net.Socket or tls.TLSSocket, or a WebSocket as a stream; anything that can be (un)referenced and keeps no bytes once it has written them. */
export interface LinkStream extends Duplex {
  ref?(): unknown;
  unref?(): unknown;
}

export class Connection {
  readonly writer: FrameWriter;
  readonly #stream: LinkStream;
  readonly #events: ConnectionEvents;
  readonly #settings: ConnectionSettings;
  readonly #splitter: FrameSplitter;
  #heartbeat: NodeJS.Timeout | undefined;
  #heardAt = 0;
  #tickedAt = 0;
  #wrote = false;
  #scheduled = false;
  #congested = false;
  #stuffed = false;
  #closed = false;
  #gone: () => void = () => undefined;
  readonly #whenGone: Promise<void>;
  readonly #flush = (): void => {
    this.#scheduled = false;
    this.writer.flush();
  };

  constructor(stream: LinkStream, settings: ConnectionSettings, events: ConnectionEvents) {
    this.#stream = stream;
    this.#settings = settings;
    this.#events = events;
    this.#whenGone = new Promise((resolve) => {
      this.#gone = resolve;
    });
    this.#splitter = new FrameSplitter(LINK.helloBytesMax, {
      preamble: (major, minor) => events.preamble(major, minor),
      frame: (type, chunk, start, end) => this.#onFrame(type, chunk, start, end),
    });
    this.writer = new FrameWriter({
      emit: (bytes) => this.#emit(bytes),
      isIdle: () => stream.writableLength === 0,
      wake: () => {
        if (this.#scheduled) return;
        this.#scheduled = true;
        setImmediate(this.#flush);
      },
    });
    stream.on('data', (bytes: Buffer) => this.#onData(bytes));
    stream.on('drain', () => this.#onDrain());
    stream.on('error', (error: Error) => this.#end(this.#broken(error)));
    stream.on('end', () => this.#end(this.#broken(undefined)));
    stream.on('close', () => this.#end(this.#broken(undefined)));
    this.#emit(encodePreamble(PROTOCOL.major, PROTOCOL.minor));
    this.#heardAt = performance.now();
  }

  /** Too much is unsent already: messages wait. */
  get isCongested(): boolean {
    return this.#congested;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Bytes that were written here and that the kernel has not taken. */
  get unsentBytes(): number {
    return this.#stream.writableLength + this.writer.pendingBytes;
  }

  /** Both sides agreed: frames may now carry whole messages. */
  allow(maxMessageBytes: number): void {
    this.#splitter.frameBytesMax = maxMessageBytes + FIELD_LIMITS.fieldsBytesMax + FRAME_OVERHEAD_BYTES;
  }

  /** Starts asking whether the peer is alive. */
  startHeartbeat(): void {
    const { heartbeatMs } = this.#settings;
    if (heartbeatMs <= 0 || this.#closed) return;
    this.#tickedAt = performance.now();
    this.#heartbeat = setInterval(() => this.#tick(heartbeatMs), heartbeatMs).unref();
  }

  /** Whether it keeps the process alive. */
  hold(on: boolean): void {
    if (on) this.#stream.ref?.();
    else this.#stream.unref?.();
  }

  /** Resolves when the descriptor is free again; only after close() or abort(). */
  whenGone(): Promise<void> {
    return this.#whenGone;
  }

  /** Writes what is pending now rather than at the end of the turn. */
  flush(): void {
    this.writer.flush();
  }

  /** Says goodbye and closes once everything is written. */
  close(reason: NaruError | undefined): void {
    if (this.#closed) return;
    this.writer.text(FrameType.bye, JSON.stringify(reason ?? {}));
    this.writer.flush();
    this.#end(undefined);
  }

  /** Cuts the connection: the peer broke the rules, or is dead. */
  abort(error: NaruError): void {
    this.#end(error);
  }

  #onData(bytes: Buffer): void {
    this.#heardAt = performance.now();
    if (this.#closed) return;
    try {
      this.#splitter.push(bytes);
      if (!this.#closed) this.#events.read();
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (!this.#closed && !this.#stuffed && this.unsentBytes > LINK.stuffedBytes) {
      this.#stuffed = true;
      this.#stream.pause();
    }
  }

  #onFrame(type: number, chunk: Chunk, start: number, end: number): void {
    if (type === FrameType.ping) this.writer.bare(FrameType.pong);
    else if (type !== FrameType.pong) this.#events.frame(type, chunk, start, end);
  }

  #emit(bytes: Buffer): void {
    if (this.#closed) return;
    this.#wrote = true;
    this.#stream.write(bytes);
    if (this.#stream.writableLength > LINK.congestedBytes) this.#congested = true;
  }

  #onDrain(): void {
    this.#heardAt = performance.now();
    if (this.#closed) return;
    if (this.#stuffed) {
      this.#stuffed = false;
      this.#stream.resume();
    }
    if (!this.#congested) return;
    this.#congested = false;
    this.#events.drain();
  }

  #tick(heartbeatMs: number): void {
    const now = performance.now();
    // A turn of this process that took long is no proof against the peer: what it sent may still wait to be read.
    const late = now - this.#tickedAt > heartbeatMs * 1.5;
    this.#tickedAt = now;
    const silentMs = now - this.#heardAt;
    if (silentMs > heartbeatMs * LINK.heartbeatsToDeath && !late) {
      const text = `${this.#settings.mailbox}: the peer has been silent for ${Math.round(silentMs)} ms, it is taken for dead`;
      this.#end(new NaruError('NARU_DISCONNECTED', text, this.#settings));
      return;
    }
    if (!this.#wrote || silentMs >= heartbeatMs) this.writer.bare(FrameType.ping);
    this.#wrote = false;
  }

  /** The peer sent what it may not send: it is told and cut off. */
  #refuse(error: unknown): void {
    const known = isNaruError(error)
      ? error
      : new NaruError('NARU_CORRUPT', String(error), { ...this.#settings, cause: error });
    if (this.#closed) return;
    this.writer.text(FrameType.bye, JSON.stringify(known));
    this.writer.flush();
    this.#end(known);
  }

  #broken(cause: Error | undefined): NaruError {
    if (isNaruError(cause)) return cause;
    const why = cause === undefined ? 'the connection was closed by the peer' : cause.message;
    return new NaruError('NARU_DISCONNECTED', `${this.#settings.mailbox}: ${why}`, {
      ...this.#settings,
      cause,
    });
  }

  #end(error: NaruError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#splitter.stop();
    const stream = this.#stream;
    // Whatever still comes is thrown away; a peer that does not close in turn is cut off.
    stream.resume();
    stream.end();
    stream.ref?.();
    const timer = setTimeout(() => stream.destroy(), error === undefined ? LINK.byeMs : LINK.cutMs);
    stream.once('close', () => {
      clearTimeout(timer);
      this.#gone();
    });
    if (stream.destroyed) this.#gone();
    this.#events.closed(error);
  }
}
