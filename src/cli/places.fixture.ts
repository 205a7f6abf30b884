// The places that the tests of this folder run in, and how a receiver of each is started. Not a test itself.

import { existsSync } from 'node:fs';
import { nativeProblem } from '../native/index.ts';
import { until, type Running, type RunOptions, type Sandbox } from './command.fixture.ts';

/** Places that processes can share here. */
export const SHARED_PLACES: readonly string[] =
  nativeProblem() === undefined ? ['shm', 'unix', 'tcp'] : ['unix', 'tcp'];

/** Those that are queues of the kernel. */
export const QUEUE_PLACES: readonly string[] = nativeProblem() === undefined ? ['sysv', 'posixmq'] : [];

/** Those that are files. */
export const FILE_PLACES: readonly string[] = nativeProblem() === undefined ? ['mmap'] : [];
/** Those that are pipes. */
export const PIPE_PLACES: readonly string[] = nativeProblem() === undefined ? ['fifo', 'pipe'] : [];

/** Those that are databases in a file. */
export const DATABASE_PLACES: readonly string[] = nativeProblem() === undefined ? ['sqlite'] : [];

/** A receiver, and the URL that others reach its mailbox by. */
export interface Receiver extends Running {
  readonly url: string;
}

/** Starts `naru receive` as the one who makes the mailbox. */
export async function startReceiver(
  sandbox: Sandbox,
  place: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Receiver> {
  return startHost(sandbox, place, 'receive', args, options);
}

/** Starts a command that receives, and waits until its mailbox can be reached. */
export async function startHost(
  sandbox: Sandbox,
  place: string,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Receiver> {
  if (place === 'tcp') {
    const running = sandbox.start([command, 'tcp://127.0.0.1:0?listen', ...args], options);
    const [, url = ''] = await running.said(/listening on (\S+)/);
    return { ...running, url };
  }
  if (place === 'unix') {
    const running = sandbox.start([command, sandbox.socketUrl, ...args], options);
    await until(() => existsSync(sandbox.path('mailbox.sock')));
    return { ...running, url: sandbox.socketUrl };
  }
  const url = 'shm://mailbox';
  return { ...sandbox.start([command, url, ...args], options), url };
}
