// Receives and sends that wait for a POSIX queue. Its descriptor is in the event loop's epoll set while anybody waits; when it is ready,
// those who wait are served in their order. Nothing is taken before somebody receives it, so an abort has nothing to give back.

import { type NativeAddon, type NativeWatch, native } from '../native/index.ts';
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
  #isLooking = false;
  /** The last that was waited for were messages. */
  #isPrepared = false;

  constructor(calls: PosixCalls, maxWaiting: number) {
    this.#addon = native(calls.name);
    this.#calls = calls;
    this.#maxWaiting = maxWaiting;
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
    this.#look();
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
    const it: WaitingSend = { priority, body: body.slice(), wait };
    this.#sends.push(it);
    this.#look();
    return wait.promise;
  }

  /**
   * What is waited for often comes within a turn of the event loop; only then is the descriptor watched. One that was watched for
   * messages before still is: native/posix_mq_wait.c.
   */
  #look(): void {
    if (this.#isPrepared && this.#sends.length === 0) return this.#update();
    if (this.#isLooking) return;
    this.#isLooking = true;
    setImmediate(() => {
      this.#isLooking = false;
      this.#ready();
    });
  }

  /** Tells the event loop what is waited for. */
  #update(): void {
    const events = (this.#receives.length > 0 ? READABLE : 0) | (this.#sends.length > 0 ? WRITABLE : 0);
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
    this.#update();
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
