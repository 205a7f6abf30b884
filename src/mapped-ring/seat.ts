// A handle's seat in any shared object that has a participants table: its slot, its FIFO with the proof of life, its doorbell, and the bells of
// the others. Taken under the lock of the object's folder.

import { closeSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import type { WaitOptions } from '../mailbox/options.ts';
import { newHandleIdentity, ownIdentity } from '../native/identity.ts';
import { fillSlot, findFreeSlot, type SeatTable } from '../ring/participants.ts';
import type { RecoveryEdges } from '../ring/recovery.ts';
import type { RingEdges } from './edges.ts';
import { fifoPath, isDead, makeOwnFifo, PeerBells } from './fifo.ts';
import { removeFile } from './folder.ts';
import { ioError } from './io-error.ts';
import { ringAll } from './participation.ts';
import type { Site } from './site.ts';
import { Waiter } from './waiter.ts';

export interface Seat {
  readonly identity: string;
  readonly slot: number;
  readonly generation: number;
  readonly bells: PeerBells;
  readonly waiter: Waiter;
}

/** @param text  the URL as it may be shown  @throws NARU_LIMIT (no slot, no descriptors), NARU_DENIED */
export function takeSeat(
  site: Site,
  text: string,
  memory: SeatTable,
  wait: WaitOptions,
  edges: RingEdges,
): Seat {
  const slot = findFreeSlot(memory);
  if (slot < 0) {
    throw new NaruError(
      'NARU_LIMIT',
      `${text}: all ${memory.geometry.participantCount} handles are in use; close some, or share one handle`,
      { place: site.place, mailbox: text },
    );
  }
  const fd = makeOwnFifo(site, slot, edges);
  const waiter = waiterOn(site, fd, memory, slot, wait, edges);
  const identity = newHandleIdentity();
  const handle = Number(identity.slice(identity.indexOf('/') + 1));
  const generation = fillSlot(memory, slot, { ...ownIdentity(), handle });
  edges.failpoint('seat:slot-filled');
  return { identity, slot, generation, bells: new PeerBells(site.folder, memory, edges), waiter };
}

function waiterOn(
  site: Site,
  fd: number,
  memory: SeatTable,
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

/** What recovery needs to know and to do in an object's folder. */
export function recoveryEdges(site: Site, memory: SeatTable, edges: RingEdges): RecoveryEdges {
  return {
    isDead: (participant) => isDead(site.folder, participant, edges),
    removeBell: (slot) => removeFile(site, fifoPath(site.folder, slot)),
    ringAll: () => ringEverybody(site.folder, memory, edges),
    yieldThread: () => edges.native.yieldThread(),
    now: () => performance.now(),
    failpoint: edges.failpoint,
  };
}

/** Rings everybody in an object that this process has no seat in, or none any more. */
export function ringEverybody(folder: string, memory: SeatTable, edges: RingEdges): void {
  const bells = new PeerBells(folder, memory, edges);
  ringAll({ memory, bells }, -1);
  bells.close();
}
