// The System V calls of one queue that return at once or block their thread, with their errors explained. No waiting in the event
// loop (system-v-receivers.ts, system-v-senders.ts), no state but the queue's id.

import type { NaruError } from '../errors/index.ts';
import { type BlockingResult, type NativeAddon, native } from '../native/index.ts';
import { asFailure, type Failure, generalError, limitText, queueError, sysctl } from './queue-errors.ts';
import {
  type QueueRecord,
  readRecord,
  readRecords,
  reserveRecords,
  writeRecord,
  writeRecords,
} from './records.ts';
import { FIRST, isWanted, type ReceiveRequest, type SystemVMessage } from './system-v-types.ts';

const LARGEST_BODY = 2 ** 31 - 32;
const COPIED_AT_A_TIME = 64;

/** One queue of the kernel, by its id. */
export class SystemVCalls {
  readonly name: string;
  readonly id: number;
  readonly #addon: NativeAddon;
  /** Room for a body when nobody says how much: the kernel's limit, and more when something longer is met. */
  #roomBytes: number;

  constructor(name: string, id: number) {
    this.name = name;
    this.id = id;
    this.#addon = native(name);
    this.#roomBytes = sysctl('kernel.msgmax') ?? 8192;
    reserveRecords(this.#roomBytes);
  }

  roomFor(request: ReceiveRequest): number {
    return request.maxBytes ?? this.#roomBytes;
  }

  /** After E2BIG: more room, where the request leaves it to us. @returns false when it does not */
  makeRoom(request: ReceiveRequest): boolean {
    if (request.maxBytes !== undefined || this.#roomBytes >= LARGEST_BODY) return false;
    this.#roomBytes = Math.min(this.#roomBytes * 2, LARGEST_BODY);
    reserveRecords(this.#roomBytes);
    return true;
  }

  trySend(type: number, body: Uint8Array): boolean {
    reserveRecords(body.length);
    writeRecord(type, body);
    try {
      return this.#addon.systemVTrySend(this.id, 1) === 1;
    } catch (error) {
      throw this.sendError(asFailure(error), body.length);
    }
  }

  /** @returns how many from `start` went in; fewer than given when the queue is full, or the memory for one call is */
  trySendMany(list: readonly QueueRecord[], start: number): number {
    const first = list[start];
    if (first === undefined) return 0;
    reserveRecords(first.body.length);
    const count = writeRecords(list, start);
    try {
      return this.#addon.systemVTrySend(this.id, count);
    } catch (error) {
      throw this.sendError(asFailure(error), first.body.length);
    }
  }

  sendSync(type: number, body: Uint8Array, timeoutMs: number): BlockingResult {
    reserveRecords(body.length);
    writeRecord(type, body);
    try {
      return this.#addon.systemVSendSync(this.id, timeoutMs);
    } catch (error) {
      throw this.sendError(asFailure(error), body.length);
    }
  }

  tryReceive(request: ReceiveRequest): SystemVMessage | undefined {
    if (this.#fill(request, 1) === 0) return undefined;
    return messageOf(readRecord());
  }

  tryReceiveMany(request: ReceiveRequest, max: number): SystemVMessage[] {
    return this.tryTake(request, max).map(messageOf);
  }

  /** The same as the kernel keeps them. */
  tryTake(request: ReceiveRequest, max: number): QueueRecord[] {
    return readRecords(this.#fill(request, max));
  }

  /**
   * Copies of the messages that `request` would take, oldest first; they stay in the queue.
   * @throws NARU_UNSUPPORTED  the kernel was built without MSG_COPY
   */
  copyMany(request: ReceiveRequest, max: number): SystemVMessage[] {
    const found: SystemVMessage[] = [];
    for (let position = 0; found.length < max; ) {
      const from = position;
      const count = this.#withRoom(FIRST, (room) =>
        this.#addon.systemVCopy(this.id, from, room, COPIED_AT_A_TIME),
      );
      if (count === 0) break;
      position += count;
      found.push(
        ...readRecords(count)
          .map(messageOf)
          .filter((message) => isWanted(message, request)),
      );
    }
    return found.slice(0, max);
  }

  #fill(request: ReceiveRequest, count: number): number {
    const { selector, truncate, except } = request;
    return this.#withRoom(request, (room) =>
      this.#addon.systemVTryReceive(this.id, selector, truncate, except, room, count),
    );
  }

  #withRoom(request: ReceiveRequest, fill: (room: number) => number): number {
    for (;;) {
      const room = this.roomFor(request);
      reserveRecords(room);
      try {
        return fill(room);
      } catch (error) {
        const failure = asFailure(error);
        if (failure.code !== 'E2BIG' || !this.makeRoom(request)) throw this.receiveError(failure, request);
      }
    }
  }

  /** @returns the message, or why there is none */
  receiveSync(request: ReceiveRequest, timeoutMs: number): SystemVMessage | 'timeout' | 'interrupted' {
    const { selector, truncate, except } = request;
    const room = this.roomFor(request);
    try {
      const result = this.#addon.systemVReceiveSync(this.id, selector, truncate, except, room, timeoutMs);
      return result === 'woken' ? messageOf(readRecord()) : result;
    } catch (error) {
      const failure = asFailure(error);
      if (failure.code !== 'E2BIG' || !this.makeRoom(request)) throw this.receiveError(failure, request);
      return this.tryReceive(request) ?? this.receiveSync(request, timeoutMs);
    }
  }

  /** A call that is neither sending nor receiving. */
  control<T>(call: (addon: NativeAddon, id: number) => T): T {
    try {
      return call(this.#addon, this.id);
    } catch (error) {
      throw this.error(asFailure(error));
    }
  }

  error(failure: Failure): NaruError {
    // An id that was removed is an unknown one to the next call, and the kernel calls that an invalid argument.
    if (failure.code === 'EINVAL')
      return queueError(
        'NARU_CLOSED',
        this.name,
        `it was removed (${failure.syscall}: EINVAL)`,
        failure.cause,
      );
    return generalError(failure, this.name);
  }

  sendError(failure: Failure, length: number): NaruError {
    const limit = sysctl('kernel.msgmax');
    if (failure.code !== 'EINVAL' || limit === undefined || length <= limit) return this.error(failure);
    const text = `a message has ${length} bytes, ${limitText('kernel.msgmax')}; send less, or raise the sysctl`;
    return queueError('NARU_TOO_LARGE', this.name, text, failure.cause);
  }

  /** Such a message would wait for ever: the kernel sends it once the queue's limit is higher. @throws NARU_TOO_LARGE */
  checkFits(length: number): void {
    let limitBytes: number;
    try {
      ({ limitBytes } = native(this.name).systemVStatus(this.id));
    } catch (error) {
      // Who may only write cannot look; the wait is theirs to limit.
      if (asFailure(error).code === 'EACCES') return;
      throw this.error(asFailure(error));
    }
    if (length <= limitBytes) return;
    const text = `a message has ${length} bytes, the queue's limit is ${limitBytes}; raise it with setLimit() (${limitText('kernel.msgmnb')})`;
    throw queueError('NARU_TOO_LARGE', this.name, text);
  }

  receiveError(failure: Failure, request: ReceiveRequest): NaruError {
    if (failure.code === 'ENOSYS') {
      const text =
        'this kernel was built without CONFIG_CHECKPOINT_RESTORE, and so without MSG_COPY: its messages can only be taken';
      return queueError('NARU_UNSUPPORTED', this.name, text, failure.cause);
    }
    if (failure.code !== 'E2BIG') return this.error(failure);
    const text = `the message is longer than maxBytes (${this.roomFor(request)}); it stays in the queue. Allow more, or set truncate`;
    return queueError('NARU_TOO_LARGE', this.name, text, failure.cause);
  }
}

/** What the addon filled in, as the public type. */
export function messageOf(it: QueueRecord): SystemVMessage {
  return { type: it.tag, body: it.body };
}
