// From a name to a part in a mailbox: finding it or making it, checking it, taking a slot. Everything here happens under the
// lock of the mailbox's folder. Seats of ends (lanes, the consumer's) are seats.ts's.

import { closeSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import type { WaitOptions } from '../mailbox/options.ts';
import { newHandleIdentity, ownIdentity } from '../native/identity.ts';
import { CLOSED, HEADER } from '../ring/layout.ts';
import { geometryOf, headerWord, type RingMemory } from '../ring/memory.ts';
import { fillSlot, findFreeSlot, seatMark } from '../ring/participants.ts';
import { isAbandoned, recoverDead, type Recovered } from '../ring/recovery.ts';
import type { RingEdges } from './edges.ts';
import { fifoPath, isDead, makeOwnFifo, PeerBells } from './fifo.ts';
import { lockFolder, removeFifos, removeFile, removeMailboxFiles } from './folder.ts';
import { ioError } from './io-error.ts';
import { createObject, markReady, openObject, releaseObject, type RingObject } from './object.ts';
import { compareWithExisting, type RingOptions } from './options.ts';
import { type Participation, ringAll } from './participation.ts';
import type { Site } from './site.ts';
import { Waiter } from './waiter.ts';

/** What attach() gives. */
export interface Attached {
  readonly part: Participation;
  readonly created: boolean;
  /** Dead participants that were cleaned up on the way. */
  readonly recovered: readonly Recovered[];
}

/**
 * Opens or makes a mailbox. The folder that its own folder lies in must be there.
 *
 * @throws NARU_NOT_FOUND, NARU_PEER_GONE (inboxes, ports), NARU_EXISTS, NARU_DENIED, NARU_CORRUPT, NARU_UNSUPPORTED, NARU_LIMIT
 */
export async function attach(
  options: RingOptions,
  site: Site,
  wait: WaitOptions,
  signal: AbortSignal | undefined,
  edges: RingEdges,
): Promise<Attached> {
  const lock = await lockFolder(site, options.create !== 'never', signal, edges);
  if (lock === 'absent') throw absent(options, site);
  try {
    return attachLocked(site, options, wait, edges);
  } finally {
    lock.release();
  }
}

function attachLocked(site: Site, options: RingOptions, wait: WaitOptions, edges: RingEdges): Attached {
  const found = findLiving(site, edges);
  if (found === undefined && options.create === 'never') {
    removeMailboxFiles(site, edges.failpoint);
    throw absent(options, site);
  }
  let object = found?.object;
  try {
    if (object === undefined) {
      object = createObject(site, geometryOf(options.shape, Date.now()), edges);
      const part = takeSlot(site, options, object, wait, edges);
      const creator = seatMark(part.slot, part.generation);
      Atomics.store(object.memory.words, headerWord(HEADER.creator), creator);
      edges.failpoint('create:before-ready');
      markReady(object.memory);
      edges.failpoint('create:ready');
      return { part, created: true, recovered: [] };
    }
    if (options.create === 'new') throw exists(options, site);
    compareWithExisting(options, site, object.memory.geometry);
    const part = takeSlot(site, options, object, wait, edges);
    return { part, created: false, recovered: found?.recovered ?? [] };
  } catch (error) {
    if (object !== undefined) releaseObject(object, edges);
    if (found === undefined) removeMailboxFiles(site, edges.failpoint);
    throw error;
  }
}

/** The mailbox in the folder, its dead cleaned up; undefined when there is none that anybody may still use. */
function findLiving(
  site: Site,
  edges: RingEdges,
): { object: RingObject; recovered: readonly Recovered[] } | undefined {
  const object = openObject(site, edges);
  if (typeof object === 'string') {
    // Nobody holds the lock but us: who left this half-made is dead.
    removeFile(site, site.ring);
    removeFifos(site);
    return undefined;
  }
  const { memory } = object;
  const recovered = recoverDead(memory, -1, recoveryEdges(site, memory, edges));
  const isClosed = Atomics.load(memory.words, headerWord(HEADER.closed)) !== CLOSED.open;
  if (!isClosed && !isAbandoned(memory)) return { object, recovered };
  releaseObject(object, edges);
  removeFile(site, site.ring);
  removeFifos(site);
  return undefined;
}

/** What recovery needs to know and to do in a mailbox's folder. */
export function recoveryEdges(
  site: Site,
  memory: RingMemory,
  edges: RingEdges,
): Parameters<typeof recoverDead>[2] {
  return {
    isDead: (participant) => isDead(site.folder, participant, edges),
    removeBell: (slot) => removeFile(site, fifoPath(site.folder, slot)),
    ringAll: () => ringOthers(site.folder, memory, edges),
    yieldThread: () => edges.native.yieldThread(),
    now: () => performance.now(),
    failpoint: edges.failpoint,
  };
}

function ringOthers(folder: string, memory: RingMemory, edges: RingEdges): void {
  const bells = new PeerBells(folder, memory, edges);
  ringAll({ memory, bells }, -1);
  bells.close();
}

function takeSlot(
  site: Site,
  options: RingOptions,
  object: RingObject,
  wait: WaitOptions,
  edges: RingEdges,
): Participation {
  const { memory } = object;
  const slot = findFreeSlot(memory);
  if (slot < 0) {
    throw new NaruError(
      'NARU_LIMIT',
      `${options.text}: all ${memory.geometry.participantCount} handles are in use; close some, or share one handle`,
      { place: site.place, mailbox: options.text },
    );
  }
  const fd = makeOwnFifo(site, slot, edges);
  const waiter = waiterOn(site, fd, memory, slot, wait, edges);
  const identity = newHandleIdentity();
  const handle = Number(identity.slice(identity.indexOf('/') + 1));
  const generation = fillSlot(memory, slot, { ...ownIdentity(), handle });
  edges.failpoint('seat:slot-filled');
  return {
    text: options.text,
    site,
    identity,
    isBackground: options.isBackground,
    object,
    memory,
    slot,
    generation,
    bells: new PeerBells(site.folder, memory, edges),
    waiter,
    edges,
    turn: { next: 0 },
    health: { error: undefined },
  };
}

function waiterOn(
  site: Site,
  fd: number,
  memory: RingMemory,
  slot: number,
  wait: WaitOptions,
  edges: RingEdges,
): Waiter {
  try {
    return new Waiter(memory.words, slot, fd, wait, edges);
  } catch (error) {
    closeSync(fd);
    throw ioError(site, error, 'waiting on', `p${slot}`);
  }
}

function absent(options: RingOptions, { place, ring }: Site): NaruError {
  return options.isOwned
    ? new NaruError('NARU_PEER_GONE', `${options.text}: its owner is gone, or never opened it`, {
        place,
        mailbox: options.text,
      })
    : new NaruError(
        'NARU_NOT_FOUND',
        `${options.text} does not exist (there is no ${ring}), and create is "never"`,
        { place, mailbox: options.text },
      );
}

function exists(options: RingOptions, { place }: Site): NaruError {
  return new NaruError(
    'NARU_EXISTS',
    `${options.text} exists already and create is "new". Open it with create: "if-missing", or remove it with "naru rm".`,
    { place, mailbox: options.text },
  );
}
