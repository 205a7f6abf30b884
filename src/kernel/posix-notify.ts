// mq_notify(3): being told when a message comes into an empty queue. One registrant for each queue, one shot, and only from empty to
// non-empty; a queue that holds messages already tells nothing. Registering anew comes before draining, or an arrival between is missed.

import { constants } from 'node:os';
import type { NaruError } from '../errors/index.ts';
import { type NativeAddon, type NativeQueueNotifier, native } from '../native/index.ts';
import type { PosixCalls } from './posix-calls.ts';
import { asFailure, queueError } from './queue-errors.ts';

/** A notification by a signal. */
export interface PosixNotifySignal {
  /** A name such as `'SIGUSR2'` or `'SIGRTMIN+1'`, or its number. This process must handle it already. */
  readonly signal: string | number;
  /** What the handler finds in `si_value.sival_int`. Default: 0. */
  readonly value?: number | undefined;
}

/** Told when a message has come into the empty queue; with an error when there will be no more notifications. */
export type PosixArrival = (error?: NaruError) => void;

/** A registration. */
export interface PosixNotification extends Disposable {
  /** Registered now, as far as is known here: a signal that was sent is not seen. */
  readonly isArmed: boolean;
  /**
   * Registers anew after a signal; do it before the queue is drained. A callback's registration renews itself.
   * @throws NARU_EXISTS  somebody else registered meanwhile
   * @throws NARU_CLOSED, NARU_INVALID_ARGUMENT
   */
  rearm(): void;
  /** Takes the registration back. */
  close(): void;
}

/** Registers for a signal. */
export class SignalNotification implements PosixNotification {
  readonly #addon: NativeAddon;
  readonly #calls: PosixCalls;
  readonly #number: number;
  readonly #value: number;
  readonly #onClose: (it: PosixNotification) => void;
  #isArmed = false;
  #isClosed = false;

  constructor(calls: PosixCalls, options: PosixNotifySignal, onClose: (it: PosixNotification) => void) {
    this.#addon = native(calls.name);
    this.#calls = calls;
    this.#onClose = onClose;
    this.#number = signalNumber(this.#addon, calls.name, options.signal);
    this.#value = options.value ?? 0;
    this.rearm();
  }

  get isArmed(): boolean {
    return this.#isArmed;
  }

  rearm(): void {
    if (this.#isClosed) throw queueError('NARU_CLOSED', this.#calls.name, 'the notification was closed');
    checkHandled(this.#addon, this.#calls.name, this.#number);
    try {
      this.#addon.posixNotifySignal(this.#calls.fd, this.#number, this.#value);
      this.#isArmed = true;
    } catch (error) {
      throw notifyError(this.#calls, error);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose(this);
    if (this.#isArmed) this.#addon.posixNotifyCancel(this.#calls.fd);
    this.#isArmed = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Registers for a callback in the event loop, again and again. */
export class CallbackNotification implements PosixNotification {
  readonly #addon: NativeAddon;
  readonly #calls: PosixCalls;
  readonly #onArrival: PosixArrival;
  readonly #onClose: (it: PosixNotification) => void;
  readonly #notifier: NativeQueueNotifier;
  #isArmed = false;
  #isClosed = false;

  constructor(calls: PosixCalls, onArrival: PosixArrival, onClose: (it: PosixNotification) => void) {
    this.#addon = native(calls.name);
    this.#calls = calls;
    this.#onArrival = onArrival;
    this.#onClose = onClose;
    this.#notifier = this.#addon.posixNotifier(() => this.#notified());
    try {
      this.rearm();
    } catch (error) {
      this.#addon.posixNotifierClose(this.#notifier);
      throw error;
    }
    // What is there already would never be told.
    if (calls.count() > 0) {
      queueMicrotask(() => {
        if (!this.#isClosed) onArrival();
      });
    }
  }

  get isArmed(): boolean {
    return this.#isArmed;
  }

  rearm(): void {
    if (this.#isClosed) throw queueError('NARU_CLOSED', this.#calls.name, 'the notification was closed');
    if (this.#isArmed) return;
    try {
      this.#addon.posixNotifierArm(this.#notifier, this.#calls.fd);
      this.#isArmed = true;
    } catch (error) {
      throw notifyError(this.#calls, error);
    }
  }

  #notified(): void {
    if (this.#isClosed) return;
    this.#isArmed = false;
    try {
      this.rearm();
    } catch (error) {
      this.close();
      this.#onArrival(error as NaruError);
      return;
    }
    this.#onArrival();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose(this);
    if (this.#isArmed) this.#addon.posixNotifyCancel(this.#calls.fd);
    this.#isArmed = false;
    this.#addon.posixNotifierClose(this.#notifier);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function notifyError(calls: PosixCalls, error: unknown): NaruError {
  const failure = asFailure(error);
  if (failure.code !== 'EBUSY') return calls.error(failure);
  return queueError(
    'NARU_EXISTS',
    calls.name,
    'another registration for notification exists; the kernel keeps one for each queue',
    error,
  );
}

function signalNumber(addon: NativeAddon, queue: string, signal: string | number): number {
  const [min, max] = addon.realTimeSignals();
  const named = Object.entries(constants.signals).find(([name]) => name === signal)?.[1];
  const match = /^SIGRT(MIN|MAX)([+-]\d+)?$/.exec(String(signal));
  const realTime = match === null ? undefined : (match[1] === 'MIN' ? min : max) + Number(match[2] ?? 0);
  const number = typeof signal === 'number' ? signal : (named ?? realTime);
  const isRealTime = number !== undefined && number >= min && number <= max;
  if (number !== undefined && Number.isInteger(number) && number >= 1 && (isRealTime || number < 32))
    return number;
  const text = `${String(signal)} is no signal; give a name such as SIGUSR2 or SIGRTMIN+1 (SIGRTMIN is ${min}, SIGRTMAX ${max})`;
  throw queueError('NARU_INVALID_ARGUMENT', queue, text);
}

/**
 * A signal that nobody handles ends the process. Node itself handles some: SIGUSR1 opens the debugger, SIGINT and SIGTERM end the
 * process in order; so those that Node knows by name need a listener of the program's.
 */
function checkHandled(addon: NativeAddon, queue: string, number: number): void {
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  const handled = addon.signalHasHandler(number) && (name === undefined || process.listenerCount(name) > 0);
  if (handled) return;
  const shown = name ?? `signal ${number}`;
  const why = name === 'SIGUSR1' ? 'it would open the debugger' : 'it would end the process or do nothing';
  throw queueError(
    'NARU_INVALID_ARGUMENT',
    queue,
    `${shown} has no handler in this process: ${why}. Install one first`,
  );
}
