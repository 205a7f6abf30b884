// What goes out over one socket, one message after the other: zeromq.js takes one send at a time. What it has not taken yet waits
// here, bounded by whoever puts it in. Which message, and whether there is somebody to send it to, is not asked here.
//
// A send that may wait asks libzmq first whether it must, which is a system call for each message and costs as much as all the rest.
// So a send may not wait, until one is refused for want of room.

import { nextTurn, turnIsOver } from '../../mailbox/waiting.ts';
import { codeOf } from './errors.ts';
import { isNeeded } from './idle.ts';
import { LOOK_MS, type Parts, TURN_MASK, type ZmqSocket } from './zeromq.ts';

/** What an outlet needs of its driver. */
export interface OutletInit {
  readonly socket: ZmqSocket;
  /** How long until a refused message is tried again, in milliseconds; 0: libzmq itself can wait for room. */
  readonly retryMs: number;
  /** A message has left. */
  readonly left: () => void;
  /** A message can never leave; only of those that have no `settle`. */
  readonly lost: (error: unknown) => void;
}

/** A message on its way. */
interface Entry {
  readonly parts: Parts;
  /** An answer: how it ended. */
  readonly settle: ((error?: unknown) => void) | undefined;
  /** When it is given up, in milliseconds of the process; only of answers. */
  readonly giveUpAt: number;
}

/** How long an answer may wait for room at its requester, in milliseconds. */
const ANSWER_MS = 5_000;
/** Sends that may wait, once one had to: where there is hardly ever room, each refusal for nothing would cost an error. */
const PATIENT_SENDS = 16;
/** Taken entries are cut off the list at so many. */
const COMPACT_AT = 1_024;

export class Outlet {
  readonly #init: OutletInit;
  #queue: Entry[] = [];
  #head = 0;
  #isBusy = false;
  #isClosed = false;
  #sends = 0;
  /** How many of the next sends may wait. */
  #patience = 0;
  #timer: NodeJS.Timeout | undefined;
  #whenEmpty: (() => void)[] = [];

  constructor(init: OutletInit) {
    this.#init = init;
  }

  /** Messages that libzmq has not taken yet. */
  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  put(parts: Parts): void {
    this.#queue.push({ parts, settle: undefined, giveUpAt: Infinity });
    this.run();
  }

  /** An answer to one requester. @throws what libzmq says of it, such as EHOSTUNREACH */
  answer(parts: Parts): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: unknown): void => (error === undefined ? resolve() : reject(error));
      this.#queue.push({ parts, settle, giveUpAt: performance.now() + ANSWER_MS });
      this.run();
    });
  }

  /** Goes on. Idempotent. */
  run(): void {
    if (this.#isBusy || this.#isClosed || this.#timer !== undefined) return;
    const entry = this.#queue[this.#head];
    if (entry === undefined) return;
    this.#isBusy = true;
    this.#sends += 1;
    if ((this.#sends & TURN_MASK) === 0 && turnIsOver()) void nextTurn().then(this.#onTurn);
    else this.#init.socket.send?.(entry.parts).then(this.#onSent, this.#onRefused);
  }

  /** @returns how many messages are left after so many milliseconds */
  async flush(ms: number): Promise<number> {
    if (this.waiting > 0 && ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#whenEmpty.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return this.waiting;
  }

  /** Forgets what is left. */
  close(error: unknown): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const left = this.#queue.slice(this.#head);
    this.#queue = [];
    this.#head = 0;
    for (const { settle } of left) settle?.(error);
  }

  readonly #onTurn = (): void => {
    this.#isBusy = false;
    this.run();
  };

  readonly #onSent = (): void => {
    this.#isBusy = false;
    if (this.#patience > 0 && !this.#isClosed) this.#endPatience();
    this.#take()?.settle?.();
    this.#next();
  };

  readonly #onRefused = (error: unknown): void => {
    this.#isBusy = false;
    if (this.#isClosed) return;
    if (codeOf(error) === 'EAGAIN') {
      this.#tryAgain();
      return;
    }
    const entry = this.#take();
    if (entry?.settle === undefined) this.#init.lost(error);
    else entry.settle(error);
    this.#next();
  };

  #take(): Entry | undefined {
    const entry = this.#queue[this.#head];
    if (entry === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#queue.length || this.#head >= COMPACT_AT) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }

  #next(): void {
    this.#init.left();
    if (this.waiting === 0) for (const tell of this.#whenEmpty.splice(0)) tell();
    this.run();
  }

  #tryAgain(): void {
    const { retryMs, socket } = this.#init;
    if (retryMs === 0) {
      const hasWaited = this.#patience > 0;
      this.#patience = PATIENT_SENDS;
      if (!hasWaited) socket.sendTimeout = LOOK_MS;
      // Without anything that keeps the process, it waits no more until somebody uses the handle.
      if (!hasWaited || isNeeded() || this.#whenEmpty.length > 0) this.run();
      return;
    }
    this.#passOver();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.run();
    }, retryMs);
  }

  #endPatience(): void {
    this.#patience -= 1;
    if (this.#patience === 0) this.#init.socket.sendTimeout = 0;
  }

  /** One requester that takes nothing must not hold up the answers to others. */
  #passOver(): void {
    const first = this.#queue[this.#head];
    if (first?.settle === undefined) return;
    this.#take();
    if (performance.now() < first.giveUpAt) this.#queue.push(first);
    else first.settle(Object.assign(new Error('the requester takes no answer'), { code: 'EAGAIN' }));
  }
}
