// From a name to a part in a mailbox: finding it or making it, checking it, taking a slot. Everything here happens under the
// lock of the mailbox's folder. Seats of ends (lanes, the consumer's) are seats.ts's.

import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '../../errors/index.ts';
import type { WaitOptions } from '../../mailbox/options.ts';
import { newHandleIdentity, ownIdentity } from '../../native/identity.ts';
import { CLOSED, HEADER } from '../../ring/layout.ts';
import { geometryOf, headerWord, type RingMemory } from '../../ring/memory.ts';
import { fillSlot, findFreeSlot, seatMark } from '../../ring/participants.ts';
import { isAbandoned, recoverDead, type Recovered } from '../../ring/recovery.ts';
import type { Gid } from './access.ts';
import type { ShmEdges } from './edges.ts';
import { fifoPath, isDead, makeOwnFifo, PeerBells } from './fifo.ts';
import { lockFolder, removeFifos, removeFile, removeFolder, RING_FILE } from './folder.ts';
import { ioError } from './io-error.ts';
import { createObject, markReady, openObject, releaseObject, type RingObject } from './object.ts';
import { compareWithExisting, type ShmOptions } from './options.ts';
import { type Participation, ringAll } from './participation.ts';
import { ensureRuntimeFolder, existingRuntimeFolder, runtimeFolder } from './runtime-folder.ts';
import { Waiter } from './waiter.ts';

/** What attach() gives. */
export interface Attached {
  readonly part: Participation;
  readonly created: boolean;
  /** Dead participants that were cleaned up on the way. */
  readonly recovered: readonly Recovered[];
}

/**
 * Opens or makes a mailbox.
 *
 * @throws NARU_NOT_FOUND, NARU_PEER_GONE (inboxes, ports), NARU_EXISTS, NARU_DENIED, NARU_CORRUPT, NARU_UNSUPPORTED, NARU_LIMIT
 */
export async function attach(
  options: ShmOptions,
  wait: WaitOptions,
  signal: AbortSignal | undefined,
  edges: ShmEdges,
): Promise<Attached> {
  const mayCreate = options.create !== 'never';
  const { gid } = options;
  const folder = join(mayCreate ? ensureRuntimeFolder(gid) : existingRuntimeFolder(gid), options.name);
  const lock = await lockFolder(folder, mayCreate, signal, edges, gid);
  if (lock === 'absent') throw absent(options);
  try {
    return attachLocked(folder, options, wait, edges);
  } finally {
    lock.release();
  }
}

function attachLocked(folder: string, options: ShmOptions, wait: WaitOptions, edges: ShmEdges): Attached {
  const found = findLiving(folder, options.gid, edges);
  if (found === undefined && options.create === 'never') {
    removeFolder(folder, edges.failpoint);
    throw absent(options);
  }
  let object = found?.object;
  try {
    if (object === undefined) {
      object = createObject(folder, geometryOf(options.shape, Date.now()), edges, options.gid);
      const part = takeSlot(folder, options, object, wait, edges);
      const creator = seatMark(part.slot, part.generation);
      Atomics.store(object.memory.words, headerWord(HEADER.creator), creator);
      edges.failpoint('create:before-ready');
      markReady(object.memory);
      edges.failpoint('create:ready');
      return { part, created: true, recovered: [] };
    }
    if (options.create === 'new') throw exists(options);
    compareWithExisting(options, object.memory.geometry);
    const part = takeSlot(folder, options, object, wait, edges);
    return { part, created: false, recovered: found?.recovered ?? [] };
  } catch (error) {
    if (object !== undefined) releaseObject(object, edges);
    if (found === undefined) removeFolder(folder, edges.failpoint);
    throw error;
  }
}

/** The mailbox in the folder, its dead cleaned up; undefined when there is none that anybody may still use. */
function findLiving(
  folder: string,
  gid: Gid,
  edges: ShmEdges,
): { object: RingObject; recovered: readonly Recovered[] } | undefined {
  const object = openObject(folder, edges, gid);
  if (typeof object === 'string') {
    // Nobody holds the lock but us: who left this half-made is dead.
    removeFile(join(folder, RING_FILE));
    removeFifos(folder);
    return undefined;
  }
  const { memory } = object;
  const recovered = recoverDead(memory, -1, recoveryEdges(folder, memory, edges));
  const isClosed = Atomics.load(memory.words, headerWord(HEADER.closed)) !== CLOSED.open;
  if (!isClosed && !isAbandoned(memory)) return { object, recovered };
  releaseObject(object, edges);
  removeFile(join(folder, RING_FILE));
  removeFifos(folder);
  return undefined;
}

/** What recovery needs to know and to do in a mailbox's folder. */
export function recoveryEdges(
  folder: string,
  memory: RingMemory,
  edges: ShmEdges,
): Parameters<typeof recoverDead>[2] {
  return {
    isDead: (participant) => isDead(folder, participant, edges),
    removeBell: (slot) => removeFile(fifoPath(folder, slot)),
    ringAll: () => ringOthers(folder, memory, edges),
    yieldThread: () => edges.native.yieldThread(),
    now: () => performance.now(),
    failpoint: edges.failpoint,
  };
}

function ringOthers(folder: string, memory: RingMemory, edges: ShmEdges): void {
  const bells = new PeerBells(folder, memory, edges);
  ringAll({ memory, bells }, -1);
  bells.close();
}

function takeSlot(
  folder: string,
  options: ShmOptions,
  object: RingObject,
  wait: WaitOptions,
  edges: ShmEdges,
): Participation {
  const { memory } = object;
  const slot = findFreeSlot(memory);
  if (slot < 0) {
    throw new NaruError(
      'NARU_LIMIT',
      `${options.text}: all ${memory.geometry.participantCount} handles are in use; close some, or share one handle`,
      { place: 'shm', mailbox: options.text },
    );
  }
  const fd = makeOwnFifo(folder, slot, edges, options.gid);
  const waiter = waiterOn(fd, memory, slot, wait, edges);
  const identity = newHandleIdentity();
  const handle = Number(identity.slice(identity.indexOf('/') + 1));
  const generation = fillSlot(memory, slot, { ...ownIdentity(), handle });
  edges.failpoint('seat:slot-filled');
  return {
    text: options.text,
    folder,
    gid: options.gid,
    identity,
    isBackground: options.isBackground,
    object,
    memory,
    slot,
    generation,
    bells: new PeerBells(folder, memory, edges),
    waiter,
    edges,
    turn: { next: 0 },
    health: { error: undefined },
  };
}

function waiterOn(fd: number, memory: RingMemory, slot: number, wait: WaitOptions, edges: ShmEdges): Waiter {
  try {
    return new Waiter(memory.words, slot, fd, wait, edges);
  } catch (error) {
    closeSync(fd);
    throw ioError(error, 'waiting on', `p${slot}`);
  }
}

function absent(options: ShmOptions): NaruError {
  return options.isOwned
    ? new NaruError('NARU_PEER_GONE', `${options.text}: its owner is gone, or never opened it`, {
        place: 'shm',
        mailbox: options.text,
      })
    : new NaruError(
        'NARU_NOT_FOUND',
        `${options.text} does not exist in ${runtimeFolder(options.gid)}, and create is "never"`,
        { place: 'shm', mailbox: options.text },
      );
}

function exists(options: ShmOptions): NaruError {
  return new NaruError(
    'NARU_EXISTS',
    `${options.text} exists already and create is "new". Open it with create: "if-missing", or remove it with "naru rm".`,
    { place: 'shm', mailbox: options.text },
  );
}
