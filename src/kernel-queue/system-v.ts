// A System V queue behind the interface of this folder. It cannot be watched: to wait is to send or to receive, in a thread.

import { failureOf } from '../kernel/queue-errors.ts';
import { reserveRecords } from '../kernel/records.ts';
import { SystemVCalls } from '../kernel/system-v-calls.ts';
import { statusOf } from '../kernel/system-v-open.ts';
import type { ReceiveRequest, SystemVMessage } from '../kernel/system-v-types.ts';
import { type SystemVWaiter, SystemVWaiters } from '../kernel/system-v-waiter.ts';
import type { Blocked, KernelQueue, QueueItem, QueueStatus } from './queue.ts';

export class SysvKernelQueue implements KernelQueue {
  readonly #request: ReceiveRequest;
  readonly #calls: SystemVCalls;
  readonly #waiters: SystemVWaiters;
  #putting: SystemVWaiter | undefined;
  #taking: SystemVWaiter | undefined;

  /**
   * @param name  what errors call it
   * @param isBackground  waiting keeps no process alive
   */
  constructor(id: number, name: string, request: ReceiveRequest, isBackground = false) {
    this.#request = request;
    this.#calls = new SystemVCalls(name, id);
    this.#waiters = new SystemVWaiters(this.#calls, isBackground);
  }

  put(items: readonly QueueItem[]): number {
    let put = 0;
    while (put < items.length) {
      let count: number;
      try {
        count = this.#calls.trySendMany(items, put);
      } catch (error) {
        if (put === 0) throw error;
        break;
      }
      if (count === 0) break;
      put += count;
    }
    return put;
  }

  take(max: number): QueueItem[] {
    return this.#calls.tryTake(this.#request, max);
  }

  waitToPut({ tag, body }: QueueItem, done: (error: Error | undefined, isIn: boolean) => void): void {
    const waiter = this.#waiters.take();
    this.#putting = waiter;
    reserveRecords(body.length);
    waiter.send(tag, body, (errno) => {
      this.#putting = undefined;
      this.#waiters.give(waiter);
      if (errno === 0) done(undefined, true);
      else done(this.#calls.sendError(failureOf(errno, 'msgsnd'), body.length), false);
    });
  }

  stopPut(): boolean {
    const waiter = this.#putting;
    if (waiter === undefined) return false;
    this.#putting = undefined;
    const isIn = waiter.cancel()?.[0] === 0;
    this.#waiters.give(waiter);
    return isIn;
  }

  waitToTake(done: (error: Error | undefined, item: QueueItem | undefined) => void): void {
    const waiter = this.#waiters.take();
    this.#taking = waiter;
    waiter.receive(this.#request, this.#calls.roomFor(this.#request), (errno, message) => {
      this.#taking = undefined;
      this.#waiters.give(waiter);
      if (message !== undefined) return done(undefined, itemOf(message));
      const failure = failureOf(errno, 'msgrcv');
      // Longer than any before: the take() that follows has the room.
      if (failure.code === 'E2BIG' && this.#calls.makeRoom(this.#request)) return done(undefined, undefined);
      done(this.#calls.receiveError(failure, this.#request), undefined);
    });
  }

  stopTake(): QueueItem | undefined {
    const waiter = this.#taking;
    if (waiter === undefined) return undefined;
    this.#taking = undefined;
    const message = waiter.cancel()?.[1];
    this.#waiters.give(waiter);
    return message === undefined ? undefined : itemOf(message);
  }

  putSync({ tag, body }: QueueItem, timeoutMs: number): 'in' | Blocked {
    const result = this.#calls.sendSync(tag, body, timeoutMs);
    return result === 'woken' ? 'in' : result;
  }

  takeSync(timeoutMs: number): QueueItem | Blocked {
    const result = this.#calls.receiveSync(this.#request, timeoutMs);
    return typeof result === 'string' ? result : itemOf(result);
  }

  copy(max: number): QueueItem[] {
    return this.#calls.copyMany(this.#request, max).map(itemOf);
  }

  status(): QueueStatus {
    const { count, bytes, limitBytes } = statusOf(
      this.#calls.id,
      this.#calls.control((addon, id) => addon.systemVStatus(id)),
    );
    return { count, bytes, capacityBytes: limitBytes ?? -1, capacityMessages: -1 };
  }

  /** Also after close(). */
  remove(): void {
    this.#calls.control((addon, id) => addon.systemVRemove(id));
  }

  close(): void {
    this.stopPut();
    this.stopTake();
    this.#waiters.close();
  }
}

function itemOf({ type, body }: SystemVMessage): QueueItem {
  return { tag: type, body };
}
