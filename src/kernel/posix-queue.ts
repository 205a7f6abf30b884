// PosixQueue: a message queue of the kernel with a name and priorities, as C programs use it with mq_open, mq_send and mq_receive.
// This file puts the parts together.

import { fstatSync } from 'node:fs';
import { type NativeAddon, native } from '../native/index.ts';
import { checkYields } from './linger.ts';
import { PosixCalls, readQueueFile } from './posix-calls.ts';
import { listPosix } from './posix-list.ts';
import {
  CallbackNotification,
  type PosixArrival,
  type PosixNotification,
  type PosixNotifySignal,
  SignalNotification,
} from './posix-notify.ts';
import {
  checkPosixName,
  openPosix,
  type PosixMessage,
  type PosixQueueOptions,
  type PosixQueueStatus,
} from './posix-types.ts';
import { PosixWaits } from './posix-waits.ts';
import { asFailure, checkBody, checkWhole, generalError, queueError } from './queue-errors.ts';
import {
  checkWaitOptions,
  nextTurn,
  type QueueSyncOptions,
  type QueueWaitOptions,
  timeoutError,
  Turns,
} from './queue-wait.ts';

const MAX_PRIORITY = 32_767;
const DEFAULT_MAX_WAITING = 10_000;

/**
 * A POSIX message queue. mq_overview(7)
 *
 * The queue lives in the kernel until `unlink()` and the last close. The message of the highest priority comes out first. Every
 * method throws NARU_CLOSED after `close()`, NARU_DENIED where `access` does not include it, and NARU_INVALID_ARGUMENT for
 * arguments that are wrong.
 */
export class PosixQueue implements AsyncDisposable {
  /** With its slash. */
  readonly name: string;
  /** Most messages. */
  readonly maxMessages: number;
  /** Longest body in bytes. */
  readonly maxMessageBytes: number;
  readonly #what: string;
  readonly #addon: NativeAddon;
  readonly #calls: PosixCalls;
  readonly #waits: PosixWaits;
  readonly #turns = new Turns();
  readonly #notifications = new Set<PosixNotification>();
  readonly #arrivalLoops = new Set<() => void>();
  #isClosed = false;

  private constructor(options: PosixQueueOptions, maxWaiting: number) {
    this.name = options.name;
    this.#what = `POSIX queue ${options.name}`;
    this.#addon = native(this.#what);
    const opened = openPosix(options);
    this.maxMessages = opened.maxMessages;
    this.maxMessageBytes = opened.maxMessageBytes;
    this.#calls = new PosixCalls(this.#what, opened);
    this.#waits = new PosixWaits(this.#calls, maxWaiting, options);
  }

  /**
   * Opens a queue, or makes it. mq_open(3)
   * @throws NARU_NOT_FOUND  there is none and `create` is `'never'`
   * @throws NARU_EXISTS  there is one and `create` is `'new'`, or its sizes differ from those given
   * @throws NARU_LIMIT  `fs.mqueue.msg_max`, `msgsize_max`, `queues_max` or RLIMIT_MSGQUEUE does not allow it
   * @throws NARU_DENIED  its mode does not allow it
   * @throws NARU_INVALID_ARGUMENT, NARU_NATIVE_MISSING, NARU_UNSUPPORTED
   */
  static open(options: PosixQueueOptions): PosixQueue {
    const { maxWaiting = DEFAULT_MAX_WAITING } = options;
    checkWhole('POSIX queue', 'maxWaiting', maxWaiting, 1, 10_000_000);
    checkYields('POSIX queue', options);
    return new PosixQueue(options, maxWaiting);
  }

  /**
   * Removes the name; who has it open goes on. mq_unlink(3)
   * @throws NARU_NOT_FOUND, NARU_DENIED, NARU_INVALID_ARGUMENT, NARU_NATIVE_MISSING
   */
  static unlink(name: string): void {
    checkPosixName(name);
    const what = `POSIX queue ${name}`;
    try {
      native(what).posixUnlink(name);
    } catch (error) {
      throw generalError(asFailure(error), what);
    }
  }

  /** Those of this thread that have registered for notification. */
  static readonly #notified = new Set<PosixQueue>();

  /**
   * All queues, where a file system of type mqueue is mounted (/dev/mqueue as a rule): the kernel lists them in no other way.
   * Reading disturbs nobody.
   * @returns undefined when none is mounted
   */
  static list(): PosixQueueStatus[] | undefined {
    // Opening and closing such a queue would take this process's registration back: mq_close(3).
    return listPosix((name) => [...PosixQueue.#notified].find((queue) => queue.name === name)?.stat());
  }

  /**
   * Sends without waiting. mq_send(3)
   * @param priority  from 0 to 32767
   * @returns false when there is no room, or earlier sends of this object wait for it
   * @throws NARU_TOO_LARGE  more than `maxMessageBytes`
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  trySend(body: Uint8Array, priority = 0): boolean {
    this.#checkMessage(body, priority);
    return !this.#waits.hasSends && this.#calls.trySend(priority, body);
  }

  /**
   * Sends many in few calls, without waiting.
   * @returns how many went in, from the first on
   * @throws NARU_TOO_LARGE, NARU_INVALID_ARGUMENT  about any of them; then none was sent
   * @throws NARU_CLOSED, NARU_DENIED
   */
  trySendMany(messages: readonly PosixMessage[]): number {
    this.#check();
    const records = messages.map(({ priority, body }) => {
      this.#checkMessage(body, priority);
      return { tag: priority, body };
    });
    let sent = 0;
    while (sent < records.length && !this.#waits.hasSends) {
      const count = this.#calls.trySendMany(records, sent);
      if (count === 0) break;
      sent += count;
    }
    return sent;
  }

  /**
   * Sends; waits for room in the event loop: it looks for some turns (`yields`), then epoll tells. Sends keep their order. When it
   * rejects, the message was not sent.
   * @throws NARU_TIMEOUT  no room within `timeoutMs`
   * @throws NARU_TOO_LARGE  more than `maxMessageBytes`
   * @throws NARU_OVERLOADED  `maxWaiting` sends wait
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT; `signal.reason`
   */
  async send(body: Uint8Array, priority = 0, options: QueueWaitOptions = {}): Promise<void> {
    checkWaitOptions(this.#what, options);
    if (this.trySend(body, priority)) return this.#turns.isOver() ? nextTurn() : undefined;
    if (options.timeoutMs === 0) throw timeoutError(this.#what, 'no room', 0);
    return this.#waits.send(priority, body, options);
  }

  /**
   * Sends; blocks the thread while there is no room. A worker's end and, in the main thread, SIGINT, SIGTERM and SIGHUP with a
   * handler interrupt it. mq_timedsend(3)
   * @throws NARU_TIMEOUT, NARU_INTERRUPTED, NARU_TOO_LARGE, NARU_FULL  earlier sends of this object wait: it would overtake them
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  sendSync(body: Uint8Array, priority = 0, options: QueueSyncOptions = {}): void {
    checkWaitOptions(this.#what, options);
    if (this.trySend(body, priority)) return;
    if (this.#waits.hasSends) {
      throw queueError(
        'NARU_FULL',
        this.#what,
        'earlier sends wait for room, and only the event loop can end them',
      );
    }
    const { timeoutMs = -1 } = options;
    const result = timeoutMs === 0 ? 'timeout' : this.#calls.sendSync(priority, body, timeoutMs);
    if (result !== 'woken') throw this.#unfinished(result, 'no room', timeoutMs);
  }

  /**
   * Takes the first message of the highest priority without waiting. mq_receive(3)
   * @returns undefined when there is none, or earlier receives of this object wait
   * @throws NARU_CLOSED, NARU_DENIED
   */
  tryReceive(): PosixMessage | undefined {
    this.#check();
    return this.#waits.hasReceives ? undefined : this.#calls.tryReceive();
  }

  /**
   * Takes up to `max` messages in one call; as many as there are, and as fit in 128 KiB.
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  tryReceiveMany(max: number): PosixMessage[] {
    this.#check();
    checkWhole(this.#what, 'max', max, 1, 2 ** 31 - 1);
    return this.#waits.hasReceives ? [] : this.#calls.tryReceiveMany(max);
  }

  /**
   * Takes a message; waits for it in the event loop as `send()` waits for room. When it rejects, nothing was taken.
   * @throws NARU_TIMEOUT  none within `timeoutMs`
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT; `signal.reason`
   */
  async receive(options: QueueWaitOptions = {}): Promise<PosixMessage> {
    checkWaitOptions(this.#what, options);
    const message = this.tryReceive();
    if (message === undefined) return this.#wait(options);
    if (this.#turns.isOver()) await nextTurn();
    return message;
  }

  /**
   * Waits for a message, then takes up to `max` that are there: one wake-up for many.
   * @throws as `receive()`
   */
  async receiveMany(max: number, options: QueueWaitOptions = {}): Promise<PosixMessage[]> {
    checkWaitOptions(this.#what, options);
    const ready = this.tryReceiveMany(max);
    if (ready.length > 0) {
      if (this.#turns.isOver(ready.length)) await nextTurn();
      return ready;
    }
    const first = await this.#wait(options);
    return max === 1 || this.#isClosed ? [first] : [first, ...this.tryReceiveMany(max - 1)];
  }

  /**
   * Takes a message; blocks the thread until there is one. Interrupted like `sendSync()`. mq_timedreceive(3)
   * @throws NARU_TIMEOUT, NARU_INTERRUPTED, NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  receiveSync(options: QueueSyncOptions = {}): PosixMessage {
    checkWaitOptions(this.#what, options);
    this.#check();
    const { timeoutMs = -1 } = options;
    const result =
      this.#calls.tryReceive() ?? (timeoutMs === 0 ? 'timeout' : this.#calls.receiveSync(timeoutMs));
    if (typeof result === 'string') throw this.#unfinished(result, 'no message', timeoutMs);
    return result;
  }

  /**
   * Tells when a message has come into the empty queue. The kernel keeps one registration for each queue; it is one shot, and silent
   * while somebody blocks in a receive. A callback is registered anew before it is called, and is called at once when the queue holds
   * messages already: drain the queue in it. A signal is sent once; call `rearm()` before draining. The kernel takes a process's
   * registration back when the process closes any of its descriptors of that queue: open it once. mq_notify(3), mq_close(3)
   * @throws NARU_EXISTS  somebody has registered already
   * @throws NARU_INVALID_ARGUMENT  no such signal, or this process does not handle it (SIGUSR1 would open Node's debugger)
   * @throws NARU_CLOSED
   */
  notify(how: PosixArrival | PosixNotifySignal): PosixNotification {
    this.#check();
    const forget = (it: PosixNotification): void => {
      this.#notifications.delete(it);
      if (this.#notifications.size === 0) PosixQueue.#notified.delete(this);
    };
    if (typeof how !== 'function' && how.value !== undefined) {
      checkWhole(this.#what, 'value', how.value, -(2 ** 31), 2 ** 31 - 1);
    }
    const notification =
      typeof how === 'function'
        ? new CallbackNotification(this.#calls, how, forget)
        : new SignalNotification(this.#calls, how, forget);
    this.#notifications.add(notification);
    PosixQueue.#notified.add(this);
    return notification;
  }

  /**
   * The same as an iterator: each turn of the loop is an arrival, to be followed by draining. Arrivals while the loop is busy count as
   * one. Ends when the queue is closed.
   * @throws NARU_EXISTS  somebody has registered already, or registered between two arrivals
   * @throws NARU_CLOSED; `signal.reason`
   */
  async *arrivals(options: { readonly signal?: AbortSignal | undefined } = {}): AsyncGenerator<void, void> {
    const { signal } = options;
    signal?.throwIfAborted();
    let pending = false;
    let failure: unknown;
    let wake = (): void => {};
    const notification = this.notify((error) => {
      failure ??= error;
      pending = true;
      wake();
    });
    const abort = (): void => wake();
    signal?.addEventListener('abort', abort, { once: true });
    this.#arrivalLoops.add(abort);
    try {
      for (;;) {
        if (!pending && !this.#isClosed && signal?.aborted !== true) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        signal?.throwIfAborted();
        if (this.#isClosed) return;
        if (failure !== undefined) throw failure;
        pending = false;
        yield;
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#arrivalLoops.delete(abort);
      notification.close();
    }
  }

  /** Messages in the queue. @throws NARU_CLOSED */
  depth(): number {
    this.#check();
    return this.#calls.count();
  }

  /** The queue as it is now. mq_getattr(3). @throws NARU_CLOSED */
  stat(): PosixQueueStatus {
    this.#check();
    const { mode, uid, gid } = fstatSync(this.#calls.fd);
    const { bytes, notifiedPid } = readQueueFile(this.#calls.fd);
    const { name, maxMessages, maxMessageBytes } = this;
    const count = this.#calls.count();
    return { name, mode: mode & 0o777, uid, gid, maxMessages, maxMessageBytes, count, bytes, notifiedPid };
  }

  /**
   * Removes the name; who has the queue open goes on with it, and waits are not ended. mq_unlink(3)
   * @throws NARU_NOT_FOUND, NARU_DENIED
   */
  unlink(): void {
    PosixQueue.unlink(this.name);
  }

  /** Ends this object; the queue stays. Waiting calls reject with NARU_CLOSED. Closing again does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    for (const notification of this.#notifications) notification.close();
    this.#isClosed = true;
    for (const wake of this.#arrivalLoops) wake();
    this.#waits.close();
    this.#addon.posixClose(this.#calls.fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #check(): void {
    if (this.#isClosed) throw queueError('NARU_CLOSED', this.#what, 'it was closed here');
  }

  #checkMessage(body: Uint8Array, priority: number): void {
    this.#check();
    checkBody(this.#what, body);
    checkWhole(this.#what, 'priority', priority, 0, MAX_PRIORITY);
    this.#calls.checkFits(body);
  }

  #wait(options: QueueWaitOptions): Promise<PosixMessage> {
    if (options.timeoutMs === 0) throw timeoutError(this.#what, 'no message', 0);
    return this.#waits.receive(options);
  }

  #unfinished(result: 'timeout' | 'interrupted', what: string, timeoutMs: number): Error {
    if (result === 'timeout') return timeoutError(this.#what, what, timeoutMs);
    return queueError('NARU_INTERRUPTED', this.#what, 'a signal arrived; its handler runs in the event loop');
  }
}
