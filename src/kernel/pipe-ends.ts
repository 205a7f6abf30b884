// The ends of a pipe or FIFO as a place uses them: one looks at what lies in the pipe and takes exactly so much, the other writes
// without waiting. What the bytes mean, and who waits for what, is the place's. PipeReader and PipeWriter are for use by hand.

import { closeSync, constants, openSync } from 'node:fs';
import { type NativeAddon, native, type NativePipeView, type NativeWatch } from '../native/index.ts';
import { kernelCall, type Meanings } from './object-errors.ts';
import { limitText } from './queue-errors.ts';

/** peek(): nothing lies there, and somebody may write. */
export const EMPTY = -1;
/** peek(): nothing lies there, and nobody has it open for writing. */
export const NO_WRITER = 0;
/** write(): no room. */
export const FULL = -1;
/** write(): nobody has it open for reading. */
export const NO_READER = -2;

const { O_NONBLOCK, O_WRONLY } = constants;
const READABLE = 1;
const WRITABLE = 2;
const ERRORS_ONLY = 4;

/** What both ends have. */
abstract class PipeEnd {
  /** How errors name it. */
  readonly name: string;
  /** Does not block; goes with close(). */
  readonly fd: number;
  protected readonly addon: NativeAddon;
  #isClosed = false;

  constructor(name: string, fd: number) {
    this.name = name;
    this.fd = fd;
    this.addon = native(name);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Bytes that nobody has read. FIONREAD, ioctl(2) */
  get bytes(): number {
    return this.addon.pipeBytes(this.fd);
  }

  /** Room in bytes, used or not. F_GETPIPE_SZ */
  get size(): number {
    return this.addon.pipeSize(this.fd, 0);
  }

  /** Nobody has the other end open; of the end that reads: any more, it must have had a writer. poll(2) */
  get isAbandoned(): boolean {
    return this.addon.pipeIsAbandoned(this.fd);
  }

  /**
   * Gives it room for so many bytes; the kernel rounds up to pages. F_SETPIPE_SZ, fcntl(2)
   * @throws NARU_LIMIT  more than fs.pipe-max-size; NARU_EXISTS  more than that lies in it
   */
  resize(bytes: number): void {
    const asked = `it cannot have room for ${bytes} bytes`;
    const tooMuch = `${asked}: ${limitText('fs.pipe-max-size')} (sysctl -w fs.pipe-max-size=${bytes} raises it)`;
    const meanings: Meanings = {
      EPERM: ['NARU_LIMIT', tooMuch],
      EINVAL: ['NARU_LIMIT', tooMuch],
      ENOMEM: ['NARU_LIMIT', `${asked}: the kernel has no memory left for it`],
      EBUSY: ['NARU_EXISTS', `${asked}: ${this.bytes} bytes lie in it`],
    };
    kernelCall(this.name, () => this.addon.pipeSize(this.fd, bytes), meanings);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.release();
    closeSync(this.fd);
  }

  /** What hangs on the descriptor and must go before it. */
  protected abstract release(): void;
}

/** The end that reads. */
export class ReadEnd extends PipeEnd {
  readonly #view: NativePipeView;
  readonly #glance = new ArrayBuffer(1);
  /** Of the pipe itself: called as long as anything lies in it, or no writer is left. */
  #quiet: NativeWatch | undefined;
  /** Of its changes: called once for each. */
  #edge: NativeWatch | undefined;
  #changed: () => void = () => undefined;

  constructor(name: string, fd: number) {
    super(name, fd);
    try {
      this.#view = kernelCall(name, () => this.addon.pipeView(fd));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Copies what lies there, up to `max` bytes. @returns how many, EMPTY or NO_WRITER */
  peek(memory: ArrayBufferLike, offset: number, max: number): number {
    return this.addon.pipePeek(this.#view, memory, offset, max);
  }

  /** Whether somebody has it open for writing, as far as that can be told without reading. */
  get hasWriter(): boolean {
    const found = this.peek(this.#glance, 0, this.#glance.byteLength);
    return found === EMPTY || (found > 0 && !this.isAbandoned);
  }

  /** Takes so many bytes of those that lie there. */
  skip(count: number): void {
    this.addon.pipeSkip(this.#view, count);
  }

  /** The only one in this pipe who reads, among those who ask. flock(2) @returns false when another is */
  tryClaim(): boolean {
    return this.addon.tryLock(this.fd, 'exclusive');
  }

  unclaim(): void {
    this.addon.unlock(this.fd);
  }

  /**
   * Calls from the event loop when something changed: bytes came, or the last writer went. Keeps the process alive until stopped.
   * @param isQuiet  nothing lies in it and somebody writes: then it can be watched by itself, which costs less
   */
  watch(isQuiet: boolean, changed: () => void): void {
    this.#changed = changed;
    if (isQuiet) {
      this.#quiet ??= kernelCall(this.name, () => this.addon.watch(this.fd, () => this.#changed()));
      this.addon.watchSet(this.#quiet, READABLE, true);
      this.#unwatch(this.#edge);
    } else {
      this.#edge ??= kernelCall(this.name, () =>
        this.addon.watch(this.addon.pipeEdge(this.#view), () => {
          this.addon.pipeCalm(this.#view);
          this.#changed();
        }),
      );
      this.addon.watchSet(this.#edge, READABLE, true);
      this.#unwatch(this.#quiet);
    }
  }

  unwatch(): void {
    this.#unwatch(this.#quiet);
    this.#unwatch(this.#edge);
  }

  #unwatch(watch: NativeWatch | undefined): void {
    if (watch !== undefined) this.addon.watchSet(watch, 0, false);
  }

  /** Blocks the thread until something changed. Look again after it. */
  waitSync(timeoutMs: number): 'ready' | 'timeout' | 'interrupted' {
    const outcome = this.addon.waitReady(this.addon.pipeEdge(this.#view), false, timeoutMs);
    if (outcome !== 'woken') return outcome;
    this.addon.pipeCalm(this.#view);
    return 'ready';
  }

  /** Closes it. @returns whether nobody has the pipe open any more, so that the kernel has forgotten what lay in it */
  closeLast(): boolean {
    if (!this.isAbandoned) {
      this.close();
      return false;
    }
    // An end that writes tells whether others read; the name may lead elsewhere by now, the descriptor does not.
    const probe = kernelCall(this.name, () => openSync(`/proc/self/fd/${this.fd}`, O_WRONLY | O_NONBLOCK));
    this.close();
    const isLast = this.addon.pipeIsAbandoned(probe);
    closeSync(probe);
    return isLast;
  }

  protected override release(): void {
    for (const watch of [this.#quiet, this.#edge]) if (watch !== undefined) this.addon.watchClose(watch);
    this.addon.pipeViewClose(this.#view);
  }
}

/** The end that writes. */
export class WriteEnd extends PipeEnd {
  #watch: NativeWatch | undefined;
  #changed: () => void = () => undefined;

  /** Up to PIPE_BUF bytes go in all or not at all. @returns how many, FULL or NO_READER */
  write(memory: ArrayBufferLike, offset: number, length: number): number {
    return this.addon.pipeWrite(this.fd, memory, offset, length);
  }

  /** A lock of this end alone on a range of numbers: who may write, among those who ask. @returns false when another has a part of it */
  tryClaim(start: number, length: number): boolean {
    return kernelCall(this.name, () => this.addon.lockRange(this.fd, start, length));
  }

  /**
   * Calls from the event loop when there may be room, or the readers have gone.
   * @param forRoom  false: only when the readers have gone, and without keeping the process alive
   */
  watch(forRoom: boolean, changed: () => void): void {
    this.#changed = changed;
    this.#watch ??= kernelCall(this.name, () => this.addon.watch(this.fd, () => this.#changed()));
    this.addon.watchSet(this.#watch, forRoom ? WRITABLE : ERRORS_ONLY, forRoom);
  }

  unwatch(): void {
    if (this.#watch !== undefined) this.addon.watchSet(this.#watch, 0, false);
  }

  /** Blocks the thread until there may be room, or the readers have gone. */
  waitSync(timeoutMs: number): 'ready' | 'timeout' | 'interrupted' {
    const outcome = this.addon.waitReady(this.fd, true, timeoutMs);
    return outcome === 'woken' ? 'ready' : outcome;
  }

  protected override release(): void {
    if (this.#watch !== undefined) this.addon.watchClose(this.#watch);
  }
}
