// Receives that wait. Those with the same selection share a thread and are served in their order; others get threads of their own,
// because msgrcv(2) takes one selection at a time and a wait for one type must not hold up another. A message that a thread took
// while its wait was aborted is kept for the next receive that wants it, and goes back into the queue at close.

import type { Patience } from '../waiting/patience.ts';
import { Linger, queuePatience, type QueueWaiting } from './linger.ts';
import { failureOf, queueError } from './queue-errors.ts';
import { type QueueWaitOptions, Wait } from './queue-wait.ts';
import type { SystemVCalls } from './system-v-calls.ts';
import { fit, isWanted, keyOf, type ReceiveRequest, type SystemVMessage } from './system-v-types.ts';
import { type SystemVWaiter, SystemVWaiters } from './system-v-waiter.ts';

/** Receives with one selection, and the thread that waits for them. */
interface Line {
  readonly key: string;
  readonly request: ReceiveRequest;
  readonly waits: Wait<SystemVMessage>[];
  readonly linger: Linger;
  /** undefined: none yet. */
  waiter: SystemVWaiter | undefined;
}

/** The waiting receives of one queue object. */
export class SystemVReceivers {
  readonly #calls: SystemVCalls;
  readonly #waiters: SystemVWaiters;
  readonly #lines = new Map<string, Line>();
  readonly #kept: SystemVMessage[] = [];
  readonly #patience: Patience;

  constructor(calls: SystemVCalls, waiting: QueueWaiting) {
    this.#calls = calls;
    this.#patience = queuePatience(waiting);
    this.#waiters = new SystemVWaiters(calls);
  }

  /** Messages taken from the kernel that nobody has received yet. */
  get kept(): number {
    return this.#kept.length;
  }

  /** True when a receive with this selection must stand in line. */
  hasLine(request: ReceiveRequest): boolean {
    return this.#lines.size > 0 && this.#lines.has(keyOf(request));
  }

  /** A message that was kept, if it is wanted. */
  takeKept(request: ReceiveRequest): SystemVMessage | undefined {
    if (this.#kept.length === 0) return undefined;
    const index = this.#kept.findIndex((message) => isWanted(message, request));
    if (index < 0) return undefined;
    const [message] = this.#kept.splice(index, 1);
    return message === undefined ? undefined : fit(message, request);
  }

  /** Waits for a message. Rejects with NARU_LIMIT when no thread could be started. */
  wait(request: ReceiveRequest, options: QueueWaitOptions): Promise<SystemVMessage> {
    const line = this.#lines.get(keyOf(request)) ?? this.#open(request);
    const wait: Wait<SystemVMessage> = new Wait(this.#calls.name, 'no message', options, (error) => {
      line.waits.splice(line.waits.indexOf(wait), 1);
      wait.reject(error);
      if (line.waits.length === 0) this.#shut(line);
    });
    line.waits.push(wait);
    return wait.promise;
  }

  #open(request: ReceiveRequest): Line {
    const key = keyOf(request);
    const linger = new Linger(
      this.#patience,
      () => this.#take(line),
      () => this.#start(line),
    );
    const line: Line = { key, request, waits: [], linger, waiter: undefined };
    this.#lines.set(key, line);
    linger.start();
    return line;
  }

  /** Lets a thread wait for the line. */
  #start(line: Line): void {
    const room = this.#calls.roomFor(line.request);
    try {
      line.waiter ??= this.#waiters.take();
      line.waiter.receive(line.request, room, (errno, message) => this.#woken(line, errno, message));
    } catch (error) {
      this.#fail(line, error);
    }
  }

  /** Nobody waits in this line any more; its thread may just have taken a message. */
  #shut(line: Line): void {
    this.#lines.delete(line.key);
    const message = line.waiter?.cancel()?.[1];
    this.#rest(line);
    if (message !== undefined) this.#keep(message);
  }

  #rest(line: Line): void {
    this.#lines.delete(line.key);
    line.linger.stop(false);
    if (line.waiter !== undefined) this.#waiters.give(line.waiter);
    line.waiter = undefined;
  }

  #keep(message: SystemVMessage): void {
    for (const line of this.#lines.values()) {
      if (!isWanted(message, line.request)) continue;
      line.waits.shift()?.resolve(fit(message, line.request));
      if (line.waits.length === 0) this.#shut(line);
      return;
    }
    this.#kept.push(message);
  }

  #woken(line: Line, errno: number, message: SystemVMessage | undefined): void {
    if (message === undefined) {
      const failure = failureOf(errno, 'msgrcv');
      if (failure.code === 'E2BIG' && this.#calls.makeRoom(line.request)) this.#start(line);
      else this.#fail(line, this.#calls.receiveError(failure, line.request));
      return;
    }
    line.waits.shift()?.resolve(message);
    if (!this.#take(line)) this.#start(line);
  }

  /** Serves the line without sleeping, as far as there are messages. @returns true when nobody waits in it any more */
  #take(line: Line): boolean {
    try {
      while (line.waits.length > 0) {
        const message = this.#calls.tryReceive(line.request);
        if (message === undefined) return false;
        line.waits.shift()?.resolve(message);
      }
      this.#rest(line);
    } catch (error) {
      this.#fail(line, error);
    }
    return true;
  }

  #fail(line: Line, error: unknown): void {
    this.#rest(line);
    for (const wait of line.waits.splice(0)) wait.reject(error);
  }

  /** Ends all waits. @returns how many messages found no room to go back to */
  close(): number {
    const closed = queueError('NARU_CLOSED', this.#calls.name, 'it was closed while a receive waited');
    for (const line of this.#lines.values()) {
      const message = line.waiter?.cancel()?.[1];
      if (message !== undefined) this.#kept.push(message);
      this.#rest(line);
      for (const wait of line.waits.splice(0)) wait.reject(closed);
    }
    this.#waiters.close();
    return this.#kept.splice(0).filter((message) => !this.#putBack(message)).length;
  }

  #putBack(message: SystemVMessage): boolean {
    try {
      return this.#calls.trySend(message.type, message.body);
    } catch {
      return false;
    }
  }
}
