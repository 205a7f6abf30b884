// Signals with a value and a sender: sigqueue(3), and a handler that puts each into a ring and wakes the event loop.

import { readFileSync, readlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { basename } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { type NativeAddon, native } from '../native/index.ts';
import { invalid, kernelCall } from './object-errors.ts';
import { checkWhole, queueError } from './queue-errors.ts';

/** A name such as `'SIGUSR2'`, a number, or `'SIGRTMIN+3'` for a real-time signal. */
export type SignalName = string | number;

/** A signal that arrived. */
export interface ReceivedSignal {
  /** Its name; real-time ones as `SIGRTMIN+n`. */
  readonly signal: string;
  readonly number: number;
  /** What the sender gave to sigqueue(3); undefined when it came another way (kill(2), the terminal, a timer). */
  readonly value: number | undefined;
  /** Who sent it; 0: the kernel. */
  readonly pid: number;
  readonly uid: number;
}

export interface SendSignalOptions {
  /** Send it also where the process seems to have no handler, and may die of it. Default: false. */
  readonly force?: boolean | undefined;
}

/** Ends with `close()`; the handler that was there before is put back. */
export interface SignalSubscription extends Disposable, AsyncDisposable {
  readonly signal: string;
  close(): void;
}

/** sigaction(2) si_code: sent by sigqueue(3), and by mq_notify(3). */
const WITH_VALUE: ReadonlySet<number> = new Set([-1, -3]);
const DRAIN_AT_ONCE = 256;

const REFUSED: Readonly<Record<string, string>> = {
  SIGKILL: 'the kernel lets nobody handle it',
  SIGSTOP: 'the kernel lets nobody handle it',
  SIGUSR1: 'Node opens its debugger with it',
  SIGPROF: "V8's profiler uses it",
  SIGVTALRM: 'V8 uses it',
  SIGCHLD: 'Node waits for its child processes with it',
  SIGPIPE: 'Node ignores it, so that a broken pipe is an error and not death',
  SIGSEGV: 'it means that this process is broken',
  SIGBUS: 'it means that this process is broken',
  SIGFPE: 'it means that this process is broken',
  SIGILL: 'it means that this process is broken',
  SIGTRAP: 'it belongs to debuggers',
  SIGABRT: 'it means that this process is broken',
  SIGSYS: 'it means that this process is broken',
};

type Handler = (signal: ReceivedSignal) => void;

const handlers = new Map<number, Set<Handler>>();
let bell: Socket | undefined;

/**
 * Sends a signal with a value to one process. sigqueue(3)
 *
 * Real-time signals (`SIGRTMIN` to `SIGRTMAX`) queue up; of the others one that is pending swallows the next. A
 * signal that its receiver does not handle kills it, so one is refused where /proc/<pid>/status shows neither a handler
 * (SigCgt) nor that it is blocked (SigBlk); so is SIGUSR1 to a Node process. A program that sits in sigwait(3) shows neither: use
 * `force`. Between the look and the signal the process may change.
 *
 * @param value  a 32-bit integer
 * @throws NARU_PEER_GONE  there is no such process; NARU_DENIED; NARU_UNSUPPORTED  it has no handler; NARU_LIMIT
 *   RLIMIT_SIGPENDING; NARU_INVALID_ARGUMENT; NARU_NATIVE_MISSING
 */
export function sendSignal(
  pid: number,
  signal: SignalName,
  value = 0,
  options: SendSignalOptions = {},
): void {
  const object = `process ${pid}`;
  const addon = native('sendSignal()');
  const number = numberOf(addon, signal);
  checkWhole(object, 'pid', pid, 1, 2 ** 31 - 1);
  checkWhole(object, 'value', value, -(2 ** 31), 2 ** 31 - 1);
  if (options.force !== true) checkReceiver(addon, object, pid, number);
  kernelCall(object, () => addon.signalSend(pid, number, value), {
    ESRCH: ['NARU_PEER_GONE', 'there is no such process'],
    EAGAIN: ['NARU_LIMIT', 'too many signals are waiting (RLIMIT_SIGPENDING, ulimit -i)'],
    EPERM: ['NARU_DENIED', 'it belongs to another user'],
  });
}

/**
 * Calls `handler` in the event loop for each signal that arrives, with its value and its sender. sigaction(2)
 *
 * The kernel hands real-time signals out in order, but each to any thread of the process that is free: two that come at the same moment
 * can be seen the other way round. Who needs the order sends it along in the value.
 *
 * Holds up to 4,096 that the event loop has not seen; more are counted by `lostSignals()`. Does not keep the process alive.
 * While it is open, `process.on()` for the same signal must not be used: one of the two would be lost.
 *
 * @throws NARU_UNSUPPORTED  Node or the kernel needs this signal, or this is a worker; NARU_INVALID_ARGUMENT  no such signal;
 *   NARU_EXISTS  the program has a listener of process.on(); NARU_NATIVE_MISSING
 */
export function onSignal(signal: SignalName, handler: Handler): SignalSubscription {
  const addon = native('onSignal()');
  const number = numberOf(addon, signal);
  const name = nameOf(addon, number);
  const reason = REFUSED[name];
  if (reason !== undefined) throw queueError('NARU_UNSUPPORTED', name, `cannot be handled: ${reason}`);
  if (!isMainThread)
    throw queueError('NARU_UNSUPPORTED', name, 'signals are handled in the main thread only');
  if (process.listenerCount(name) > 0) {
    throw queueError('NARU_EXISTS', name, 'has a listener of process.on(): remove it first');
  }
  // An own function, so that the same handler can be given twice.
  const own: Handler = (received) => handler(received);
  const existing = handlers.get(number);
  if (existing !== undefined) existing.add(own);
  else {
    listen(addon);
    kernelCall(name, () => addon.signalInstall(number));
    handlers.set(number, new Set([own]));
  }
  const close = (): void => remove(addon, number, own);
  return {
    signal: name,
    close,
    [Symbol.dispose]: close,
    [Symbol.asyncDispose]: async () => close(),
  };
}

/** Signals that found no room, because the event loop was busy for long; counted since the process began. */
export function lostSignals(): number {
  return native('lostSignals()').signalLost();
}

function remove(addon: NativeAddon, number: number, own: Handler): void {
  const set = handlers.get(number);
  if (set?.delete(own) !== true || set.size > 0) return;
  handlers.delete(number);
  kernelCall(nameOf(addon, number), () => addon.signalUninstall(number));
}

/** Once for the process; the bell's pipe is never closed, because a handler may be about to write into it. */
function listen(addon: NativeAddon): void {
  if (bell !== undefined) return;
  // A copy for the socket to own.
  bell = new Socket({ fd: addon.duplicate(addon.signalBell()), readable: true, writable: false });
  bell.on('data', () => drain(addon));
  bell.unref();
}

function drain(addon: NativeAddon): void {
  const fields = addon.signalDrain(DRAIN_AT_ONCE);
  // The rest after timers and sockets had their turn; a handler that throws must not lose it either.
  if (fields.length === DRAIN_AT_ONCE * 5) setImmediate(drain, addon);
  for (let i = 0; i < fields.length; i += 5) {
    const [number = 0, value = 0, pid = 0, uid = 0, code = 0] = fields.slice(i, i + 5);
    const received: ReceivedSignal = {
      signal: nameOf(addon, number),
      number,
      value: WITH_VALUE.has(code) ? value : undefined,
      pid: code > 0 ? 0 : pid,
      uid: code > 0 ? 0 : uid,
    };
    for (const handler of handlers.get(number) ?? []) call(handler, received);
  }
}

/** What a handler throws is uncaught, as in any event listener, and does not keep the next signals from theirs. */
function call(handler: Handler, received: ReceivedSignal): void {
  try {
    handler(received);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

function numberOf(addon: NativeAddon, signal: SignalName): number {
  const { signalRealTimeFirst: first, signalRealTimeLast: last } = addon;
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(String(signal));
  let number: number | undefined;
  if (typeof signal === 'number') number = signal;
  else if (realTime === null) number = (constants.signals as Readonly<Record<string, number>>)[signal];
  else {
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === '-' ? -1 : 1);
    number = (realTime[1] === 'MIN' ? first : last) + offset;
    if (number < first || number > last) number = undefined;
  }
  const isKnown =
    number !== undefined &&
    Number.isInteger(number) &&
    number > 0 &&
    (number < 32 || (number >= first && number <= last));
  if (isKnown && number !== undefined) return number;
  throw invalid('signal', `there is no signal ${String(signal)} (a name, 1 to 31, or ${first} to ${last})`);
}

function nameOf(addon: NativeAddon, number: number): string {
  if (number >= addon.signalRealTimeFirst) return `SIGRTMIN+${number - addon.signalRealTimeFirst}`;
  const found = Object.entries(constants.signals).find(
    ([name, value]) => value === number && !['SIGIOT', 'SIGPOLL', 'SIGUNUSED'].includes(name),
  );
  return found?.[0] ?? `signal ${number}`;
}

/** @throws NARU_UNSUPPORTED, NARU_PEER_GONE */
function checkReceiver(addon: NativeAddon, object: string, pid: number, number: number): void {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch (cause) {
    throw queueError('NARU_PEER_GONE', object, 'there is no such process', cause);
  }
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '0';
  if ('ZX'.includes(field('State'))) throw queueError('NARU_PEER_GONE', object, 'it is dead');
  const bit = 1n << BigInt(number - 1);
  const name = nameOf(addon, number);
  const isExpected = ['SigCgt', 'SigBlk'].some((mask) => (BigInt(`0x${field(mask)}`) & bit) !== 0n);
  if (!isExpected) {
    throw queueError(
      'NARU_UNSUPPORTED',
      object,
      `it has no handler for ${name} and could die of it; force sends it`,
    );
  }
  if (name === 'SIGUSR1' && isNode(pid)) {
    throw queueError(
      'NARU_UNSUPPORTED',
      object,
      'SIGUSR1 would open the debugger of this Node; force sends it',
    );
  }
}

function isNode(pid: number): boolean {
  try {
    const program = readlinkSync(`/proc/${pid}/exe`);
    return program === process.execPath || basename(program).startsWith('node');
  } catch {
    return false;
  }
}
