// Sends that wait for room, in their order: the first sits in a thread, the others behind it.

import { Linger, queuePatience, type QueueWaiting } from './linger.ts';
import { failureOf, queueError } from './queue-errors.ts';
import { type QueueWaitOptions, Wait } from './queue-wait.ts';
import { reserveRecords } from './records.ts';
import type { SystemVCalls } from './system-v-calls.ts';
import { type SystemVWaiter, SystemVWaiters } from './system-v-waiter.ts';

interface Waiting {
  readonly type: number;
  readonly body: Uint8Array;
  readonly wait: Wait<void>;
}

/** The waiting sends of one queue object. */
export class SystemVSenders {
  readonly #calls: SystemVCalls;
  readonly #waiters: SystemVWaiters;
  readonly #maxWaiting: number;
  readonly #line: Waiting[] = [];
  readonly #linger: Linger;
  #waiter: SystemVWaiter | undefined;

  constructor(calls: SystemVCalls, maxWaiting: number, waiting: QueueWaiting) {
    this.#calls = calls;
    this.#waiters = new SystemVWaiters(calls);
    this.#maxWaiting = maxWaiting;
    this.#linger = new Linger(
      queuePatience(waiting),
      () => this.#advance(),
      () => this.#start(),
    );
  }

  /** True when a new send must stand in line. */
  get isWaiting(): boolean {
    return this.#line.length > 0;
  }

  /**
   * Waits until there is room; the body is copied.
   * @throws NARU_OVERLOADED, NARU_TOO_LARGE, NARU_LIMIT
   */
  wait(type: number, body: Uint8Array, options: QueueWaitOptions): Promise<void> {
    if (this.#line.length >= this.#maxWaiting) {
      const text = `${this.#line.length} sends wait for room, maxWaiting is ${this.#maxWaiting}; await each send`;
      throw queueError('NARU_OVERLOADED', this.#calls.name, text);
    }
    this.#calls.checkFits(body.length);
    const wait: Wait<void> = new Wait(this.#calls.name, 'no room', options, (error) => this.#drop(it, error));
    const it: Waiting = { type, body: Uint8Array.prototype.slice.call(body), wait };
    this.#line.push(it);
    if (this.#line.length === 1) this.#linger.start();
    return wait.promise;
  }

  /** Sends what there is room for. @returns true when nobody waits any more */
  #advance(): boolean {
    for (let first = this.#line[0]; first !== undefined; first = this.#line[0]) {
      try {
        if (!this.#calls.trySend(first.type, first.body)) return false;
        first.wait.resolve();
      } catch (error) {
        first.wait.reject(error);
      }
      this.#line.shift();
    }
    this.#rest();
    return true;
  }

  /** Lets the thread wait with the first. */
  #start(): void {
    for (let first = this.#line[0]; first !== undefined; first = this.#line[0]) {
      try {
        this.#waiter ??= this.#waiters.take();
        reserveRecords(first.body.length);
        this.#waiter.send(first.type, first.body, (errno) => this.#sent(errno));
        return;
      } catch (error) {
        first.wait.reject(error);
        this.#line.shift();
      }
    }
  }

  #sent(errno: number): void {
    const first = this.#line.shift();
    if (errno === 0) first?.wait.resolve();
    else first?.wait.reject(this.#calls.sendError(failureOf(errno, 'msgsnd'), first.body.length));
    this.#goOn();
  }

  /** The first has gone from the thread. */
  #goOn(): void {
    if (!this.#advance()) this.#start();
  }

  /** The limits of one wait are over. The first may have been sent in this moment: then it was. */
  #drop(it: Waiting, error: unknown): void {
    const index = this.#line.indexOf(it);
    if (index === 0 && this.#waiter?.cancel()?.[0] === 0) it.wait.resolve();
    else it.wait.reject(error);
    this.#line.splice(index, 1);
    // One that is still looked for has no thread to hand on.
    if (this.#line.length === 0) this.#rest();
    else if (index === 0 && this.#waiter !== undefined) this.#goOn();
  }

  #rest(): void {
    this.#linger.stop(false);
    if (this.#waiter === undefined) return;
    this.#waiters.give(this.#waiter);
    this.#waiter = undefined;
  }

  close(): void {
    const [first, ...others] = this.#line.splice(0);
    const closed = queueError(
      'NARU_CLOSED',
      this.#calls.name,
      'it was closed while a send waited; it was not sent',
    );
    if (this.#waiter?.cancel()?.[0] === 0) first?.wait.resolve();
    else first?.wait.reject(closed);
    for (const { wait } of others) wait.reject(closed);
    this.#rest();
    this.#waiters.close();
  }
}
