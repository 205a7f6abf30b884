// A System V queue that belongs to one process: others find it by its key, and the kernel itself proves whether its owner lives. The
// owner has a segment of shared memory attached that is removed already, so it exists as long as the owner, SIGKILL included; the queue's
// key is made from the segment's id. Execute bits, which mean nothing to the kernel here, and an odd limit mark such queues.

import { isNaruError } from '../errors/index.ts';
import { native } from '../native/index.ts';
import { sysctl } from './queue-errors.ts';
import { SharedMemory } from './shared-memory.ts';
import { listSystemV } from './system-v-open.ts';
import { SystemVQueue } from './system-v-queue.ts';
import type { SystemVQueueStatus } from './system-v-types.ts';

/** Execute bits: set for owner and others, not for the group, as in no mode that a program gives a queue (0777, 0666, 0600, …). */
const EXECUTE = 0o111;
const MARK = 0o101;
/** Bytes that it holds: a number that nobody else chooses; less than the kernel's default. */
const LIMIT_BYTES = 16_206;
/** "Naru" */
const KEY_MASK = 0x4e617275;

/** A queue of one's own. */
export interface OwnQueue {
  readonly id: number;
  readonly key: number;
  /** Removes it, with what is in it. May be called again. */
  close(): void;
}

/**
 * Makes a queue that belongs to this process.
 * @param mode  who else may use it; execute bits do not count
 * @throws NARU_LIMIT  kernel.msgmni, shmmni; NARU_NATIVE_MISSING
 */
export function makePrivateQueue(mode: number): OwnQueue {
  cleanPrivateQueues();
  const spare: SharedMemory[] = [];
  try {
    for (;;) {
      const life = SharedMemory.systemV('private', { sizeBytes: 1 });
      const { id: segment = 0 } = life.status();
      life.remove();
      const key = (segment ^ KEY_MASK) | 0;
      const queue = key === 0 ? undefined : tryMake(key, (mode & ~EXECUTE) | MARK);
      if (queue !== undefined) return ownQueue(queue, key, life);
      // Somebody else's queue has that key: kept until there is another, so that the kernel gives another id.
      spare.push(life);
    }
  } finally {
    for (const life of spare) life.close();
  }
}

function tryMake(key: number, mode: number): number | undefined {
  try {
    const queue = SystemVQueue.open({ key, create: 'new', mode });
    // Whoever dies in between leaves a queue that is not proved to be of Naru, and stays.
    queue.setLimit(limitBytes());
    return queue.id;
  } catch (error) {
    if (isNaruError(error, 'NARU_EXISTS')) return undefined;
    throw error;
  }
}

function ownQueue(id: number, key: number, life: SharedMemory): OwnQueue {
  let isClosed = false;
  return {
    id,
    key,
    close: () => {
      if (isClosed) return;
      isClosed = true;
      remove(id);
      life.close();
    },
  };
}

function remove(id: number): boolean {
  try {
    native('a private queue').systemVRemove(id);
    return true;
  } catch {
    // Removed by somebody else, or not ours to remove.
    return false;
  }
}

/** Somebody's queue. */
export interface FoundQueue {
  readonly id: number;
  /** Whether its owner is gone for good; then the queue is, too. */
  isGone(): boolean;
}

/**
 * Finds the private queue of a living process by its key.
 * @returns undefined when there is none: its owner is gone
 */
export function findPrivateQueue(key: number): FoundQueue | undefined {
  let id: number;
  try {
    id = SystemVQueue.open({ key, create: 'never' }).id;
    if (!isMarked(native('a private queue').systemVStatus(id))) return undefined;
  } catch {
    return undefined;
  }
  const isGone = (): boolean => {
    if (!isOwnerAlive(key)) remove(id);
    return !exists(id);
  };
  return isGone() ? undefined : { id, isGone };
}

function exists(id: number): boolean {
  try {
    native('a private queue').systemVStatus(id);
    return true;
  } catch (error) {
    return codeOf(error) === 'EACCES';
  }
}

/** The owner's segment lives exactly as long as the owner. */
function isOwnerAlive(key: number): boolean {
  try {
    native('a private queue').systemVShmStat(segmentOf(key));
    return true;
  } catch (error) {
    // Who may not look at it has learned that it is there.
    return codeOf(error) === 'EACCES';
  }
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code;
}

function segmentOf(key: number): number {
  return key ^ KEY_MASK;
}

type Marks = Pick<SystemVQueueStatus, 'key' | 'mode' | 'limitBytes'>;

function isMarked({ key, mode, limitBytes: limit }: Marks): boolean {
  const isKey = key !== 0 && segmentOf(key) >= 0;
  return isKey && (mode & EXECUTE) === MARK && limit === limitBytes();
}

function limitBytes(): number {
  return Math.min(LIMIT_BYTES, sysctl('kernel.msgmnb') ?? LIMIT_BYTES);
}

/** Private queues that were left by processes of this user that are dead, proved by the kernel. */
export function listDeadPrivateQueues(): SystemVQueueStatus[] {
  const uid = process.getuid?.();
  return listSystemV().filter(
    (queue) => isMarked(queue) && queue.creatorUid === uid && !isOwnerAlive(queue.key),
  );
}

/** Removes them. @returns those that went */
export function cleanPrivateQueues(): SystemVQueueStatus[] {
  return listDeadPrivateQueues().filter(({ id }) => remove(id));
}
