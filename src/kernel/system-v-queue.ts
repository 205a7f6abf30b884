// SystemVQueue: a message queue of the kernel, as C programs use it with msgget, msgsnd and msgrcv. This file puts the parts together.

import type { NativeAddon } from '../native/index.ts';
import { checkYields, type QueueWaiting } from './linger.ts';
import { checkBody, checkWhole, limitText, queueError, sysctl } from './queue-errors.ts';
import {
  checkWaitOptions,
  nextTurn,
  type QueueSyncOptions,
  type QueueWaitOptions,
  timeoutError,
  Turns,
} from './queue-wait.ts';
import { SystemVCalls } from './system-v-calls.ts';
import { keyOfPath, listSystemV, openSystemV, statusOf, type SystemVQueueOptions } from './system-v-open.ts';
import { SystemVReceivers } from './system-v-receivers.ts';
import { SystemVSenders } from './system-v-senders.ts';
import {
  checkType,
  type ReceiveRequest,
  requestOf,
  type SystemVMessage,
  type SystemVQueueStatus,
  type SystemVReceiveOptions,
  type SystemVReceiveSyncOptions,
  type SystemVSelection,
} from './system-v-types.ts';

const DEFAULT_MAX_WAITING = 10_000;

/**
 * A System V message queue. msgget(2), msgop(2), msgctl(2), sysvipc(7)
 *
 * The queue lives in the kernel until `remove()`, whoever opens and closes it. Any number of processes send and receive; each message
 * goes to one of them. Every method throws NARU_CLOSED after `close()` and when the queue was removed, NARU_DENIED where the
 * mode does not allow it, and NARU_INVALID_ARGUMENT for arguments that are wrong.
 */
export class SystemVQueue implements AsyncDisposable {
  /** The kernel's number for it, as ipcs(1) shows it. */
  readonly id: number;
  /** What errors call it. */
  readonly name: string;
  readonly #calls: SystemVCalls;
  readonly #receivers: SystemVReceivers;
  readonly #senders: SystemVSenders;
  readonly #turns = new Turns();
  #isClosed = false;

  private constructor(id: number, name: string, maxWaiting: number, waiting: QueueWaiting) {
    this.id = id;
    this.name = name;
    this.#calls = new SystemVCalls(name, id);
    this.#receivers = new SystemVReceivers(this.#calls, waiting);
    this.#senders = new SystemVSenders(this.#calls, maxWaiting, waiting);
  }

  /**
   * Opens a queue, or makes it.
   * @throws NARU_NOT_FOUND  there is none and `create` is `'never'`; no such `id`; the `path` does not exist
   * @throws NARU_EXISTS  there is one and `create` is `'new'`
   * @throws NARU_DENIED  the queue's mode does not allow it
   * @throws NARU_LIMIT  as many queues as `kernel.msgmni` allows
   * @throws NARU_INVALID_ARGUMENT, NARU_NATIVE_MISSING
   */
  static open(options: SystemVQueueOptions): SystemVQueue {
    const { maxWaiting = DEFAULT_MAX_WAITING } = options;
    checkWhole('System V queue', 'maxWaiting', maxWaiting, 1, 10_000_000);
    checkYields('System V queue', options);
    const { id, name } = openSystemV(options);
    return new SystemVQueue(id, name, maxWaiting, options);
  }

  /**
   * The key that a file and a project stand for. ftok(3)
   * @throws NARU_NOT_FOUND  the file does not exist
   * @throws NARU_DENIED, NARU_INVALID_ARGUMENT, NARU_NATIVE_MISSING
   */
  static key(path: string, project: number | string = 1): number {
    return keyOfPath(path, project);
  }

  /** All queues, from /proc/sysvipc/msg; empty where that cannot be read. Reading disturbs nobody. */
  static list(): SystemVQueueStatus[] {
    return listSystemV();
  }

  /**
   * Sends without waiting. msgsnd(2) with IPC_NOWAIT
   * @param type  from 1
   * @returns false when there is no room, or earlier sends of this object wait for it
   * @throws NARU_TOO_LARGE  more than `kernel.msgmax`
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  trySend(body: Uint8Array, type = 1): boolean {
    this.#check();
    checkBody(this.name, body);
    checkType(this.name, 'type', type);
    return !this.#senders.isWaiting && this.#calls.trySend(type, body);
  }

  /**
   * Sends many in few calls, in their order, without waiting.
   * @returns how many went in, from the first on
   * @throws NARU_TOO_LARGE, NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT  about the first that could not be sent, if that is the
   * very first; else it is left to the next call
   */
  trySendMany(messages: readonly SystemVMessage[]): number {
    this.#check();
    const records = messages.map(({ type, body }) => {
      checkBody(this.name, body);
      checkType(this.name, 'type', type);
      return { tag: type, body };
    });
    if (this.#senders.isWaiting) return 0;
    let sent = 0;
    while (sent < records.length) {
      let count: number;
      try {
        count = this.#calls.trySendMany(records, sent);
      } catch (error) {
        if (sent === 0) throw error;
        break;
      }
      if (count === 0) break;
      sent += count;
    }
    return sent;
  }

  /**
   * Sends; waits for room: it looks for some turns of the event loop (`yields`), then sleeps in a thread of its own, never in the event
   * loop or in Node's thread pool. Sends keep their order. When it rejects, the message was not sent.
   * @throws NARU_TIMEOUT  no room within `timeoutMs`
   * @throws NARU_TOO_LARGE  more than `kernel.msgmax`, or than the queue's limit (it would wait for ever)
   * @throws NARU_OVERLOADED  `maxWaiting` sends wait
   * @throws NARU_LIMIT  no thread could be started
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT; `signal.reason`
   */
  async send(body: Uint8Array, type = 1, options: QueueWaitOptions = {}): Promise<void> {
    checkWaitOptions(this.name, options);
    if (this.trySend(body, type)) return this.#turns.isOver() ? nextTurn() : undefined;
    if (options.timeoutMs === 0) throw timeoutError(this.name, 'no room', 0);
    return this.#senders.wait(type, body, options);
  }

  /**
   * Sends; blocks the thread while there is no room. A worker's end and, in the main thread, SIGINT, SIGTERM and SIGHUP with a
   * handler interrupt it.
   * @throws NARU_TIMEOUT, NARU_INTERRUPTED, NARU_TOO_LARGE, NARU_FULL  earlier sends of this object wait: it would overtake them
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  sendSync(body: Uint8Array, type = 1, options: QueueSyncOptions = {}): void {
    checkWaitOptions(this.name, options);
    if (this.trySend(body, type)) return;
    if (this.#senders.isWaiting) {
      throw queueError(
        'NARU_FULL',
        this.name,
        'earlier sends wait for room, and only the event loop can end them',
      );
    }
    this.#calls.checkFits(body.length);
    const result =
      options.timeoutMs === 0 ? 'timeout' : this.#calls.sendSync(type, body, options.timeoutMs ?? -1);
    if (result !== 'woken') throw this.#unfinished(result, 'no room', options);
  }

  /**
   * Takes a message without waiting. msgrcv(2) with IPC_NOWAIT
   * @returns undefined when there is none for this selection, or earlier receives of it wait
   * @throws NARU_TOO_LARGE  it is longer than `maxBytes`; it stays in the queue
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  tryReceive(selection?: SystemVSelection): SystemVMessage | undefined {
    this.#check();
    return this.#take(requestOf(this.name, selection));
  }

  /**
   * Takes up to `max` messages in one call; as many as there are, and as fit in 128 KiB.
   * @throws NARU_TOO_LARGE  the first is longer than `maxBytes`
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  tryReceiveMany(max: number, selection?: SystemVSelection): SystemVMessage[] {
    this.#check();
    checkWhole(this.name, 'max', max, 1, 2 ** 31 - 1);
    const request = requestOf(this.name, selection);
    if (this.#receivers.hasLine(request)) return [];
    const kept = this.#receivers.takeKept(request);
    return kept === undefined ? this.#calls.tryReceiveMany(request, max) : [kept];
  }

  /**
   * Copies of the oldest messages of this selection; they stay in the queue, and nothing of it changes. msgrcv(2) with MSG_COPY. What
   * others take meanwhile may be missing here, or the one behind it.
   * @throws NARU_UNSUPPORTED  the kernel was built without CONFIG_CHECKPOINT_RESTORE
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  peek(max = 1, selection?: SystemVSelection): SystemVMessage[] {
    this.#check();
    checkWhole(this.name, 'max', max, 1, 2 ** 31 - 1);
    return this.#calls.copyMany(requestOf(this.name, selection), max);
  }

  /**
   * Takes a message; waits for it as `send()` waits for room. A message that came in the very moment of an abort is given to the next
   * receive that wants it, or goes back (to the end) when the queue is closed.
   * @throws NARU_TIMEOUT  none within `timeoutMs`
   * @throws NARU_TOO_LARGE  it is longer than `maxBytes`; it stays in the queue
   * @throws NARU_LIMIT  no thread could be started
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT; `signal.reason`
   */
  async receive(options: SystemVReceiveOptions = {}): Promise<SystemVMessage> {
    checkWaitOptions(this.name, options);
    this.#check();
    const request = requestOf(this.name, options);
    const message = this.#take(request);
    if (message === undefined) return this.#wait(request, options);
    if (this.#turns.isOver()) await nextTurn();
    return message;
  }

  /**
   * Waits for a message, then takes up to `max` that are there: one wake-up for many.
   * @throws as `receive()`
   */
  async receiveMany(max: number, options: SystemVReceiveOptions = {}): Promise<SystemVMessage[]> {
    checkWaitOptions(this.name, options);
    const ready = this.tryReceiveMany(max, options);
    if (ready.length > 0) {
      if (this.#turns.isOver(ready.length)) await nextTurn();
      return ready;
    }
    const first = await this.#wait(requestOf(this.name, options), options);
    if (max === 1 || this.#isClosed) return [first];
    try {
      return [first, ...this.tryReceiveMany(max - 1, options)];
    } catch {
      // The next call will tell; what was taken must not be lost.
      return [first];
    }
  }

  /**
   * Takes a message; blocks the thread until there is one. Interrupted like `sendSync()`.
   * @throws NARU_TIMEOUT, NARU_INTERRUPTED
   * @throws NARU_TOO_LARGE  it is longer than `maxBytes`; it stays in the queue
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  receiveSync(options: SystemVReceiveSyncOptions = {}): SystemVMessage {
    checkWaitOptions(this.name, options);
    this.#check();
    const request = requestOf(this.name, options);
    const message = this.#receivers.takeKept(request) ?? this.#calls.tryReceive(request);
    if (message !== undefined) return message;
    const result =
      options.timeoutMs === 0 ? 'timeout' : this.#calls.receiveSync(request, options.timeoutMs ?? -1);
    if (typeof result === 'string') throw this.#unfinished(result, 'no message', options);
    return result;
  }

  /** The queue as it is now. msgctl(2) IPC_STAT. @throws NARU_CLOSED, NARU_DENIED */
  stat(): SystemVQueueStatus {
    return statusOf(
      this.id,
      this.#control((addon, id) => addon.systemVStatus(id)),
    );
  }

  /**
   * Sets how many bytes (and how many messages) it may hold.
   * @throws NARU_LIMIT  more than `kernel.msgmnb`, which only root may exceed
   * @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT
   */
  setLimit(limitBytes: number): void {
    checkWhole(this.name, 'limitBytes', limitBytes, 0, Number.MAX_SAFE_INTEGER);
    try {
      this.#control((addon, id) => addon.systemVChange(id, limitBytes, -1));
    } catch (error) {
      const most = sysctl('kernel.msgmnb');
      if (this.#isClosed || most === undefined || limitBytes <= most) throw error;
      const text = `a limit of ${limitBytes} bytes was asked for, ${limitText('kernel.msgmnb')}, which only root may exceed`;
      throw queueError('NARU_LIMIT', this.name, text, error);
    }
  }

  /** Sets the permission bits. @throws NARU_CLOSED, NARU_DENIED, NARU_INVALID_ARGUMENT */
  setMode(mode: number): void {
    checkWhole(this.name, 'mode', mode, 0, 0o777);
    this.#control((addon, id) => addon.systemVChange(id, -1, mode));
  }

  /**
   * Removes the queue and all that is in it, for everybody: whoever waits is woken, with NARU_CLOSED here and EIDRM in C.
   * @throws NARU_CLOSED  it was removed before
   * @throws NARU_DENIED
   */
  remove(): void {
    this.#control((addon, id) => addon.systemVRemove(id));
  }

  /**
   * Ends this object; the queue stays. Waiting calls reject with NARU_CLOSED. Messages that aborted receives had taken go back to the
   * end of the queue. Closing again does nothing.
   * @returns how many of those found no room and are lost; 0 as a rule
   */
  async close(): Promise<number> {
    if (this.#isClosed) return 0;
    this.#isClosed = true;
    this.#senders.close();
    return this.#receivers.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #check(): void {
    if (this.#isClosed) throw queueError('NARU_CLOSED', this.name, 'it was closed here');
  }

  #control<T>(call: (addon: NativeAddon, id: number) => T): T {
    this.#check();
    return this.#calls.control(call);
  }

  #take(request: ReceiveRequest): SystemVMessage | undefined {
    if (this.#receivers.hasLine(request)) return undefined;
    return this.#receivers.takeKept(request) ?? this.#calls.tryReceive(request);
  }

  #wait(request: ReceiveRequest, options: QueueWaitOptions): Promise<SystemVMessage> {
    if (options.timeoutMs === 0) throw timeoutError(this.name, 'no message', 0);
    return this.#receivers.wait(request, options);
  }

  #unfinished(result: 'timeout' | 'interrupted', what: string, options: QueueSyncOptions): Error {
    if (result === 'timeout') return timeoutError(this.name, what, options.timeoutMs ?? 0);
    return queueError('NARU_INTERRUPTED', this.name, 'a signal arrived; its handler runs in the event loop');
  }
}
