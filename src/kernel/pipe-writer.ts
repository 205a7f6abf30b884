// The end of a pipe that writes. A reader that vanishes is an error: Node ignores SIGPIPE.

import { closeSync, writeSync } from 'node:fs';
import { native } from '../native/index.ts';
import { closedError, errnoOf, kernelCall, Tasks } from './object-errors.ts';
import { checkBody, queueError } from './queue-errors.ts';
import {
  checkWaitOptions,
  type QueueSyncOptions,
  type QueueWaitOptions,
  timeoutError,
} from './queue-wait.ts';

/** Linux writes so many bytes as one piece, whoever else writes: pipe(7). */
export const PIPE_BUF = 4096;

/** How one write behaves. */
export interface PipeWriteMode {
  /**
   * The bytes stay together, also when others write at the same time; then they are PIPE_BUF (4096) at most. `false`: any length,
   * in pieces between which bytes of other writers may come. Default: true.
   */
  readonly atomic?: boolean | undefined;
}

/** The end of a pipe that writes. */
export class PipeWriter {
  /** How errors name it. */
  readonly name: string;
  readonly #fd: number;
  readonly #tasks: Tasks;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #isClosed = false;

  /** @param fd  not blocking; belongs to this object from now on */
  constructor(name: string, fd: number) {
    this.name = name;
    this.#fd = fd;
    this.#tasks = new Tasks(name);
  }

  /**
   * Writes all or nothing, without waiting.
   * @returns false when there is no room, or another write of this end waits
   * @throws NARU_TOO_LARGE  more than PIPE_BUF; NARU_PEER_GONE  nobody reads any more; NARU_CLOSED
   */
  tryWrite(bytes: Uint8Array): boolean {
    this.#check(bytes, {});
    return this.#waiting === 0 && this.#attempt(bytes) === bytes.length;
  }

  /**
   * Writes; waits for room, in the order of the calls. A wait that ends before its time wrote nothing of an atomic write; of another
   * one it may have written a part.
   * @throws NARU_TOO_LARGE  more than PIPE_BUF and atomic; NARU_PEER_GONE  nobody reads any more; NARU_TIMEOUT; NARU_CLOSED;
   *   NARU_LIMIT; the signal's reason
   */
  async write(bytes: Uint8Array, options: PipeWriteMode & QueueWaitOptions = {}): Promise<void> {
    this.#check(bytes, options);
    checkWaitOptions(this.name, options);
    const rest = this.#waiting === 0 ? bytes.subarray(this.#attempt(bytes)) : bytes;
    if (rest.length === 0 && this.#waiting === 0) return;
    this.#waiting += 1;
    const mine = this.#last.then(() => this.#writeAll(rest, options));
    this.#last = mine.catch(() => {});
    try {
      await mine;
    } finally {
      this.#waiting -= 1;
    }
  }

  /**
   * Writes; blocks the thread while there is no room.
   * @throws NARU_TOO_LARGE; NARU_PEER_GONE; NARU_TIMEOUT; NARU_INTERRUPTED  a signal that has a handler came; NARU_CLOSED
   */
  writeSync(bytes: Uint8Array, options: PipeWriteMode & QueueSyncOptions = {}): void {
    this.#check(bytes, options);
    checkWaitOptions(this.name, options);
    const { timeoutMs } = options;
    const end = performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    for (let rest = bytes; ; ) {
      rest = rest.subarray(this.#attempt(rest));
      if (rest.length === 0) return;
      const leftMs = timeoutMs === undefined ? -1 : Math.max(0, end - performance.now());
      const result = kernelCall(this.name, () => native(this.name).waitReady(this.#fd, true, leftMs));
      if (result === 'timeout') throw timeoutError(this.name, 'no room for all of it', timeoutMs ?? 0);
      if (result === 'interrupted')
        throw queueError('NARU_INTERRUPTED', this.name, 'a signal came before all was written');
    }
  }

  /**
   * Gives the descriptor to somebody else, who closes it; this object is closed thereby.
   * @throws NARU_CLOSED; NARU_INVALID_ARGUMENT  a write waits
   */
  handOver(): number {
    if (this.#isClosed) throw closedError(this.name);
    if (this.#waiting > 0) {
      throw queueError('NARU_INVALID_ARGUMENT', this.name, 'a write waits; hand it over after that');
    }
    this.#isClosed = true;
    return this.#fd;
  }

  /** Ends waiting writes with NARU_CLOSED; the readers see the end when no other writer is left. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#tasks.close();
    closeSync(this.#fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #writeAll(bytes: Uint8Array, options: QueueWaitOptions): Promise<void> {
    const { signal, timeoutMs } = options;
    const end = performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    for (let rest = bytes; ; ) {
      if (this.#isClosed) throw closedError(this.name);
      rest = rest.subarray(this.#attempt(rest));
      if (rest.length === 0) return;
      const leftMs = timeoutMs === undefined ? undefined : Math.max(0, end - performance.now());
      await this.#tasks.wait(
        (waitMs) => native(this.name).waitReadyAsync(this.#fd, true, waitMs),
        { signal, timeoutMs: leftMs },
        'no room for all of it',
      );
    }
  }

  /** @returns how many went in. Up to PIPE_BUF it is all or none: pipe(7) */
  #attempt(bytes: Uint8Array): number {
    if (bytes.length === 0) return 0;
    for (;;) {
      try {
        return writeSync(this.#fd, bytes);
      } catch (error) {
        const errno = errnoOf(error);
        if (errno === 'EAGAIN') return 0;
        if (errno === 'EPIPE') {
          throw queueError('NARU_PEER_GONE', this.name, 'nobody has it open for reading any more', error);
        }
        if (errno !== 'EINTR') throw queueError('NARU_CORRUPT', this.name, 'it cannot be written', error);
      }
    }
  }

  #check(bytes: Uint8Array, { atomic = true }: PipeWriteMode): void {
    if (this.#isClosed) throw closedError(this.name);
    checkBody(this.name, bytes);
    if (!atomic || bytes.length <= PIPE_BUF) return;
    const text = `${bytes.length} bytes are more than ${PIPE_BUF} (PIPE_BUF), which is the most that stays together; atomic: false writes it in pieces`;
    throw queueError('NARU_TOO_LARGE', this.name, text);
  }
}
