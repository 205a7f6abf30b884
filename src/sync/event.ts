// An event that processes and threads share: set or not; who waits goes on when it is set. Where the event lives is the driver's.

import type { SharedHandle } from '../mailbox/shared-handle.ts';
import { checkLimits, type WaitLimits } from '../mailbox/waiting.ts';
import type { EventDriver } from './driver.ts';
import { blockFor, closedError, syncError, type SyncLimits } from './handle.ts';
import { SyncCalls } from './sync-calls.ts';
import { IN_MEMORY, type SyncFeatures } from './sync-capabilities.ts';
import { WaitQueue } from './wait-queue.ts';

/**
 * An event that processes and threads share. Anybody sets and clears it. Whoever waits when it is set goes on, also when it is cleared again at
 * once.
 */
export class SharedEvent {
  readonly #driver: EventDriver;
  readonly #calls: SyncCalls;
  readonly #queue: WaitQueue<true>;
  #error: Error | undefined;
  #closing: Promise<void> | undefined;

  constructor(driver: EventDriver, features: SyncFeatures = IN_MEMORY) {
    this.#driver = driver;
    this.#calls = new SyncCalls(driver.facts, features);
    this.#queue = new WaitQueue(driver.facts.text, 'not set', (count) => this.#want(count));
  }

  /** The URL by which others open it. */
  get address(): string {
    return this.#driver.facts.address;
  }

  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle {
    return {
      kind: 'event',
      url: this.address,
      options: { ...this.#driver.facts.secrets },
      shapes: ['worker', 'child'],
    };
  }

  /** Who this handle is: `<pid>.<start>.<thread>/<n>`. */
  get identity(): string {
    return this.#driver.facts.identity;
  }

  /** @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT; NARU_UNSUPPORTED  the place does not answer at once */
  get isSet(): boolean {
    this.#check();
    this.#calls.mustAnswerAtOnce('isSet and tryWait()', 'wait({ timeoutMs })');
    return this.#driver.isSet;
  }

  /** Sets it, and lets everybody go on who waits. @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT */
  set(): void {
    this.#check();
    this.#driver.set();
    this.ready();
  }

  /** From now on who waits, waits. @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT */
  clear(): void {
    this.#check();
    this.#driver.clear();
  }

  /** Whether it is set, without waiting: `wait()` would return at once. @throws what `isSet` raises */
  tryWait(): boolean {
    return this.isSet;
  }

  /**
   * Waits until it is set. Keeps the process alive meanwhile.
   * @throws NARU_TIMEOUT; NARU_CLOSED; NARU_PEER_GONE; NARU_CORRUPT; NARU_INVALID_ARGUMENT; the signal's reason
   */
  async wait(limits: WaitLimits = {}): Promise<void> {
    checkLimits(limits, this.#driver.facts.text);
    const attempt = this.#attempt();
    if (attempt() === true) return;
    if (limits.timeoutMs === 0) {
      await this.#driver.poll?.();
      if (attempt() === true) return;
      throw syncError(this.#driver, 'NARU_TIMEOUT', 'not set within 0 ms');
    }
    await this.#queue.add(limits, attempt);
  }

  /**
   * Waits until it is set; blocks the thread.
   * @throws NARU_TIMEOUT; NARU_INTERRUPTED  a signal that has a handler came; NARU_CLOSED; NARU_PEER_GONE; NARU_CORRUPT; NARU_INVALID_ARGUMENT;
   *   NARU_UNSUPPORTED  the place blocks no thread
   */
  waitSync(limits: SyncLimits = {}): void {
    this.#calls.mustBlock('waitSync()', 'wait()');
    checkLimits(limits, this.#driver.facts.text);
    const attempt = this.#attempt();
    if (attempt() !== true) blockFor(this.#driver, attempt, limits, 'not set');
  }

  /** Ends waits of this handle with NARU_CLOSED, and leaves. The event goes with its last user. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Removes the event for everybody: the others get NARU_CLOSED. Closes this handle. */
  async unlink(): Promise<void> {
    this.#check();
    await this.#driver.unlink();
    await this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The driver says that it may have been set. */
  ready(): void {
    if (this.#queue.size > 0) this.#queue.serve(false);
  }

  /** The event is gone. */
  failed(error: Error): void {
    this.#error ??= error;
    this.#queue.rejectAll(error);
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

  /** It is set, or was set since. */
  #attempt(): () => true | undefined {
    this.#check();
    const before = this.#driver.count;
    return () => {
      this.#check();
      return this.#driver.isSet || this.#driver.count !== before ? true : undefined;
    };
  }
}
