// From a name to a part in a mailbox: finding it or making it, checking it, taking a slot. Everything here happens under the
// lock of the mailbox's folder. The slot itself is seat.ts's, seats of ends (lanes, the consumer's) are seats.ts's.

import { existsSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import type { WaitOptions } from '../mailbox/options.ts';
import { CLOSED, HEADER } from '../ring/layout.ts';
import { geometryOf, headerWord } from '../ring/memory.ts';
import { seatMark } from '../ring/participants.ts';
import { isAbandoned, recoverDead, type Recovered } from '../ring/recovery.ts';
import type { RingEdges } from './edges.ts';
import { lockFolder, removeBeside, removeFifos, removeFile, removeMailboxFiles } from './folder.ts';
import { createObject, markReady, openObject, type RingObject } from './object.ts';
import { releaseObject } from './object-file.ts';
import { compareWithExisting, type RingOptions } from './options.ts';
import type { Participation } from './participation.ts';
import { recoveryEdges, takeSeat } from './seat.ts';
import type { Site } from './site.ts';

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
  // What exists may have been brought here without the folder beside it.
  const mayMakeFolder = options.create !== 'never' || (site.isBeside && existsSync(site.ring));
  const lock = await lockFolder(site, mayMakeFolder, signal, edges);
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
    removeBeside(site, edges.failpoint);
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
    // Only what was made here: somebody may have laid a file of his own in its place.
    if (found === undefined && object !== undefined) removeMailboxFiles(site, edges.failpoint);
    else if (found === undefined) removeBeside(site, edges.failpoint);
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

function takeSlot(
  site: Site,
  options: RingOptions,
  object: RingObject,
  wait: WaitOptions,
  edges: RingEdges,
): Participation {
  const { memory } = object;
  return {
    text: options.text,
    site,
    isBackground: options.isBackground,
    object,
    memory,
    edges,
    turn: { next: 0 },
    health: { error: undefined },
    ...takeSeat(site, options.text, memory, wait, edges),
  };
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
