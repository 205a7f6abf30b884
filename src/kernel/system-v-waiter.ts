// A thread that waits for one System V queue, used by one wait at a time: native/system_v_wait.c. Threads are kept for the next
// wait, so that a queue that is empty now and then starts none again.

import { type NativeAddon, type NativeQueueWaiter, native, type QueueWaitOutcome } from '../native/index.ts';
import { asFailure } from './queue-errors.ts';
import { writeRecord } from './records.ts';
import type { SystemVCalls } from './system-v-calls.ts';
import type { ReceiveRequest, SystemVMessage } from './system-v-types.ts';

/** Threads kept idle for each queue object and direction. */
const KEPT_IDLE = 2;

/** Called once for each wait that was started and not cancelled. */
export type WaitDone = (errno: number, message: SystemVMessage | undefined) => void;

/** One thread. */
export class SystemVWaiter {
  readonly #addon: NativeAddon = native('a System V queue');
  readonly #thread: NativeQueueWaiter;
  #done: WaitDone | undefined;

  /** @param isBackground  its waits keep no process alive */
  constructor(id: number, isBackground: boolean) {
    const told = (...outcome: QueueWaitOutcome): void => {
      const done = this.#done;
      this.#done = undefined;
      done?.(outcome[0], messageIn(outcome));
    };
    this.#thread = this.#addon.systemVWaiter(id, told, isBackground);
  }

  receive({ selector, truncate, except }: ReceiveRequest, room: number, done: WaitDone): void {
    this.#done = done;
    this.#addon.systemVWaitReceive(this.#thread, selector, truncate, except, room);
  }

  send(type: number, body: Uint8Array, done: WaitDone): void {
    this.#done = done;
    writeRecord(type, body);
    this.#addon.systemVWaitSend(this.#thread);
  }

  /** Ends the wait. @returns what it had done by then: the errno (0 = sent or received) and the message; undefined: nothing */
  cancel(): readonly [number, SystemVMessage | undefined] | undefined {
    this.#done = undefined;
    const outcome = this.#addon.systemVWaitCancel(this.#thread);
    return outcome === undefined ? undefined : [outcome[0], messageIn(outcome)];
  }

  close(): void {
    this.#addon.systemVWaitClose(this.#thread);
  }
}

function messageIn([, body, type]: QueueWaitOutcome): SystemVMessage | undefined {
  return body === undefined || type === undefined ? undefined : { type, body: new Uint8Array(body) };
}

/** The threads of one queue object. */
export class SystemVWaiters {
  readonly #calls: SystemVCalls;
  readonly #idle: SystemVWaiter[] = [];

  readonly #isBackground: boolean;

  constructor(calls: SystemVCalls, isBackground = false) {
    this.#calls = calls;
    this.#isBackground = isBackground;
  }

  /** @throws NARU_LIMIT  no thread could be started */
  take(): SystemVWaiter {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    try {
      return new SystemVWaiter(this.#calls.id, this.#isBackground);
    } catch (error) {
      throw this.#calls.error(asFailure(error));
    }
  }

  /** Takes back one that waits for nothing. */
  give(waiter: SystemVWaiter): void {
    if (this.#idle.length < KEPT_IDLE) this.#idle.push(waiter);
    else waiter.close();
  }

  close(): void {
    for (const waiter of this.#idle.splice(0)) waiter.close();
  }
}
