// A lock that processes and threads share: one handle has it, the others wait. Guards, re-entrance, tasks of one handle, and finding a handle
// that waits for itself. Where the lock lives is the driver's.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { SharedHandle } from '../mailbox/shared-handle.ts';
import { checkLimits, type WaitLimits, watchLimits } from '../mailbox/waiting.ts';
import type { LockDriver, SyncHolder } from './driver.ts';
import { blockFor, closedError, syncError, type SyncLimits } from './handle.ts';
import { SyncCalls } from './sync-calls.ts';
import { IN_MEMORY, type SyncFeatures } from './sync-capabilities.ts';
import { waitsForEver, WaitQueue } from './wait-queue.ts';

let letGo: (lock: Lock, turn: number) => void;

/** A lock that was taken; `using` or `await using` lets go of it at the end of the block. */
export class LockGuard {
  /** A holder before died with the lock: what it was about to change may be half changed. */
  readonly recovered: boolean;
  readonly #turn: number;
  #lock: Lock | undefined;

  constructor(lock: Lock, turn: number, recovered: boolean) {
    this.#lock = lock;
    this.#turn = turn;
    this.recovered = recovered;
  }

  /** Lets go. May be called again, and does nothing when the lock was let go of by other means. */
  release(): void {
    const lock = this.#lock;
    if (lock === undefined) return;
    this.#lock = undefined;
    letGo(lock, this.#turn);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }
}

/** Locks that the running task has, by `with()`. Made at first use: following tasks costs every promise of the thread a little. */
let tasks: AsyncLocalStorage<ReadonlySet<Lock>> | undefined;

/**
 * A lock that processes and threads share.
 *
 * Each handle is one holder: what one handle has, it has for the whole thread, whoever calls. `with()` keeps tasks of one handle apart as well.
 * Who waits gets it in no particular order. A holder that dies loses it, and the next one is told (`recovered`); a stopped one keeps it.
 */
export class Lock {
  static {
    letGo = (lock, turn) => lock.#letGo(turn);
  }

  readonly #driver: LockDriver;
  readonly #calls: SyncCalls;
  readonly #reentrant: boolean;
  readonly #queue: WaitQueue<LockGuard>;
  readonly #tasks: WaitQueue<boolean>;
  readonly #attempt: () => LockGuard | undefined;
  #hasTask = false;
  /** How often this handle took it and has not let go yet. */
  #depth = 0;
  /** Counts the times that this handle got it: a guard of an earlier time lets go of nothing. */
  #turn = 0;
  #error: Error | undefined;
  #closing: Promise<void> | undefined;
  #gone: AbortController | undefined;

  constructor(driver: LockDriver, reentrant: boolean, features: SyncFeatures = IN_MEMORY) {
    this.#driver = driver;
    this.#calls = new SyncCalls(driver.facts, features);
    this.#reentrant = reentrant;
    this.#queue = new WaitQueue(driver.facts.text, 'not acquired', (count) => this.#want(count));
    this.#tasks = new WaitQueue(driver.facts.text, 'not acquired', () => undefined);
    this.#attempt = () => this.#take();
  }

  /** The URL by which others open it. */
  get address(): string {
    return this.#driver.facts.address;
  }

  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle {
    return {
      kind: 'lock',
      url: this.address,
      options: { reentrant: this.#reentrant, ...this.#driver.facts.secrets },
      shapes: ['worker', 'child'],
    };
  }

  /** Who this handle is: `<pid>.<start>.<thread>/<n>`. */
  get identity(): string {
    return this.#driver.facts.identity;
  }

  /** Whether this handle has it. */
  get isHeld(): boolean {
    return this.#depth > 0;
  }

  /** Identity of the handle that has it; undefined when nobody has. @throws NARU_CLOSED; NARU_UNSUPPORTED  the place does not answer at once */
  get holder(): string | undefined {
    if (this.#error !== undefined) throw this.#error;
    this.#calls.mustAnswerAtOnce('holder', 'isHeld');
    return this.#driver.holder()?.identity;
  }

  /** Aborts, with the error, when the lock is gone for this handle: closed, removed, or lost with its place while this handle had it. */
  get gone(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController();
      if (this.#error !== undefined) this.#gone.abort(this.#error);
    }
    return this.#gone.signal;
  }

  /**
   * Takes it if it is free (or this handle's, when it is re-entrant).
   * @returns undefined when it is not
   * @throws NARU_CLOSED, NARU_PEER_GONE  it was closed or removed; NARU_CORRUPT; NARU_UNSUPPORTED  the place does not answer at once
   */
  tryAcquire(): LockGuard | undefined {
    this.#calls.mustAnswerAtOnce('tryAcquire()', 'acquire({ timeoutMs })');
    return this.#take();
  }

  /**
   * Takes it; waits while another has it. Keeps the process alive meanwhile.
   * @throws NARU_TIMEOUT; NARU_DEADLOCK  this handle has it, it is not re-entrant, and neither a time nor a signal ends the wait; NARU_CLOSED;
   *   NARU_PEER_GONE; NARU_CORRUPT; NARU_INVALID_ARGUMENT; the signal's reason
   */
  acquire(limits: WaitLimits = {}): Promise<LockGuard> {
    try {
      checkLimits(limits, this.#driver.facts.text);
      // Who waits already comes first.
      const guard = this.#queue.size === 0 ? this.#take() : undefined;
      if (guard !== undefined) return Promise.resolve(guard);
      if (this.#error !== undefined) throw this.#error;
      if (this.#depth > 0 && waitsForEver(limits)) throw this.#deadlock('this handle has it');
      if (limits.timeoutMs === 0) return this.#acquireNow();
      return this.#queue.add(limits, this.#attempt);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Takes it; blocks the thread while another has it.
   * @throws NARU_TIMEOUT; NARU_DEADLOCK  a handle of this very thread has it, and no time ends the wait; NARU_INTERRUPTED  a signal that has a
   *   handler came; NARU_CLOSED; NARU_PEER_GONE; NARU_CORRUPT; NARU_INVALID_ARGUMENT; NARU_UNSUPPORTED  the place blocks no thread
   */
  acquireSync(limits: SyncLimits = {}): LockGuard {
    this.#calls.mustBlock('acquireSync()', 'acquire()');
    const guard = this.#take();
    if (guard !== undefined) return guard;
    checkLimits(limits, this.#driver.facts.text);
    if (limits.timeoutMs === undefined) {
      const holder = this.#depth > 0 ? undefined : this.#driver.holder();
      if (this.#depth > 0 || holder?.isThisThread === true) throw this.#deadlock(describe(holder));
    }
    return blockFor(this.#driver, this.#attempt, limits, 'not acquired');
  }

  /** Lets go. @throws NARU_NOT_HELD  this handle does not have it; NARU_CLOSED */
  release(): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.#depth === 0)
      throw syncError(
        this.#driver,
        'NARU_NOT_HELD',
        'this handle does not have the lock, so it cannot let go',
      );
    this.#letGo(this.#turn);
  }

  /**
   * Takes it, runs `work`, and lets go, also when `work` throws. Calls of one handle follow each other in order, so that tasks of one thread can
   * share a handle.
   * @throws what `acquire()` and `work` throw; NARU_DEADLOCK  called from within `work` of the same lock, which is not re-entrant
   */
  async with<T>(work: (guard: LockGuard) => T | Promise<T>, limits: WaitLimits = {}): Promise<T> {
    checkLimits(limits, this.#driver.facts.text);
    tasks ??= new AsyncLocalStorage();
    const held = tasks.getStore();
    const isInside = held?.has(this) === true;
    if (isInside && !this.#reentrant) throw this.#deadlock('it is called from within a task that has it');
    const inner = new Set(held).add(this);
    if (isInside) return this.#run(work, inner, limits);
    const budget = signalFor(limits, this.#driver.facts.text);
    try {
      if (!this.#takeTurn()) await this.#tasks.add(budget.limits, () => this.#takeTurn() || undefined);
      try {
        return await this.#run(work, inner, budget.limits, budget.stop);
      } finally {
        this.#hasTask = false;
        this.#tasks.serve(true);
      }
    } finally {
      budget.stop();
    }
  }

  /** Lets go of it, ends waits of this handle with NARU_CLOSED, and leaves. The lock goes with its last user. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Removes the lock for everybody: the others get NARU_CLOSED, its holder at its next call. Closes this handle. */
  async unlink(): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    await this.#driver.unlink();
    await this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The driver says that trying again may help. */
  ready(): void {
    this.#queue.serve(true);
  }

  /** The lock is gone. */
  failed(error: Error): void {
    this.#error ??= error;
    this.#queue.rejectAll(error);
    this.#tasks.rejectAll(error);
    this.#gone?.abort(error);
  }

  /** Without waiting for anybody but the place itself. */
  async #acquireNow(): Promise<LockGuard> {
    if (this.#depth === 0) await this.#driver.poll?.();
    const guard = this.#depth === 0 ? this.#take() : undefined;
    if (guard === undefined) throw this.#late(0);
    return guard;
  }

  /** Of the tasks of this handle. */
  #takeTurn(): boolean {
    if (this.#hasTask) return false;
    this.#hasTask = true;
    return true;
  }

  async #run<T>(
    work: (guard: LockGuard) => T | Promise<T>,
    held: ReadonlySet<Lock>,
    limits: WaitLimits,
    started: () => void = () => undefined,
  ): Promise<T> {
    const guard = await this.acquire(limits);
    started();
    try {
      return await (tasks as AsyncLocalStorage<ReadonlySet<Lock>>).run(held, work, guard);
    } finally {
      guard.release();
    }
  }

  async #close(): Promise<void> {
    this.failed(closedError(this.#driver));
    this.#depth = 0;
    await this.#driver.close();
  }

  #want(count: number): void {
    if (this.#error === undefined) this.#driver.want(count);
  }

  #take(): LockGuard | undefined {
    if (this.#error !== undefined) throw this.#error;
    if (this.#depth > 0) {
      if (!this.#reentrant) return undefined;
      this.#depth += 1;
      return new LockGuard(this, this.#turn, false);
    }
    const taken = this.#driver.tryTake();
    if (taken === undefined) return undefined;
    this.#depth = 1;
    this.#turn += 1;
    if (this.#queue.size > 0) this.#refuseEndless();
    return new LockGuard(this, this.#turn, taken === 'recovered');
  }

  /** Whoever of this handle waits for ever now waits for this handle itself; not in the middle of a walk through those who wait. */
  #refuseEndless(): void {
    if (this.#reentrant) return;
    queueMicrotask(() => {
      if (this.#depth > 0) this.#queue.rejectEndless(this.#deadlock('this handle has it'));
    });
  }

  #letGo(turn: number): void {
    if (this.#depth === 0 || turn !== this.#turn) return;
    this.#depth -= 1;
    if (this.#depth > 0) return;
    this.#driver.give();
    if (this.#queue.size > 0) this.#queue.serve(true);
  }

  #deadlock(why: string): Error {
    return syncError(
      this.#driver,
      'NARU_DEADLOCK',
      `${why}, so waiting for ever would never end; let go first, open it re-entrant, give a timeoutMs, or use with() or a handle for each task`,
    );
  }

  #late(timeoutMs: number): Error {
    return syncError(this.#driver, 'NARU_TIMEOUT', `not acquired within ${timeoutMs} ms`);
  }
}

function describe(holder: SyncHolder | undefined): string {
  return holder === undefined ? 'this handle has it' : `handle ${holder.identity} of this very thread has it`;
}

/** One deadline for several waits. */
function signalFor(limits: WaitLimits, name: string): { limits: WaitLimits; stop: () => void } {
  if (limits.timeoutMs === undefined) return { limits, stop: () => undefined };
  const controller = new AbortController();
  const stop = watchLimits(limits, 'not acquired', name, (error) => controller.abort(error));
  return { limits: { signal: controller.signal }, stop };
}
