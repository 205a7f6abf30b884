// Receives and sends that wait for a POSIX queue. Its descriptor is in the event loop's epoll set while anybody waits; when it is ready,
// those who wait are served in their order. Nothing is taken before somebody receives it, so an abort has nothing to give back.

import { type NativeAddon, type NativeWatch, native } from '../native/index.ts';
import type { Patience } from '../waiting/patience.ts';
import { Linger, queuePatience, type QueueWaiting } from './linger.ts';
import type { PosixCalls } from './posix-calls.ts';
import type { PosixMessage } from './posix-types.ts';
import { asFailure, queueError } from './queue-errors.ts';
import { type QueueWaitOptions, Wait } from './queue-wait.ts';

const READABLE = 1;
const WRITABLE = 2;

interface WaitingSend {
  readonly priority: number;
  readonly body: Uint8Array;
  readonly wait: Wait<void>;
}

/** The waits of one queue object. */
export class PosixWaits {
  readonly #addon: NativeAddon;
  readonly #calls: PosixCalls;
  readonly #maxWaiting: number;
  readonly #receives: Wait<PosixMessage>[] = [];
  readonly #sends: WaitingSend[] = [];
  #watch: NativeWatch | undefined;
  #watched = 0;
  readonly #patience: Patience;
  readonly #linger: Linger;
  /** The last that was waited for were messages. */
  #isPrepared = false;

  constructor(calls: PosixCalls, maxWaiting: number, waiting: QueueWaiting) {
    this.#addon = native(calls.name);
    this.#calls = calls;
    this.#maxWaiting = maxWaiting;
    this.#patience = queuePatience(waiting);
    this.#linger = new Linger(
      this.#patience,
      () => this.#look(),
      () => this.#update(),
    );
  }

  /** True when a new receive must stand in line. */
  get hasReceives(): boolean {
    return this.#receives.length > 0;
  }

  /** True when a new send must stand in line. */
  get hasSends(): boolean {
    return this.#sends.length > 0;
  }

  receive(options: QueueWaitOptions): Promise<PosixMessage> {
    const wait: Wait<PosixMessage> = new Wait(this.#calls.name, 'no message', options, (error) => {
      this.#receives.splice(this.#receives.indexOf(wait), 1);
      wait.reject(error);
      this.#update();
    });
    this.#receives.push(wait);
    this.#await();
    return wait.promise;
  }

  /** The body is copied. @throws NARU_OVERLOADED */
  send(priority: number, body: Uint8Array, options: QueueWaitOptions): Promise<void> {
    if (this.#sends.length >= this.#maxWaiting) {
      const text = `${this.#sends.length} sends wait for room, maxWaiting is ${this.#maxWaiting}; await each send`;
      throw queueError('NARU_OVERLOADED', this.#calls.name, text);
    }
    const wait: Wait<void> = new Wait(this.#calls.name, 'no room', options, (error) => {
      this.#sends.splice(this.#sends.indexOf(it), 1);
      wait.reject(error);
      this.#update();
    });
    const it: WaitingSend = { priority, body: Uint8Array.prototype.slice.call(body), wait };
    this.#sends.push(it);
    this.#await();
    return wait.promise;
  }

  /**
   * It is looked for during some turns of the event loop; only then is the descriptor watched. Where looking brings nothing, one that
   * was watched for messages before still is: native/posix_mq_wait.c.
   */
  #await(): void {
    const isAlone = this.#sends.length === 0;
    if (isAlone && this.#isPrepared && this.#patience.turns === 0) {
      this.#patience.slept();
      this.#update();
    } else this.#linger.start();
  }

  #look(): boolean {
    this.#serve();
    return this.#receives.length === 0 && this.#sends.length === 0;
  }

  /** Tells the event loop what is waited for. */
  #update(): void {
    const events = (this.#receives.length > 0 ? READABLE : 0) | (this.#sends.length > 0 ? WRITABLE : 0);
    if (events === 0) this.#linger.stop(false);
    if (events === this.#watched) return;
    try {
      this.#watch ??= this.#addon.watch(this.#calls.fd, () => this.#ready());
      this.#addon.watchSet(this.#watch, events, true);
      this.#watched = events;
      this.#isPrepared = events === READABLE || (events === 0 && this.#isPrepared);
    } catch (error) {
      this.#fail(this.#calls.error(asFailure(error)));
    }
  }

  #ready(): void {
    if (this.#serve()) this.#linger.stop(true);
    this.#update();
  }

  /** @returns true when somebody got what he waited for */
  #serve(): boolean {
    const before = this.#receives.length + this.#sends.length;
    try {
      for (let first = this.#receives[0]; first !== undefined; first = this.#receives[0]) {
        const message = this.#calls.tryReceive();
        if (message === undefined) break;
        this.#receives.shift();
        first.resolve(message);
      }
      for (let first = this.#sends[0]; first !== undefined; first = this.#sends[0]) {
        if (!this.#calls.trySend(first.priority, first.body)) break;
        this.#sends.shift();
        first.wait.resolve();
      }
    } catch (error) {
      this.#fail(error);
    }
    return this.#receives.length + this.#sends.length < before;
  }

  #fail(error: unknown): void {
    for (const wait of this.#receives.splice(0)) wait.reject(error);
    for (const { wait } of this.#sends.splice(0)) wait.reject(error);
  }

  /** Before the descriptor is closed. */
  close(): void {
    this.#fail(
      queueError(
        'NARU_CLOSED',
        this.#calls.name,
        'it was closed while a call waited; nothing was taken or sent',
      ),
    );
    if (this.#watch !== undefined) this.#addon.watchClose(this.#watch);
    this.#watch = undefined;
    this.#watched = 0;
  }
}
