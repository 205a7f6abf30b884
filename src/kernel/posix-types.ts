// What a POSIX queue gives and takes, how it is opened, and what a refusal to open it means.

import { readFileSync } from 'node:fs';
import type { NaruError } from '../errors/index.ts';
import { native } from '../native/index.ts';
import type { QueueWaiting } from './linger.ts';
import {
  asFailure,
  checkWhole,
  type Failure,
  generalError,
  limitText,
  queueError,
  sysctl,
} from './queue-errors.ts';

/** A message of a POSIX queue. */
export interface PosixMessage {
  /** From 0 to 32767; the highest comes out first, equal ones in their order. */
  readonly priority: number;
  /** The bytes, exactly as they were sent. Yours for ever; its `buffer` may hold other messages too. */
  readonly body: Uint8Array;
}

/** How a queue is opened. */
export interface PosixQueueOptions extends QueueWaiting {
  /** Begins with a slash and has no other: `/jobs`. At most 255 bytes after the slash. */
  readonly name: string;
  /** Default: `'if-missing'`. */
  readonly create?: 'if-missing' | 'new' | 'never' | undefined;
  /** Permission bits when it is made here, whatever the umask. Default: 0o600. */
  readonly mode?: number | undefined;
  /** Default: both. */
  readonly access?: 'both' | 'read' | 'write' | undefined;
  /** Most messages; fixed when it is made. Default: `fs.mqueue.msg_default`, or what exists. */
  readonly maxMessages?: number | undefined;
  /** Longest body; fixed when it is made. Default: `fs.mqueue.msgsize_default`, or what exists. */
  readonly maxMessageBytes?: number | undefined;
  /** Most sends of this object that may wait for room. Default: 10,000. */
  readonly maxWaiting?: number | undefined;
}

/** A queue as it is now. */
export interface PosixQueueStatus {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** This, the next two and the bytes are undefined where the queue may not be read. */
  readonly maxMessages: number | undefined;
  readonly maxMessageBytes: number | undefined;
  /** Messages in it. */
  readonly count: number | undefined;
  /** Bytes of their bodies. */
  readonly bytes: number | undefined;
  /** Who waits for a notification: mq_notify(3). undefined: nobody, or not to be seen. The kernel keeps no last sender. */
  readonly notifiedPid: number | undefined;
}

/** An open queue. */
export interface OpenedPosix {
  readonly fd: number;
  readonly maxMessages: number;
  readonly maxMessageBytes: number;
}

const ACCESS = { read: 0, write: 1, both: 2 } as const;

/** @throws NARU_INVALID_ARGUMENT */
export function checkPosixName(name: unknown): void {
  const valid =
    typeof name === 'string' &&
    /^\/[^/\0]+$/.test(name) &&
    name !== '/.' &&
    name !== '/..' &&
    Buffer.byteLength(name) <= 256;
  if (valid) return;
  const text = 'the name must be a slash and up to 255 bytes without another slash, such as /jobs';
  throw queueError('NARU_INVALID_ARGUMENT', `POSIX queue ${String(name)}`, text);
}

/** Opens or makes the queue. */
export function openPosix(options: PosixQueueOptions): OpenedPosix {
  checkPosixName(options.name);
  const { create = 'if-missing', access = 'both', mode = 0o600 } = options;
  const name = `POSIX queue ${options.name}`;
  if (!['if-missing', 'new', 'never'].includes(create)) {
    throw queueError('NARU_INVALID_ARGUMENT', name, `create must be if-missing, new or never, got ${create}`);
  }
  if (!Object.hasOwn(ACCESS, access)) {
    throw queueError('NARU_INVALID_ARGUMENT', name, `access must be both, read or write, got ${access}`);
  }
  checkWhole(name, 'mode', mode, 0, 0o777);
  const asked = askedFor(options, name);
  let fd: number;
  try {
    const isNew = create === 'new';
    const creates = create !== 'never';
    const { messages, bytes } = asked;
    fd = native(name).posixOpen(options.name, ACCESS[access], creates, isNew, mode, messages, bytes);
  } catch (error) {
    throw openError(asFailure(error), name, asked);
  }
  const [maxMessages, maxMessageBytes] = native(name).posixAttributes(fd);
  const { maxMessages: messages = maxMessages, maxMessageBytes: bytes = maxMessageBytes } = options;
  if (messages === maxMessages && bytes === maxMessageBytes) return { fd, maxMessages, maxMessageBytes };
  native(name).posixClose(fd);
  const text = `it has maxMessages ${maxMessages} and maxMessageBytes ${maxMessageBytes}, asked for were ${messages} and ${bytes}`;
  throw queueError('NARU_EXISTS', name, text);
}

interface Asked {
  readonly messages: number;
  readonly bytes: number;
}

/** Both or neither: mq_open(3) knows no half. */
function askedFor({ maxMessages, maxMessageBytes }: PosixQueueOptions, name: string): Asked {
  if (maxMessages !== undefined) checkWhole(name, 'maxMessages', maxMessages, 1, 2 ** 31 - 1);
  if (maxMessageBytes !== undefined) checkWhole(name, 'maxMessageBytes', maxMessageBytes, 1, 2 ** 31 - 1);
  if (maxMessages === undefined && maxMessageBytes === undefined) return { messages: 0, bytes: 0 };
  const smaller = (kind: string, otherwise: number): number =>
    Math.min(sysctl(`fs.mqueue.${kind}_default`) ?? otherwise, sysctl(`fs.mqueue.${kind}_max`) ?? otherwise);
  return { messages: maxMessages ?? smaller('msg', 10), bytes: maxMessageBytes ?? smaller('msgsize', 8192) };
}

function openError(failure: Failure, name: string, { messages, bytes }: Asked): NaruError {
  const asked =
    messages === 0
      ? 'the default size was asked for'
      : `${messages} messages of ${bytes} bytes were asked for`;
  const limits = `${limitText('fs.mqueue.msg_max')}, ${limitText('fs.mqueue.msgsize_max')}`;
  const limit = (text: string): NaruError => queueError('NARU_LIMIT', name, text, failure.cause);
  switch (failure.code) {
    case 'EINVAL':
      return limit(`${asked}, ${limits}; ask for less or raise the sysctl`);
    case 'ENOSPC':
      return limit(`no more queues: ${limitText('fs.mqueue.queues_max')}; remove some or raise the sysctl`);
    case 'EMFILE':
      return limit(
        `${asked}; RLIMIT_MSGQUEUE (ulimit -q) is ${queueLimit()} bytes for all queues of the user, or the process has no descriptor left (ulimit -n)`,
      );
    case 'EOVERFLOW':
      return limit(`${asked}, which is more than the kernel can count; ${limits}`);
    default:
      return generalError(failure, name);
  }
}

/** The soft RLIMIT_MSGQUEUE of this process. */
function queueLimit(): string {
  try {
    return /^Max msgqueue size +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
