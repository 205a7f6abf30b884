// Direct addressing: each thread's own inbox, and the inbox of another process or of the sender of a message.

import { NaruError } from './errors/index.ts';
import type { OpenOptions } from './mailbox/options.ts';
import type { Mailbox } from './mailbox/mailbox.ts';
import { formatIdentity, ownIdentity, parseIdentity, processStart } from './native/identity.ts';
import { open } from './open.ts';

/**
 * The URL of a process's inbox. Sending to it is direct addressing; opening it when the process is gone is NARU_PEER_GONE.
 *
 * @param process  a pid (its main thread), or an identity: `message.sender`, `mailbox.identity`
 * @throws NARU_PEER_GONE  no process has this pid
 * @throws NARU_INVALID_ARGUMENT  neither pid nor identity
 */
export function inboxOf(process: number | string): `shm://~inbox.${string}` {
  const identity = typeof process === 'number' ? identityOfPid(process) : parseIdentity(process);
  if (identity === undefined) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `"${process}" is neither a pid nor an identity like 1234.567890.0`,
    );
  }
  return `shm://~inbox.${formatIdentity(identity)}`;
}

/**
 * Opens the calling thread's own inbox: anybody of this user may send to it, only this handle receives; it goes with the
 * process.
 *
 * @throws NARU_EXISTS  this thread has its inbox open already; and what `open()` raises for shm://
 */
export async function openInbox(
  options: Omit<OpenOptions, 'create' | 'owner' | 'relation' | 'role'> = {},
): Promise<Mailbox<unknown, unknown, 'headers' | 'reply' | 'ack' | 'trySync' | 'waitSync'>> {
  const url = `shm://~inbox.${formatIdentity(ownIdentity())}`;
  const inbox = await open(url, {
    ...options,
    create: 'new',
    owner: 'process',
    relation: 'N:1',
    role: 'consumer',
  });
  return inbox as unknown as Mailbox<unknown, unknown, 'headers' | 'reply' | 'ack' | 'trySync' | 'waitSync'>;
}

function identityOfPid(pid: number): { pid: number; start: number; thread: number } {
  const start = processStart(pid);
  if (start === undefined) throw new NaruError('NARU_PEER_GONE', `no process has pid ${pid}`);
  return { pid, start, thread: 0 };
}
