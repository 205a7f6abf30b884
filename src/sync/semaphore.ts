// A semaphore that processes and threads share: so many permits, who finds none waits. What a handle has comes back when it closes or dies.
// Where the semaphore lives is the driver's.

import type { SharedHandle } from '../mailbox/shared-handle.ts';
import { checkLimits, type WaitLimits } from '../mailbox/waiting.ts';
import type { SemaphoreDriver } from './driver.ts';
import { blockFor, closedError, syncError, type SyncLimits } from './handle.ts';
import { SyncCalls } from './sync-calls.ts';
import { IN_MEMORY, type SyncFeatures } from './sync-capabilities.ts';
import { WaitQueue } from './wait-queue.ts';

let settle: (semaphore: Semaphore, how: 'give' | 'spend') => void;

/** A permit that was taken; `using` or `await using` gives it back at the end of the block. */
export class Permit {
  /** A holder before died, and its permit came back: what it was about may be half done. */
  readonly recovered: boolean;
  #semaphore: Semaphore | undefined;

  constructor(semaphore: Semaphore, recovered: boolean) {
    this.#semaphore = semaphore;
    this.recovered = recovered;
  }

  /** Gives it back. May be called again; does nothing after `spend()`. */
  release(): void {
    this.#settle('give');
  }

  /** Keeps it for good: it comes back neither at the end of the block nor when this process dies. For permits that count things. */
  spend(): void {
    this.#settle('spend');
  }

  [Symbol.dispose](): void {
    this.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }

  #settle(how: 'give' | 'spend'): void {
    const semaphore = this.#semaphore;
    this.#semaphore = undefined;
    if (semaphore !== undefined) settle(semaphore, how);
  }
}

/**
 * A counter of permits that processes and threads share.
 *
 * What a handle has taken is its own until it gives it back; when it closes or dies the rest comes back by itself, and the next one who takes a
 * permit is told (`recovered`). `release()` of a handle that has none makes one more, unless the semaphore is bounded.
 */
export class Semaphore {
  static {
    settle = (semaphore, how) => semaphore.#settle(how);
  }

  readonly #driver: SemaphoreDriver;
  readonly #calls: SyncCalls;
  readonly #queue: WaitQueue<Permit>;
  readonly #attempt: () => Permit | undefined;
  #error: Error | undefined;
  #closing: Promise<void> | undefined;

  constructor(driver: SemaphoreDriver, features: SyncFeatures = IN_MEMORY) {
    this.#driver = driver;
    this.#calls = new SyncCalls(driver.facts, features);
    this.#queue = new WaitQueue(driver.facts.text, 'not acquired', (count) => this.#want(count));
    this.#attempt = () => this.#take();
  }

  /** The URL by which others open it. */
  get address(): string {
    return this.#driver.facts.address;
  }

  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle {
    return {
      kind: 'semaphore',
      url: this.address,
      options: { ...this.#driver.facts.secrets },
      shapes: ['worker', 'child'],
    };
  }

  /** Who this handle is: `<pid>.<start>.<thread>/<n>`. */
  get identity(): string {
    return this.#driver.facts.identity;
  }

  /** Only who has a permit gives one back. */
  get bounded(): boolean {
    return this.#driver.bounded;
  }

  /** Permits that are left at this moment. @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT; NARU_UNSUPPORTED  the place does not answer at once */
  get value(): number {
    this.#check();
    this.#calls.mustAnswerAtOnce('value', 'held');
    return this.#driver.value;
  }

  /** Permits that this handle has. @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT */
  get held(): number {
    this.#check();
    return this.#driver.held;
  }

  /**
   * Takes a permit if there is one.
   * @returns undefined when there is none
   * @throws NARU_CLOSED, NARU_PEER_GONE  it was closed or removed; NARU_CORRUPT; NARU_LIMIT  this handle has 16,777,215;
   *   NARU_UNSUPPORTED  the place does not answer at once
   */
  tryAcquire(): Permit | undefined {
    this.#calls.mustAnswerAtOnce('tryAcquire()', 'acquire({ timeoutMs })');
    return this.#take();
  }

  /**
   * Takes a permit; waits while there is none. Keeps the process alive meanwhile.
   * @throws NARU_TIMEOUT; NARU_CLOSED; NARU_PEER_GONE; NARU_CORRUPT; NARU_LIMIT; NARU_INVALID_ARGUMENT; the signal's reason
   */
  acquire(limits: WaitLimits = {}): Promise<Permit> {
    try {
      checkLimits(limits, this.#driver.facts.text);
      // Who waits already comes first.
      const permit = this.#queue.size === 0 ? this.#take() : undefined;
      if (permit !== undefined) return Promise.resolve(permit);
      this.#check();
      if (limits.timeoutMs === 0) return this.#acquireNow();
      return this.#queue.add(limits, this.#attempt);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Takes a permit; blocks the thread while there is none.
   * @throws NARU_TIMEOUT; NARU_INTERRUPTED  a signal that has a handler came; NARU_CLOSED; NARU_PEER_GONE; NARU_CORRUPT; NARU_LIMIT;
   *   NARU_INVALID_ARGUMENT; NARU_UNSUPPORTED  the place blocks no thread
   */
  acquireSync(limits: SyncLimits = {}): Permit {
    this.#calls.mustBlock('acquireSync()', 'acquire()');
    const permit = this.#take();
    if (permit !== undefined) return permit;
    checkLimits(limits, this.#driver.facts.text);
    return blockFor(this.#driver, this.#attempt, limits, 'not acquired');
  }

  /**
   * Gives one back; of a semaphore that is not bounded, a handle that has none makes one more.
   * @throws NARU_NOT_HELD  it is bounded and this handle has none; NARU_LIMIT  there are 2,147,483,647; NARU_CLOSED; NARU_PEER_GONE; NARU_CORRUPT
   */
  release(): void {
    this.#check();
    if (this.#driver.held > 0 || this.#driver.bounded) this.#driver.give();
    else this.#driver.add();
    this.#serve();
  }

  /** Takes a permit, runs `work`, and gives it back, also when `work` throws. @throws what `acquire()` and `work` throw */
  async with<T>(work: (permit: Permit) => T | Promise<T>, limits: WaitLimits = {}): Promise<T> {
    const permit = await this.acquire(limits);
    try {
      return await work(permit);
    } finally {
      permit.release();
    }
  }

  /** Gives back what this handle has, ends its waits with NARU_CLOSED, and leaves. The semaphore goes with its last user. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Removes the semaphore for everybody: the others get NARU_CLOSED. Closes this handle. */
  async unlink(): Promise<void> {
    this.#check();
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

  /** The semaphore is gone. */
  failed(error: Error): void {
    this.#error ??= error;
    this.#queue.rejectAll(error);
  }

  /** Without waiting for anybody but the place itself. */
  async #acquireNow(): Promise<Permit> {
    await this.#driver.poll?.();
    const permit = this.#take();
    if (permit === undefined) throw syncError(this.#driver, 'NARU_TIMEOUT', 'not acquired within 0 ms');
    return permit;
  }

  #close(): Promise<void> {
    this.failed(closedError(this.#driver));
    return this.#driver.close();
  }

  #check(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  #want(count: number): void {
    if (this.#error === undefined) this.#driver.want(count);
  }

  #take(): Permit | undefined {
    this.#check();
    const taken = this.#driver.tryTake();
    return taken === undefined ? undefined : new Permit(this, taken === 'recovered');
  }

  #settle(how: 'give' | 'spend'): void {
    // Closed or removed: everything went back, or there is nothing to give it back to.
    if (this.#error !== undefined) return;
    // Given back by release() of the handle already.
    if (this.#driver.held === 0) return;
    if (how === 'spend') this.#driver.spend();
    else this.#driver.give();
    this.#serve();
  }

  #serve(): void {
    if (this.#queue.size > 0) this.#queue.serve(true);
  }
}
