// A FIFO's name in the file system: finding it, making it, opening one end. A symbolic link is not followed: whoever may write to the
// folder could point it anywhere. fifo(7), open(2)

import { closeSync, constants, fstatSync, lstatSync, openSync, type Stats } from 'node:fs';
import { native } from '../native/index.ts';
import { type Create, errnoOf, invalid, kernelCall, openOrCreate, type Tasks } from './object-errors.ts';
import { queueError } from './queue-errors.ts';
import type { QueueWaitOptions } from './queue-wait.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;

/**
 * Finds the FIFO, or makes it with exactly this mode.
 * @returns whether it was made here
 * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_INVALID_ARGUMENT  it is no FIFO; NARU_DENIED  also for a symbolic link; NARU_NATIVE_MISSING
 */
export function findOrMakeFifo(name: string, path: string, create: Create, mode: number): boolean {
  const addon = native(name);
  return openOrCreate<unknown>(
    name,
    create,
    () => checkFifo(name, path),
    () => addon.makeFifo(path, mode),
  ).made;
}

/** By its name: opening an end would be seen on the other side. @throws as openFifo(); a failed call as it is */
export function checkFifo(name: string, path: string): Stats {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) {
    throw queueError(
      'NARU_DENIED',
      name,
      'it is a symbolic link, which is not followed; name the FIFO itself',
    );
  }
  if (!stats.isFIFO()) throw invalid(name, 'it is no FIFO');
  return stats;
}

/**
 * Opens one end without waiting for the other.
 * @param access  O_RDONLY, O_WRONLY or O_RDWR
 * @returns the descriptor, which does not block; undefined: nobody reads (O_WRONLY only)
 * @throws NARU_NOT_FOUND, NARU_DENIED, NARU_LIMIT, NARU_INVALID_ARGUMENT  it is no FIFO
 */
export function openFifo(name: string, path: string, access: number): number | undefined {
  return kernelCall(name, () => {
    // Opening a device may do something, so it is looked at first; what was opened is looked at because the name may have changed.
    checkFifo(name, path);
    let fd: number;
    try {
      fd = openSync(path, access | O_NONBLOCK | O_NOFOLLOW);
    } catch (error) {
      if (errnoOf(error) === 'ENXIO') return undefined;
      throw error;
    }
    if (fstatSync(fd).isFIFO()) return fd;
    closeSync(fd);
    throw invalid(name, 'it is no FIFO any more');
  });
}

/**
 * Waits until somebody reads, in a thread that the kernel wakes. Keeps the process alive meanwhile.
 * @param late  gets the end if a reader came while the wait was given up: it has seen a writer, and closing would be the end for it.
 *   Absent: it is closed
 * @returns the end that writes; the descriptor does not block
 * @throws NARU_TIMEOUT; NARU_CLOSED  `tasks` was closed; NARU_NOT_FOUND, NARU_DENIED, NARU_LIMIT; the signal's reason
 */
export async function waitForReader(
  name: string,
  path: string,
  tasks: Tasks,
  options: QueueWaitOptions,
  late?: (fd: number) => void,
): Promise<number> {
  const addon = native(name);
  // The thread puts the end that it gets in the place of this descriptor, which has an owner whatever becomes of the wait.
  const fd = kernelCall(name, () => openSync('/dev/null', O_WRONLY));
  let ended: Promise<unknown> = Promise.resolve();
  let isTaken = false;
  const take = (): void => {
    if (late === undefined) return;
    isTaken = true;
    late(fd);
  };
  const start = (timeoutMs: number) => {
    const task = addon.waitReaderAsync(path, fd, timeoutMs);
    ended = task.promise.catch(() => undefined);
    return task;
  };
  try {
    await tasks.wait(start, options, 'nobody opened it for reading', take);
    return fd;
  } catch (error) {
    // Not before the thread has ended: the number would be somebody else's.
    void ended.then(() => (isTaken ? undefined : closeSync(fd)));
    throw error;
  }
}
