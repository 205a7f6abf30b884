// Finding and making System V queues: keys, msgget(2), and the list of /proc/sysvipc/msg.

import { readFileSync } from 'node:fs';
import type { NaruError } from '../errors/index.ts';
import { type NativeSystemVStatus, native } from '../native/index.ts';
import type { QueueWaiting } from './linger.ts';
import { asFailure, checkWhole, type Failure, generalError, limitText, queueError } from './queue-errors.ts';
import type { SystemVQueueStatus } from './system-v-types.ts';

/** Which queue; exactly one of `key`, `path` and `id`. */
export interface SystemVQueueOptions extends QueueWaiting {
  /** The queue's key, a 32-bit number other than 0; `'private'` makes a new queue that has none (IPC_PRIVATE). */
  readonly key?: number | 'private' | undefined;
  /** An existing file that stands for the key, with `project`: ftok(3). Two files can give the same key. */
  readonly path?: string | undefined;
  /** With `path`: from 1 to 255, or one ASCII character. Default: 1. */
  readonly project?: number | string | undefined;
  /** The id of an existing queue, as ipcs(1) shows it. */
  readonly id?: number | undefined;
  /** Default: `'if-missing'`. */
  readonly create?: 'if-missing' | 'new' | 'never' | undefined;
  /** Permission bits when it is made here. Default: 0o600. */
  readonly mode?: number | undefined;
  /** Most sends of this object that may wait for room. Default: 10,000. */
  readonly maxWaiting?: number | undefined;
}

const INT32 = 2 ** 31;

/** Finds or makes the queue that the options name. @returns its id, and what to call it in errors */
export function openSystemV(options: SystemVQueueOptions): { readonly id: number; readonly name: string } {
  const given = [options.key, options.path, options.id].filter((value) => value !== undefined).length;
  if (given !== 1) {
    throw queueError('NARU_INVALID_ARGUMENT', 'System V queue', 'give exactly one of key, path and id');
  }
  if (options.id !== undefined) return openById(options.id);
  const key = options.path === undefined ? numberOf(options.key) : keyOfPath(options.path, options.project);
  const name = key === 0 ? 'private System V queue' : `System V queue ${hex(key)}`;
  const { create = 'if-missing', mode = 0o600 } = options;
  if (!['if-missing', 'new', 'never'].includes(create)) {
    throw queueError('NARU_INVALID_ARGUMENT', name, `create must be if-missing, new or never, got ${create}`);
  }
  checkWhole(name, 'mode', mode, 0, 0o777);
  try {
    const id = native(name).systemVGet(key, create !== 'never', create === 'new', mode);
    return { id, name: key === 0 ? `${name} (id ${id})` : name };
  } catch (error) {
    throw openError(asFailure(error), name);
  }
}

function openById(id: number): { readonly id: number; readonly name: string } {
  const name = `System V queue with id ${id}`;
  checkWhole(name, 'id', id, 0, INT32 - 1);
  try {
    native(name).systemVStatus(id);
  } catch (error) {
    const failure = asFailure(error);
    const missing = failure.code === 'EINVAL' || failure.code === 'EIDRM';
    throw generalError(missing ? { ...failure, code: 'ENOENT' } : failure, name);
  }
  return { id, name };
}

function numberOf(key: number | 'private' | undefined): number {
  if (key === 'private') return 0;
  const valid = typeof key === 'number' && Number.isInteger(key) && key >= -INT32 && key < 2 * INT32;
  if (valid && key !== 0) return key | 0;
  const text = `key must be a 32-bit number other than 0, or 'private', got ${String(key)}`;
  throw queueError('NARU_INVALID_ARGUMENT', 'System V queue', text);
}

/** The key that a path and a project stand for: ftok(3). */
export function keyOfPath(path: string, project: number | string = 1): number {
  const name = `System V queue of ${path}`;
  const number = typeof project === 'string' && project.length === 1 ? project.charCodeAt(0) : project;
  checkWhole(name, 'project', number, 1, 255);
  try {
    return native(name).systemVKey(path, Number(number));
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code !== 'ENOENT') throw generalError(failure, name);
    throw queueError('NARU_NOT_FOUND', name, 'the file does not exist, so it gives no key (ftok)', error);
  }
}

function openError(failure: Failure, name: string): NaruError {
  if (failure.code !== 'ENOSPC') return generalError(failure, name);
  const text = `no more queues: ${limitText('kernel.msgmni')}; remove some (ipcrm) or raise the sysctl`;
  return queueError('NARU_LIMIT', name, text, failure.cause);
}

function hex(key: number): string {
  return `0x${(key >>> 0).toString(16).padStart(8, '0')}`;
}

/** The status in the public form. */
export function statusOf(id: number, status: NativeSystemVStatus): SystemVQueueStatus {
  const { sentAt, receivedAt, changedAt, ...rest } = status;
  return { ...rest, id, sentAt: date(sentAt), receivedAt: date(receivedAt), changedAt: date(changedAt) };
}

function date(seconds: number): Date | undefined {
  return seconds === 0 ? undefined : new Date(seconds * 1000);
}

/** All queues of this IPC namespace that the user may see; empty where /proc does not tell. */
export function listSystemV(): SystemVQueueStatus[] {
  let text: string;
  try {
    text = readFileSync('/proc/sysvipc/msg', 'utf8');
  } catch {
    return [];
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const columns = (lines[0] ?? '').trim().split(/\s+/);
  return lines.slice(1).map((line) => {
    const values = line.trim().split(/\s+/);
    return fromProc((name) => values[columns.indexOf(name)] ?? '0');
  });
}

/** /proc tells no limit; it is asked for where the queue may be read. */
function fromProc(field: (name: string) => string): SystemVQueueStatus {
  const id = Number(field('msqid'));
  return {
    key: Number(field('key')) | 0,
    id,
    mode: Number.parseInt(field('perms'), 8) & 0o777,
    uid: Number(field('uid')),
    gid: Number(field('gid')),
    creatorUid: Number(field('cuid')),
    creatorGid: Number(field('cgid')),
    count: Number(field('qnum')),
    bytes: Number(field('cbytes')),
    limitBytes: limitOf(id),
    lastSenderPid: Number(field('lspid')),
    lastReceiverPid: Number(field('lrpid')),
    sentAt: date(Number(field('stime'))),
    receivedAt: date(Number(field('rtime'))),
    changedAt: date(Number(field('ctime'))),
  };
}

function limitOf(id: number): number | undefined {
  try {
    return native('the list of System V queues').systemVStatus(id).limitBytes;
  } catch {
    return undefined;
  }
}
