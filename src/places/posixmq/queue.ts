// A POSIX queue behind the interface of kernel-queue/. Its descriptor is watched by the event loop: to wait takes and sends nothing.

import { fstatSync } from 'node:fs';
import { PosixQueue } from '../../kernel/index.ts';
import { PosixCalls, readQueueFile } from '../../kernel/posix-calls.ts';
import type { OpenedPosix, PosixMessage } from '../../kernel/posix-types.ts';
import { asFailure, queueError } from '../../kernel/queue-errors.ts';
import type { Blocked, KernelQueue, QueueItem, QueueStatus } from '../../kernel-queue/queue.ts';
import { native, type NativeWatch } from '../../native/index.ts';

const READABLE = 1;
const WRITABLE = 2;

type PutDone = (error: Error | undefined, isIn: boolean) => void;
type TakeDone = (error: Error | undefined, item: QueueItem | undefined) => void;

export class PosixKernelQueue implements KernelQueue {
  readonly #name: string;
  readonly #text: string;
  readonly #calls: PosixCalls;
  #watch: NativeWatch | undefined;
  #watched = 0;
  #putting: PutDone | undefined;
  #taking: TakeDone | undefined;
  #isClosed = false;

  /** The last that was waited for were messages: the descriptor is still in the epoll set. native/posix_mq_wait.c */
  isWatched = false;

  /** @param text  what errors call it */
  constructor(name: string, text: string, opened: OpenedPosix) {
    this.#name = name;
    this.#text = text;
    this.#calls = new PosixCalls(text, opened);
  }

  get mode(): number {
    return fstatSync(this.#calls.fd).mode & 0o777;
  }

  put(items: readonly QueueItem[]): number {
    this.#check();
    for (const { body } of items.slice(0, 1)) this.#calls.checkFits(body);
    // What is wrong with a later one is for its own call to tell.
    const long = items.findIndex(({ body }) => body.length > this.#calls.maxMessageBytes);
    const fitting = long < 0 ? items : items.slice(0, long);
    let put = 0;
    while (put < fitting.length) {
      const count = this.#calls.trySendMany(fitting, put);
      if (count === 0) break;
      put += count;
    }
    return put;
  }

  take(max: number): QueueItem[] {
    this.#check();
    return this.#calls.tryTake(max);
  }

  waitToPut(_item: QueueItem, done: PutDone): void {
    this.#check();
    this.#putting = done;
    this.#update();
  }

  stopPut(): boolean {
    this.#putting = undefined;
    this.#update();
    return false;
  }

  waitToTake(done: TakeDone): void {
    this.#check();
    this.#taking = done;
    this.#update();
  }

  stopTake(): undefined {
    this.#taking = undefined;
    this.#update();
  }

  putSync({ tag, body }: QueueItem, timeoutMs: number): 'in' | Blocked {
    this.#check();
    const result = this.#calls.sendSync(tag, body, timeoutMs);
    return result === 'woken' ? 'in' : result;
  }

  takeSync(timeoutMs: number): QueueItem | Blocked {
    this.#check();
    const result = this.#calls.receiveSync(timeoutMs);
    return typeof result === 'string' ? result : itemOf(result);
  }

  status(): QueueStatus {
    this.#check();
    const { maxMessages, maxMessageBytes, fd } = this.#calls;
    return {
      count: this.#calls.count(),
      bytes: readQueueFile(fd).bytes ?? -1,
      capacityBytes: maxMessages * maxMessageBytes,
      capacityMessages: maxMessages,
    };
  }

  /** Also after close(): it is the name that goes. */
  remove(): void {
    PosixQueue.unlink(this.#name);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#putting = undefined;
    this.#taking = undefined;
    if (this.#watch !== undefined) native(this.#text).watchClose(this.#watch);
    native(this.#text).posixClose(this.#calls.fd);
  }

  /** Tells the event loop what is waited for. */
  #update(): void {
    const events = (this.#taking === undefined ? 0 : READABLE) | (this.#putting === undefined ? 0 : WRITABLE);
    if (events === this.#watched || this.#isClosed) return;
    const addon = native(this.#text);
    try {
      this.#watch ??= addon.watch(this.#calls.fd, () => this.#ready());
      addon.watchSet(this.#watch, events, true);
      this.#watched = events;
      this.isWatched = events === READABLE || (events === 0 && this.isWatched);
    } catch (error) {
      this.#putting = undefined;
      this.#taking = undefined;
      throw this.#calls.error(asFailure(error));
    }
  }

  /** Which of both is ready is not said: who looks in vain waits again. */
  #ready(): void {
    const [put, take] = [this.#putting, this.#taking];
    this.#putting = undefined;
    this.#taking = undefined;
    take?.(undefined, undefined);
    put?.(undefined, false);
    this.#update();
  }

  /** The number of a descriptor that was closed may be somebody else's by now. */
  #check(): void {
    if (this.#isClosed) throw queueError('NARU_CLOSED', this.#text, 'it was closed here');
  }
}

function itemOf({ priority, body }: PosixMessage): QueueItem {
  return { tag: priority, body };
}
