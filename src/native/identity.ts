// Who this thread is, in a form that no other process or thread of this boot ever has: pid, start time, thread. A pid alone
// is reused by the kernel and shared by worker threads. For names and messages; proof of life is a held lock, never this.

import { readFileSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

/** A process and one thread of it. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start of the process: clock ticks since boot (proc_pid_stat(5), field 22); elsewhere milliseconds since the epoch. */
  readonly start: number;
  readonly thread: number;
}

let own: ProcessIdentity | undefined;
/** Shared by all copies of the package in this thread: each would count from 1. */
const HANDLES = Symbol.for('naru.handles');

/** The calling thread's identity. */
export function ownIdentity(): ProcessIdentity {
  own ??= {
    pid: process.pid,
    start: processStart(process.pid) ?? Math.round(performance.timeOrigin),
    thread: threadId,
  };
  return own;
}

/** A fresh identity for one handle of this thread: `<pid>.<start>.<thread>/<n>`. It becomes `Envelope.sender`. */
export function newHandleIdentity(): string {
  const shared = globalThis as { [HANDLES]?: number };
  const handle = (shared[HANDLES] ?? 0) + 1;
  shared[HANDLES] = handle;
  return `${formatIdentity(ownIdentity())}/${handle}`;
}

/** `<pid>.<start>.<thread>` */
export function formatIdentity(identity: ProcessIdentity): string {
  return `${identity.pid}.${identity.start}.${identity.thread}`;
}

/** Reads `<pid>.<start>.<thread>` with or without `/<n>`; undefined when it is something else. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  const match = /^(\d{1,10})\.(\d{1,15})\.(\d{1,10})(?:\/\d+)?$/.exec(text);
  if (match === null) return undefined;
  return { pid: Number(match[1]), start: Number(match[2]), thread: Number(match[3]) };
}

/**
 * When a process started (proc_pid_stat(5), field 22).
 * @returns undefined when there is no such process, when it is a zombie, or where there is no /proc
 */
export function processStart(pid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  return state === 'Z' || state === 'X' ? undefined : Number(fields[19]);
}
