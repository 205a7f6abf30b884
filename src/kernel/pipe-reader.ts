// The end of a pipe that reads. The event loop watches it through a net.Socket: reading a FIFO with node:fs would hold one of
// libuv's four threads for as long as nothing comes.

import { closeSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { native } from '../native/index.ts';
import { closedError, errnoOf, kernelCall } from './object-errors.ts';
import { checkWhole, queueError } from './queue-errors.ts';
import {
  checkWaitOptions,
  type QueueSyncOptions,
  type QueueWaitOptions,
  timeoutError,
  Wait,
} from './queue-wait.ts';

const CHUNK_BYTES = 64 * 1024;

/** What a read gives: bytes; `undefined` from `tryRead` when there is nothing yet; `null` at the end, when all writers have gone. */
export class PipeReader implements AsyncIterable<Buffer> {
  /** How errors name it. */
  readonly name: string;
  readonly #fd: number;
  readonly #hadWriter: () => boolean;
  #socket: Socket | undefined;
  #failure: unknown;
  #isEnded = false;
  #isClosed = false;
  readonly #waits: Wait<void>[] = [];

  /**
   * @param fd  not blocking; belongs to this object from now on
   * @param hadWriter  poll(2): whether somebody wrote, or had it open for writing and has gone. An argument for tests that do something before it
   */
  constructor(name: string, fd: number, hadWriter: () => boolean = () => pollReader(name, fd)) {
    this.name = name;
    this.#fd = fd;
    this.#hadWriter = hadWriter;
  }

  /**
   * The bytes that are there, at most `maxBytes`.
   * @returns undefined when there are none yet; null when all writers have gone
   * @throws NARU_CLOSED, NARU_INVALID_ARGUMENT
   */
  tryRead(maxBytes: number = CHUNK_BYTES): Buffer | undefined | null {
    if (this.#isClosed) throw closedError(this.name);
    checkWhole(this.name, 'maxBytes', maxBytes, 1, 2 ** 30);
    if (this.#failure !== undefined) throw this.#failure;
    const kept = this.#fromSocket(maxBytes);
    if (kept !== undefined) return kept;
    if (this.#isEnded) return null;
    const bytes = Buffer.allocUnsafe(maxBytes);
    // Zero bytes of a FIFO that nobody has opened for writing yet look like the end; poll(2) knows the difference. Whoever came between
    // the two may have written: only nothing after poll's word is the end.
    for (let hadWriter = false; ; ) {
      try {
        const length = readSync(this.#fd, bytes, 0, maxBytes, null);
        if (length > 0) return bytes.subarray(0, length);
        if (hadWriter) return null;
        hadWriter = this.#hadWriter();
        if (!hadWriter) return undefined;
      } catch (error) {
        const errno = errnoOf(error);
        if (errno === 'EAGAIN') return undefined;
        if (errno !== 'EINTR') throw queueError('NARU_CORRUPT', this.name, 'it cannot be read', error);
      }
    }
  }

  /**
   * The next bytes, at most `maxBytes`; waits while there are none. Keeps the process alive meanwhile.
   * @returns null when all writers have gone
   * @throws NARU_TIMEOUT; NARU_CLOSED; the signal's reason
   */
  async read(maxBytes: number = CHUNK_BYTES, options: QueueWaitOptions = {}): Promise<Buffer | null> {
    checkWaitOptions(this.name, options);
    const end = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
    for (;;) {
      const found = this.#takeOrWatch(maxBytes);
      if (found !== undefined) return found;
      const { timeoutMs, signal } = options;
      if (timeoutMs !== undefined && end - performance.now() <= 0) {
        throw timeoutError(this.name, 'nothing was written', timeoutMs);
      }
      await this.#wait(signal, timeoutMs, end);
    }
  }

  /**
   * The next bytes; blocks the thread while there are none.
   * @returns null when all writers have gone
   * @throws NARU_TIMEOUT; NARU_INTERRUPTED  a signal that has a handler came; NARU_CLOSED
   */
  readSync(maxBytes: number = CHUNK_BYTES, options: QueueSyncOptions = {}): Buffer | null {
    checkWaitOptions(this.name, options);
    const { timeoutMs } = options;
    const end = performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    for (;;) {
      const found = this.tryRead(maxBytes);
      if (found !== undefined) return found;
      const leftMs = timeoutMs === undefined ? -1 : Math.max(0, end - performance.now());
      const result = kernelCall(this.name, () => native(this.name).waitReady(this.#fd, false, leftMs));
      if (result === 'timeout') throw timeoutError(this.name, 'nothing was written', timeoutMs ?? 0);
      if (result === 'interrupted')
        throw queueError('NARU_INTERRUPTED', this.name, 'a signal came; nothing was read');
    }
  }

  /** Chunk after chunk, until all writers have gone. */
  async *[Symbol.asyncIterator](): AsyncIterator<Buffer> {
    for (;;) {
      const chunk = await this.read();
      if (chunk === null) return;
      yield chunk;
    }
  }

  /** Line after line as text, without the line feed; what follows the last one is a line too. */
  async *lines(): AsyncIterableIterator<string> {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of this) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let start = 0;
      for (let at = rest.indexOf(10); at >= 0; at = rest.indexOf(10, start)) {
        yield rest.toString('utf8', start, at);
        start = at + 1;
      }
      rest = rest.subarray(start);
    }
    if (rest.length > 0) yield rest.toString('utf8');
  }

  /**
   * Gives the descriptor to somebody else, who closes it; this object is closed thereby.
   * @throws NARU_CLOSED; NARU_INVALID_ARGUMENT  it has waited for bytes, and may have read some
   */
  handOver(): number {
    if (this.#isClosed) throw closedError(this.name);
    if (this.#socket !== undefined) {
      throw queueError('NARU_INVALID_ARGUMENT', this.name, 'it has been read from; hand it over before that');
    }
    this.#isClosed = true;
    return this.#fd;
  }

  /** Ends waiting reads with NARU_CLOSED. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket?.destroy();
    closeSync(this.#fd);
    for (const wait of this.#waits.splice(0)) wait.reject(closedError(this.name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #takeOrWatch(maxBytes: number): Buffer | undefined | null {
    if (this.#socket !== undefined) {
      if (this.#isClosed) throw closedError(this.name);
      if (this.#failure !== undefined) throw this.#failure;
      return this.#fromSocket(maxBytes) ?? (this.#isEnded ? null : undefined);
    }
    const found = this.tryRead(maxBytes);
    if (found === undefined) this.#watch();
    return found;
  }

  #fromSocket(maxBytes: number): Buffer | undefined {
    const socket = this.#socket;
    if (socket === undefined) return undefined;
    if (socket.readableLength === 0) {
      socket.read(0);
      return undefined;
    }
    return (socket.read(Math.min(maxBytes, socket.readableLength)) as Buffer | null) ?? undefined;
  }

  #watch(): void {
    // A copy for the socket to own: in a worker node:fs closes what it opened.
    const fd = native(this.name).duplicate(this.#fd);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.unref();
    this.#socket.on('readable', () => this.#wake());
    const end = (): void => {
      this.#isEnded = true;
      this.#wake();
    };
    this.#socket.on('end', end);
    this.#socket.on('close', end);
    this.#socket.on('error', (error) => {
      this.#failure = queueError('NARU_CORRUPT', this.name, 'it cannot be read', error);
      this.#wake();
    });
    this.#socket.read(0);
  }

  #wake(): void {
    for (const wait of this.#waits.splice(0)) wait.resolve();
  }

  async #wait(signal: AbortSignal | undefined, timeoutMs: number | undefined, end: number): Promise<void> {
    const leftMs = timeoutMs === undefined ? undefined : Math.max(0, end - performance.now());
    const limits = leftMs === undefined ? { signal } : { signal, timeoutMs: leftMs };
    const wait = new Wait<void>(this.name, 'nothing was written', limits, (error) => {
      this.#waits.splice(this.#waits.indexOf(wait), 1);
      wait.reject(error);
    });
    this.#waits.push(wait);
    this.#socket?.ref();
    try {
      await wait.promise;
    } finally {
      if (this.#waits.length === 0) this.#socket?.unref();
    }
  }
}

/** Whether somebody wrote into it, or had it open for writing and has gone. */
export function pollReader(name: string, fd: number): boolean {
  return kernelCall(name, () => native(name).waitReady(fd, false, 0)) === 'woken';
}
