// naru rm: destroys a mailbox for everybody.

import { isNaruError, NaruError } from '../errors/index.ts';
import { command, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError } from './exit.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import { engineMapOf } from './engine-map.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';

const ARGS = { url: URL_ARGUMENT, 'url-file': URL_FILE_FLAG } as const;

export const rm: Command = command({
  name: 'rm',
  description: 'Removes a mailbox, or another object that naru ls shows, with everything in it',
  args: ARGS,
  notes: `
Of a mailbox and a value, array or map of one name the mailbox goes first. Whoever uses it gets NARU_CLOSED; messages in it are lost. A mailbox in shared memory, in a mapped file or in a log is
removed even when it is damaged; a map on SQLite, PostgreSQL or Redis is removed with all its entries, one on memcached cannot be; a file that is no mailbox never is. Exit code 1 with NARU_NOT_FOUND when there is none. Shared memory, a semaphore and a FIFO lose their name; who has them
open goes on, but who waits for a System V semaphore gets an error.`,
  examples: ['naru rm shm://jobs', "naru rm 'shm://jobs?accessGroup=staff'", 'naru rm sysv-shm://0x1234'],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  const target = await findTarget(positionals, args['url-file']);
  if (target.rest.length > 0) throw new UsageError(`too many arguments: "${target.rest[0]}"`);
  const { connect, partsOf } = await import('./connect.ts');
  const url = partsOf(target);
  if (url.scheme === 'shm') return removeShared(url);
  if (url.scheme === 'mmap') return removeFile(url);
  const { findKernelObject, holdsNoMessages } = await import('./kernel-objects.ts');
  // Opening a FIFO would let go whoever waits for its other side.
  if (holdsNoMessages(url) || url.scheme === 'fifo') {
    findKernelObject(url)?.remove();
    return EXIT.done;
  }
  const map = await engineMapOf(target, url, ending);
  if (map !== undefined) {
    await map.unlink();
    await map.close();
    return EXIT.done;
  }
  try {
    const { mailbox } = await connect(target, { create: 'never' }, ending);
    await mailbox.unlink();
    await mailbox.close({ flushMs: 0 });
  } catch (error) {
    if (url.scheme !== 'file' || !isNaruError(error, 'NARU_CORRUPT')) throw error;
    const { removeLog } = await import('../places/file/index.ts');
    await removeLog(url);
  }
  return EXIT.done;
}

/** By name: a damaged mailbox cannot be opened, and is what most needs to be removed. */
async function removeShared(url: PlaceUrl): Promise<number> {
  const [{ checkParameters }, { groupFolder, place, removeMailbox, runtimeFolder }] = await Promise.all([
    import('../open.ts'),
    import('../places/shm/index.ts'),
  ]);
  // A mistyped accessGroup must not remove the mailbox of that name that is the user's own.
  checkParameters(url, place);
  const group = url.extra['accessGroup'];
  if (await removeMailbox(url.host, group === undefined ? runtimeFolder() : groupFolder(group)))
    return EXIT.done;
  const { removeStateByName } = await import('../places/shm/state-leftovers.ts');
  if (await removeStateByName(url.host, group === undefined ? runtimeFolder() : groupFolder(group)))
    return EXIT.done;
  throw new NaruError('NARU_NOT_FOUND', `${url.text}: there is no such mailbox, value, array or map`);
}

/** The same of a mapped file. */
async function removeFile(url: PlaceUrl): Promise<number> {
  const [{ checkParameters }, { place, removeMapped }] = await Promise.all([
    import('../open.ts'),
    import('../places/mmap/index.ts'),
  ]);
  checkParameters(url, place);
  if (await removeMapped(url)) return EXIT.done;
  throw new NaruError('NARU_NOT_FOUND', `${url.text}: there is no such mailbox, value, array or map`);
}
