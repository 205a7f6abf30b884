// What the kernel says about its queues, in the words of NaruError: a limit is named with its value and with what was asked.

import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { NaruError, type NaruErrorCode } from '../errors/index.ts';

/** The part of a failed system call that decides what it means. */
export interface Failure {
  readonly code: string;
  readonly syscall?: string | undefined;
  readonly cause?: unknown;
}

/** The value of a kernel parameter such as `kernel.msgmax`; undefined where it cannot be read. sysctl(8) */
export function sysctl(name: string): number | undefined {
  try {
    const value = Number(readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8'));
    return Number.isFinite(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** "kernel.msgmax is 8192" */
export function limitText(name: string): string {
  return `${name} is ${sysctl(name) ?? 'unknown'}`;
}

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** What the addon's waiting thread reports, as a failure. */
export function failureOf(errno: number, syscall: string): Failure {
  return { code: names.get(errno) ?? `E${errno}`, syscall };
}

/** A failed system call of the addon; everything else is thrown on. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Error && 'code' in error && 'errno' in error && typeof error.code === 'string') {
    const syscall = 'syscall' in error && typeof error.syscall === 'string' ? error.syscall : undefined;
    return { code: error.code, syscall, cause: error };
  }
  throw error;
}

/** A NaruError about one queue. */
export function queueError(code: NaruErrorCode, queue: string, message: string, cause?: unknown): NaruError {
  return new NaruError(code, `${queue}: ${message}`, { mailbox: queue, cause });
}

const GENERAL: Readonly<Record<string, readonly [NaruErrorCode, string]>> = {
  EACCES: ['NARU_DENIED', 'permission denied; look at its owner and mode'],
  EPERM: ['NARU_DENIED', 'only its owner, its creator or root may do that'],
  ENOENT: ['NARU_NOT_FOUND', 'there is no such object'],
  ENOTDIR: ['NARU_NOT_FOUND', 'there is no such object'],
  EEXIST: ['NARU_EXISTS', 'it exists already, and create is "new"'],
  EIDRM: ['NARU_CLOSED', 'it was removed'],
  ENOMEM: ['NARU_LIMIT', 'the kernel has no memory left for it'],
  EMFILE: ['NARU_LIMIT', 'the process has no descriptor left (ulimit -n)'],
  ENFILE: ['NARU_LIMIT', `the system has no descriptor left (fs.file-max)`],
  EAGAIN: ['NARU_LIMIT', 'no thread could be started (ulimit -u)'],
  EBUSY: ['NARU_LIMIT', 'no real-time signal is free to interrupt a wait with'],
  ENAMETOOLONG: ['NARU_INVALID_ARGUMENT', 'the name is too long'],
  ENOSYS: ['NARU_UNSUPPORTED', 'this kernel has no such queues'],
};

/** The error that a failed call means where nothing special is known about it. */
export function generalError(failure: Failure, queue: string): NaruError {
  const known = GENERAL[failure.code];
  const [code, text] = known ?? ['NARU_INVALID_ARGUMENT', 'the kernel refused it'];
  const where = failure.syscall === undefined ? failure.code : `${failure.syscall}: ${failure.code}`;
  return queueError(code, queue, `${text} (${where})`, failure.cause);
}

/** @throws NARU_INVALID_ARGUMENT */
export function checkWhole(queue: string, name: string, value: unknown, min: number, max: number): void {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return;
  throw queueError(
    'NARU_INVALID_ARGUMENT',
    queue,
    `${name} must be a whole number from ${min} to ${max}, got ${String(value)}`,
  );
}

/** @throws NARU_INVALID_ARGUMENT */
export function checkBody(queue: string, body: unknown): void {
  if (body instanceof Uint8Array) return;
  throw queueError('NARU_INVALID_ARGUMENT', queue, `the body must be a Uint8Array, got ${typeof body}`);
}
