// What the addon offers for watching descriptors and for pipes as places need them. Part of `NativeAddon`; a file of its own only for
// its length.

import type { NativeTask } from './objects.ts';
import type { BlockingResult } from './queues.ts';

/** A descriptor in the event loop; only the addon looks inside. */
export interface NativeWatch {
  readonly __naruWatch: never;
}

/** The end of a pipe that reads, with what is needed to look into it; only the addon looks inside. */
export interface NativePipeView {
  readonly __naruPipeView: never;
}

export interface NativePipes {
  /** Puts the descriptor into the event loop; `ready` is called while it is ready for what `watchSet` asked for. */
  watch(fd: number, ready: () => void): NativeWatch;
  /**
   * 1 readable, 2 writable, 4 nothing but errors, or their sum; 0 stops. An error (the readers of a pipe have gone) is told in any case,
   * and stops the watch.
   */
  watchSet(watch: NativeWatch, events: number, keepAlive: boolean): void;
  /** Before the descriptor is closed; the watch must not be used afterwards. */
  watchClose(watch: NativeWatch): void;

  /** For a descriptor that reads a pipe and does not block; it stays the caller's, and is closed after the view. */
  pipeView(fd: number): NativePipeView;
  /** Copies what lies in the pipe. tee(2) @returns how many bytes; 0: none and nobody writes; -1: none */
  pipePeek(view: NativePipeView, buffer: ArrayBufferLike, offset: number, max: number): number;
  /** Takes so many bytes of what lies there, without copying them. splice(2) */
  pipeSkip(view: NativePipeView, count: number): void;
  /** A descriptor that is readable once the pipe has changed: bytes came, or the writers went. For `watch` and `waitReady`. */
  pipeEdge(view: NativePipeView): number;
  /** The change was noticed: call it before looking. epoll_wait(2) */
  pipeCalm(view: NativePipeView): void;
  pipeViewClose(view: NativePipeView): void;

  /** write(2) @returns how many bytes went in; -1: no room; -2: nobody reads */
  pipeWrite(fd: number, buffer: ArrayBufferLike, offset: number, length: number): number;
  /** Bytes that nobody has read. FIONREAD, ioctl(2) */
  pipeBytes(fd: number): number;
  /** F_SETPIPE_SZ, or F_GETPIPE_SZ when `bytes` is 0. @returns the size then. @throws EPERM, EBUSY */
  pipeSize(fd: number, bytes: number): number;
  /** Nobody has the other end open; of the end that reads: nobody any more. poll(2) */
  pipeIsAbandoned(fd: number): boolean;
  /** Reads and writes of this open file do not block from now on, whoever else has it. O_NONBLOCK, fcntl(2) */
  unblock(fd: number): void;
  /** close(2), without node:fs, which warns in a worker when it has not opened the descriptor. */
  closeDescriptor(fd: number): void;
  /** 0: it reads, 1: it writes, 2: both. F_GETFL, fcntl(2) */
  accessMode(fd: number): number;
  /** F_OFD_SETLK for writing, fcntl(2): dies with the open file. Length 0: to the end. @returns false when another holds a part */
  lockRange(fd: number, start: number, length: number): boolean;
  /**
   * open(2) of a FIFO for writing, which blocks until somebody reads. Then `placeholder`, a descriptor of the caller's, is that end,
   * not blocking.
   */
  waitReader(path: string, placeholder: number, timeoutMs: number): BlockingResult;
  waitReaderAsync(path: string, placeholder: number, timeoutMs: number): NativeTask;
}
