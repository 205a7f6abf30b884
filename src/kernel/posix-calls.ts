// The POSIX queue calls of one descriptor that return at once or block their thread, with their errors explained.

import { readSync } from 'node:fs';
import type { NaruError } from '../errors/index.ts';
import { type BlockingResult, type NativeAddon, native } from '../native/index.ts';
import type { OpenedPosix, PosixMessage } from './posix-types.ts';
import { asFailure, type Failure, generalError, queueError, sysctl } from './queue-errors.ts';
import {
  type QueueRecord,
  readRecord,
  readRecords,
  reserveRecords,
  writeRecord,
  writeRecords,
} from './records.ts';

/** One open POSIX queue. */
export class PosixCalls {
  readonly name: string;
  readonly fd: number;
  readonly maxMessages: number;
  readonly maxMessageBytes: number;
  readonly #addon: NativeAddon;

  constructor(name: string, { fd, maxMessages, maxMessageBytes }: OpenedPosix) {
    this.name = name;
    this.fd = fd;
    this.maxMessages = maxMessages;
    this.maxMessageBytes = maxMessageBytes;
    this.#addon = native(name);
    reserveRecords(maxMessageBytes);
  }

  trySend(priority: number, body: Uint8Array): boolean {
    this.checkFits(body);
    writeRecord(priority, body);
    return this.#call(() => this.#addon.posixTrySend(this.fd, 1)) === 1;
  }

  /** @returns how many from `start` went in; fewer than given when the queue is full, or the memory for one call is */
  trySendMany(list: readonly QueueRecord[], start: number): number {
    const count = writeRecords(list, start);
    return this.#call(() => this.#addon.posixTrySend(this.fd, count));
  }

  sendSync(priority: number, body: Uint8Array, timeoutMs: number): BlockingResult {
    writeRecord(priority, body);
    return this.#call(() => this.#addon.posixSendSync(this.fd, timeoutMs));
  }

  tryReceive(): PosixMessage | undefined {
    const count = this.#call(() => this.#addon.posixTryReceive(this.fd, this.maxMessageBytes, 1));
    return count === 0 ? undefined : messageOf(readRecord());
  }

  tryReceiveMany(max: number): PosixMessage[] {
    return this.tryTake(max).map(messageOf);
  }

  /** The same as the kernel keeps them. */
  tryTake(max: number): QueueRecord[] {
    return readRecords(this.#call(() => this.#addon.posixTryReceive(this.fd, this.maxMessageBytes, max)));
  }

  receiveSync(timeoutMs: number): PosixMessage | 'timeout' | 'interrupted' {
    const result = this.#call(() => this.#addon.posixReceiveSync(this.fd, this.maxMessageBytes, timeoutMs));
    return result === 'woken' ? messageOf(readRecord()) : result;
  }

  count(): number {
    return this.#call(() => this.#addon.posixAttributes(this.fd))[2];
  }

  /** @throws NARU_TOO_LARGE */
  checkFits({ length }: Uint8Array): void {
    if (length > this.maxMessageBytes) throw this.#tooLarge(length);
  }

  #tooLarge(length: number): NaruError {
    const most = sysctl('fs.mqueue.msgsize_max') ?? 'unknown';
    const text = `a message has ${length} bytes, the queue's maxMessageBytes is ${this.maxMessageBytes} (new queues: up to fs.mqueue.msgsize_max, ${most})`;
    return queueError('NARU_TOO_LARGE', this.name, text);
  }

  error(failure: Failure): NaruError {
    if (failure.code !== 'EBADF') return generalError(failure, this.name);
    return queueError(
      'NARU_DENIED',
      this.name,
      `it was opened for the other direction only (${failure.syscall})`,
    );
  }

  #call<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw this.error(asFailure(error));
    }
  }
}

/** What reading a queue's file tells: "QSIZE:129 NOTIFY:2 SIGNO:0 NOTIFY_PID:8260". mq_overview(7) */
export function readQueueFile(fd: number): { readonly bytes?: number; readonly notifiedPid?: number } {
  const buffer = Buffer.alloc(256);
  try {
    const text = buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
    const value = (field: string): number => Number(new RegExp(`${field}:(\\d+)`).exec(text)?.[1] ?? 0);
    const pid = value('NOTIFY_PID');
    return pid === 0 ? { bytes: value('QSIZE') } : { bytes: value('QSIZE'), notifiedPid: pid };
  } catch {
    return {};
  }
}

function messageOf({ tag, body }: QueueRecord): PosixMessage {
  return { priority: tag, body };
}
