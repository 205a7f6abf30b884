// From the files of an object to a part in it: finding it or making it, checking it, taking a slot. Everything here happens under
// the lock of the object's folder.

import { closeSync, existsSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import { atExit } from '../mapped-ring/exit.ts';
import { fifoPath, isDead, makeOwnFifo } from '../mapped-ring/fifo.ts';
import {
  lockFolder,
  removeBeside,
  removeFifos,
  removeFile,
  removeMailboxFiles,
  tryLockFolder,
} from '../mapped-ring/folder.ts';
import { objectState, releaseObject } from '../mapped-ring/object-file.ts';
import type { Site } from '../mapped-ring/site.ts';
import { newHandleIdentity, ownIdentity } from '../native/identity.ts';
import { CLOSED } from '../ring/layout.ts';
import { headerWord, type RingOwner } from '../ring/memory.ts';
import {
  fillSlot,
  findFreeSlot,
  listParticipants,
  participantAt,
  seatMark,
  type SeatMark,
} from '../ring/participants.ts';
import { closeFor, isAbandoned, isCreator } from '../ring/recovery.ts';
import { codeOf } from '../state/elements.ts';
import type { StateEdges } from './edges.ts';
import { type StateGeometry, stateGeometry, type StateShape } from './header.ts';
import { STATE_HEADER } from './layout.ts';
import { createObject, draftOf, openObject, publish, type StateObject } from './object.ts';
import { recoverDead, type StateRecovery, vacate } from './recovery.ts';
import { wakeTurn } from './turn.ts';

/** The lock is only ever held for a few system calls; a stopped holder must not hang close() for ever. */
const LOCK_WAIT_MS = 5_000;

/** What is asked for. */
export interface StateRequest {
  /** The URL as it may be shown. */
  readonly text: string;
  /** The URL by which others open it. */
  readonly address: string;
  readonly create: 'if-missing' | 'new' | 'never';
  /** What a new object gets; undefined: it must be there. */
  readonly shape: StateShape | undefined;
  /** What was said in so many words, and must agree with what exists: what it is called, what was asked, what is. */
  readonly compare: (
    geometry: StateGeometry,
  ) => readonly (readonly [what: string, asked: unknown, is: unknown])[];
  readonly type: StateGeometry['type'];
  readonly owner: RingOwner | undefined;
  /** Called when this handle has left: removes folders of the place that hold nothing any more. */
  readonly tidy: () => void;
}

/** One handle's part in an object. */
export interface StatePart {
  readonly request: StateRequest;
  readonly site: Site;
  readonly edges: StateEdges;
  readonly object: StateObject;
  readonly slot: number;
  readonly mark: SeatMark;
  readonly identity: string;
  readonly created: boolean;
  /** The descriptor whose lock proves that this handle lives. */
  readonly proof: number;
  readonly forgetExit: () => void;
}

/**
 * Opens or makes an object. The folder that its own folder lies in must be there.
 * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_DENIED, NARU_CORRUPT, NARU_UNSUPPORTED, NARU_LIMIT, the signal's reason
 */
export async function attach(
  request: StateRequest,
  site: Site,
  signal: AbortSignal | undefined,
  edges: StateEdges,
): Promise<StatePart> {
  // What exists may have been brought here without the folder beside it.
  const mayMakeFolder = request.create !== 'never' || (site.isBeside && existsSync(site.ring));
  const lock = await lockFolder(site, mayMakeFolder, signal, edges);
  if (lock === 'absent') throw absent(request, site);
  try {
    return attachLocked(request, site, edges);
  } finally {
    lock.release();
  }
}

/** Leaves: gives everything back; the object goes with its last user, or with its owner. Waits for the lock. */
export async function leave(part: StatePart): Promise<void> {
  part.forgetExit();
  const late = AbortSignal.timeout(LOCK_WAIT_MS);
  const lock = await lockFolder(part.site, false, late, part.edges).catch(() => 'absent' as const);
  try {
    if (lock !== 'absent') leaveLocked(part);
  } finally {
    if (lock !== 'absent') lock.release();
    releaseObject(part.object, part.edges);
    closeSync(part.proof);
    part.request.tidy();
  }
}

/** Removes the object for everybody. @throws NARU_DENIED; the reason of a timeout: a stopped process has its lock */
export async function destroy({ object, site, edges }: StatePart): Promise<void> {
  const lock = await lockFolder(site, false, AbortSignal.timeout(LOCK_WAIT_MS), edges);
  if (lock === 'absent') return;
  try {
    if (objectState(object, edges) !== 'ok') return;
    closeFor(object.memory, CLOSED.closed);
    wakeTurn(object, edges);
    removeMailboxFiles(site, edges.failpoint);
  } finally {
    lock.release();
  }
}

/** What recovery needs to know and to do for an object. */
export function recoveryEdges(site: Site, object: StateObject, edges: StateEdges): StateRecovery {
  return {
    isDead: (participant) => isDead(site.folder, participant, edges),
    removeProof: (slot) => removeFile(site, fifoPath(site.folder, slot)),
    wake: () => wakeTurn(object, edges),
    failpoint: edges.failpoint,
  };
}

function attachLocked(request: StateRequest, site: Site, edges: StateEdges): StatePart {
  const found = findLiving(site, edges);
  if (found === undefined && (request.create === 'never' || request.shape === undefined)) {
    removeBeside(site, edges.failpoint);
    throw absent(request, site);
  }
  let object = found;
  try {
    if (object === undefined) {
      object = createObject(site, stateGeometry(request.shape as StateShape, Date.now()), edges);
      const part = takePart(request, site, object, true, edges);
      Atomics.store(object.memory.words, headerWord(STATE_HEADER.creator), part.mark);
      edges.failpoint('create:before-ready');
      publish(site, object, edges);
      return part;
    }
    if (request.create === 'new')
      throw existing(
        request,
        site,
        'exists already and create is "new"; choose another name, or remove it with "naru rm"',
      );
    compare(request, site, object.memory.geometry);
    return takePart(request, site, object, false, edges);
  } catch (error) {
    if (object !== undefined) releaseObject(object, edges);
    if (found === undefined) {
      removeFile(site, draftOf(site));
      removeBeside(site, edges.failpoint);
    }
    throw error;
  }
}

/** The object in the folder, its dead cleaned up; undefined when there is none that anybody may still use. */
function findLiving(site: Site, edges: StateEdges): StateObject | undefined {
  // Nobody holds the lock but us: who left this is dead.
  removeFile(site, draftOf(site));
  const object = openedOrNothing(site, edges);
  if (object === undefined) {
    removeFifos(site);
    return undefined;
  }
  const { memory } = object;
  recoverDead(memory, -1, recoveryEdges(site, object, edges));
  const isClosed = Atomics.load(memory.words, headerWord(STATE_HEADER.closed)) !== CLOSED.open;
  if (!isClosed && !isAbandoned(memory)) return object;
  releaseObject(object, edges);
  removeFile(site, site.ring);
  removeFifos(site);
  return undefined;
}

/** A file that is none of ours keeps no folder beside it. */
function openedOrNothing(site: Site, edges: StateEdges): StateObject | undefined {
  try {
    return openObject(site, edges);
  } catch (error) {
    if (site.isBeside) removeBeside(site, edges.failpoint);
    throw error;
  }
}

function takePart(
  request: StateRequest,
  site: Site,
  object: StateObject,
  created: boolean,
  edges: StateEdges,
): StatePart {
  const { memory } = object;
  const slot = findFreeSlot(memory);
  if (slot < 0)
    throw new NaruError(
      'NARU_LIMIT',
      `${request.text}: all ${memory.geometry.participantCount} handles are in use; close some, or share one handle`,
      { place: site.place, mailbox: request.text },
    );
  const proof = makeOwnFifo(site, slot, edges);
  const identity = newHandleIdentity();
  const handle = Number(identity.slice(identity.indexOf('/') + 1));
  const generation = fillSlot(memory, slot, { ...ownIdentity(), handle });
  edges.failpoint('seat:slot-filled');
  const mark = seatMark(slot, generation);
  const part: { -readonly [K in keyof StatePart]: StatePart[K] } = {
    request,
    site,
    edges,
    object,
    slot,
    mark,
    identity,
    created,
    proof,
    forgetExit: () => undefined,
  };
  part.forgetExit = atExit(() => leaveNow(part));
  return part;
}

/** At the end of a thread: nothing can be waited for. What cannot be done now is done by whoever comes next. */
function leaveNow(part: StatePart): void {
  const lock = tryLockFolder(part.site, false, part.edges);
  if (typeof lock === 'string') return;
  try {
    leaveLocked(part);
  } finally {
    lock.release();
    part.request.tidy();
  }
}

function leaveLocked({ object, site, slot, edges }: StatePart): void {
  if (objectState(object, edges) !== 'ok') {
    // Made again, perhaps: then nothing in this folder is ours any more.
    if (site.isBeside && !existsSync(site.ring)) removeBeside(site, edges.failpoint);
    return;
  }
  const { memory } = object;
  const recovery = recoveryEdges(site, object, edges);
  const self = participantAt(memory, slot);
  if (isCreator(memory, self)) closeFor(memory, CLOSED.closed);
  edges.failpoint('leave:closing');
  vacate(memory, self, false, recovery);
  recoverDead(memory, slot, recovery);
  if (isAbandoned(memory)) {
    closeFor(memory, CLOSED.closed);
    wakeTurn(object, edges);
    removeMailboxFiles(site, edges.failpoint);
  } else if (site.isBeside && listParticipants(memory).length === 0) removeBeside(site, edges.failpoint);
}

/** @throws NARU_EXISTS  it is something else, or something that was asked for differs from what it was made with */
function compare(request: StateRequest, site: Site, geometry: StateGeometry): void {
  const { type, element } = geometry;
  if (type !== request.type)
    throw existing(
      request,
      site,
      `is ${type === 'array' ? 'an' : 'a'} ${type}${element === undefined ? '' : ` of ${codeOf(element)}`}, not ${request.type === 'array' ? 'an' : 'a'} ${request.type}; choose another name`,
    );
  const differences = [...request.compare(geometry), ['owner', request.owner, geometry.owner] as const]
    .filter(([, asked, is]) => asked !== undefined && asked !== is)
    .map(([what, asked, is]) => `${what}: asked ${String(asked)}, is ${String(is)}`);
  if (differences.length > 0)
    throw existing(
      request,
      site,
      `exists with other options (${differences.join('; ')}). Leave them out to adopt what exists, or remove it with "naru rm"`,
    );
}

function existing({ text }: StateRequest, { place }: Site, what: string): NaruError {
  return new NaruError('NARU_EXISTS', `${text} ${what}`, { place, mailbox: text });
}

function absent({ text, type, create }: StateRequest, { place, ring }: Site): NaruError {
  const why = create === 'never' ? 'create is "never"' : 'its type was not given';
  return new NaruError('NARU_NOT_FOUND', `${text} does not exist (${type} at ${ring}), and ${why}`, {
    place,
    mailbox: text,
  });
}
