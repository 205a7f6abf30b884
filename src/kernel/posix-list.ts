// The list of POSIX queues: the file system of type mqueue, which has a file for each. mq_overview(7)

import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../native/index.ts';
import { readQueueFile } from './posix-calls.ts';
import type { PosixQueueStatus } from './posix-types.ts';

/**
 * All queues; undefined when no such file system is mounted.
 * @param known  the status of a queue that must not be opened and closed here
 */
export function listPosix(
  known: (name: string) => PosixQueueStatus | undefined,
): PosixQueueStatus[] | undefined {
  const folder = mountOfQueues();
  if (folder === undefined) return undefined;
  return readdirSync(folder).flatMap((entry) => known(`/${entry}`) ?? statusOfFile(folder, entry));
}

/** Where a file system of the queues is mounted: mq_overview(7). */
function mountOfQueues(): string | undefined {
  try {
    const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n');
    return lines.map((line) => line.split(' ')).find(([, , type]) => type === 'mqueue')?.[1];
  } catch {
    return undefined;
  }
}

/** One queue of the list; none when it went in this moment. */
function statusOfFile(folder: string, entry: string): PosixQueueStatus[] {
  const path = join(folder, entry);
  const name = `/${entry}`;
  try {
    const { mode, uid, gid } = statSync(path);
    const common = { name, mode: mode & 0o777, uid, gid };
    return [{ ...common, ...contentOf(path, name) }];
  } catch {
    return [];
  }
}

type Content = Pick<PosixQueueStatus, 'maxMessages' | 'maxMessageBytes' | 'count' | 'bytes' | 'notifiedPid'>;

function contentOf(path: string, name: string): Content {
  const unknown = { maxMessages: undefined, maxMessageBytes: undefined, count: undefined };
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const [maxMessages, maxMessageBytes, count] = native(name).posixAttributes(fd);
    const { bytes, notifiedPid } = readQueueFile(fd);
    return { maxMessages, maxMessageBytes, count, bytes, notifiedPid };
  } catch {
    return { ...unknown, bytes: undefined, notifiedPid: undefined };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
