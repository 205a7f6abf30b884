// Leaving a lock, semaphore or event, clearing up after the dead, and removing it for everybody; all under the lock of its folder.

import { type HeldLock, lockFolder, removeMailboxFiles, tryLockFolder } from '../mapped-ring/folder.ts';
import { objectState } from '../mapped-ring/object-file.ts';
import { isClosed, ringAll } from '../mapped-ring/participation.ts';
import { recoveryEdges } from '../mapped-ring/seat.ts';
import { CLOSED } from '../ring/layout.ts';
import { participantAt } from '../ring/participants.ts';
import { closeFor, isAbandoned, isCreator } from '../ring/recovery.ts';
import { recoverDeadHolders, vacateSeat } from '../ring/sync-recovery.ts';
import type { SyncPart } from './attach.ts';

/** The lock is only ever held for a few system calls; a stopped holder must not hang close() for ever. */
const LOCK_WAIT_MS = 5_000;

/** Gives back what the dead had. @returns false when the lock was busy: try again soon */
export function recoverNow(part: SyncPart): boolean {
  const lock = tryLockFolder(part.site, false, part.edges);
  if (typeof lock === 'string') return lock === 'absent';
  try {
    if (objectState(part.object, part.edges) === 'ok') recover(part);
  } finally {
    lock.release();
  }
  return true;
}

/** Gives back what this handle has, and its seat; with the last user, or the owner, the object goes. */
export async function leave(part: SyncPart): Promise<void> {
  try {
    release(part, await lockFolder(part.site, false, AbortSignal.timeout(LOCK_WAIT_MS), part.edges), false);
  } catch {
    // The lock could not be had: with its FIFO closed this handle counts as dead, and the next one cleans up.
  }
}

/** The same at the end of the process, where nothing can wait. What it still has then was never let go of: the next holder is told. */
export function leaveNow(part: SyncPart): void {
  try {
    release(part, tryLockFolder(part.site, false, part.edges), true);
  } catch {
    // The folder is closed to us, and nobody listens to errors any more: others see a dead holder.
  }
}

/** Removes it for everybody. */
export async function destroy(part: SyncPart): Promise<void> {
  const lock = await lockFolder(part.site, false, AbortSignal.timeout(LOCK_WAIT_MS), part.edges);
  if (lock === 'absent') return;
  try {
    if (objectState(part.object, part.edges) === 'ok') remove(part);
  } finally {
    lock.release();
  }
}

function release(part: SyncPart, lock: HeldLock | 'absent' | 'busy', isDeath: boolean): void {
  if (typeof lock === 'string') return;
  try {
    // Removed and perhaps made again: nothing in this folder is ours any more.
    if (objectState(part.object, part.edges) !== 'ok') return;
    const { memory, slot, site, edges } = part;
    const self = participantAt(memory, slot);
    if (isCreator(memory, self)) closeFor(memory, CLOSED.closed);
    vacateSeat(memory, self, isDeath, recoveryEdges(site, memory, edges));
    recover(part);
    if (isClosed(memory) || isAbandoned(memory)) remove(part);
  } finally {
    lock.release();
  }
}

function recover(part: SyncPart): void {
  recoverDeadHolders(part.memory, part.slot, recoveryEdges(part.site, part.memory, part.edges));
}

function remove(part: SyncPart): void {
  closeFor(part.memory, CLOSED.closed);
  ringAll(part, part.slot);
  removeMailboxFiles(part.site, part.edges.failpoint);
}
