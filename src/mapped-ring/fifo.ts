// A participant's FIFO `p<slot>`: at once its doorbell (a byte wakes its event loop) and its proof of life (it holds an
// exclusive flock on it, which the kernel takes away when it dies, zombie or not).

import * as fs from 'node:fs';
import { join } from 'node:path';
import { processStart } from '../native/identity.ts';
import type { Bells } from '../ring/doorbell.ts';
import { participantWord } from '../ring/memory.ts';
import { PARTICIPANT } from '../ring/layout.ts';
import type { Participant, SeatTable } from '../ring/participants.ts';
import type { RingEdges } from './edges.ts';
import { removeFile } from './folder.ts';
import { fileMode, type Site } from './site.ts';
import { attempt, errnoOf } from './io-error.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDWR, O_WRONLY } = fs.constants;
/** A prober holds a new FIFO's lock for an instant; then the owner tries again. */
const LOCK_ATTEMPTS = 10_000;

export function fifoPath(folder: string, slot: number): string {
  return join(folder, `p${slot}`);
}

/** Makes and locks the FIFO of a free slot; under the mailbox's lock. @returns its descriptor */
export function makeOwnFifo(site: Site, slot: number, edges: RingEdges): number {
  const path = fifoPath(site.folder, slot);
  removeFile(site, path);
  edges.failpoint('seat:before-fifo');
  attempt(site, 'making the FIFO', path, () => edges.native.makeFifo(path, fileMode(site.gid)));
  edges.failpoint('seat:fifo-made');
  const fd = attempt(site, 'opening', path, () => fs.openSync(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW));
  for (let attempts = 0; attempts < LOCK_ATTEMPTS; attempts += 1) {
    if (attempt(site, 'locking', path, () => edges.native.tryLock(fd, 'exclusive'))) {
      edges.failpoint('seat:fifo-locked');
      return fd;
    }
    edges.native.yieldThread();
  }
  fs.closeSync(fd);
  throw new Error(`${path} stays locked by another process`);
}

/**
 * Whether a participant is dead. Only ever true on proof: nobody has its FIFO open, or its lock is free.
 * A missing FIFO proves nothing (somebody may have removed it by hand), nor does another file in its place; then only the
 * death of its process does.
 */
export function isDead(folder: string, participant: Participant, edges: RingEdges): boolean {
  let fd: number;
  try {
    fd = fs.openSync(fifoPath(folder, participant.slot), O_WRONLY | O_NONBLOCK | O_NOFOLLOW);
  } catch (error) {
    const name = errnoOf(error);
    if (name === 'ENXIO') return true;
    return name === 'ENOENT' && isGone(participant);
  }
  try {
    if (!fs.fstatSync(fd).isFIFO()) return isGone(participant);
    // The lock goes with the descriptor, at once.
    return edges.native.tryLock(fd, 'shared');
  } finally {
    fs.closeSync(fd);
  }
}

/** Whether no process is this participant's any more. */
function isGone({ pid, start }: Participant): boolean {
  const now = processStart(pid);
  if (now !== undefined) return now !== start;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // /proc may be mounted so that it hides the processes of other users (hidepid); they are there all the same.
    return errnoOf(error) !== 'EPERM';
  }
  return true;
}

interface Peer {
  readonly generation: number;
  readonly fd: number;
}

/** The write end. Never of a file that somebody laid in its place: a bell writes into what it rings. */
function openFifo(path: string): number {
  const fd = fs.openSync(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW);
  if (fs.fstatSync(fd).isFIFO()) return fd;
  fs.closeSync(fd);
  throw new Error(`${path} is no FIFO`);
}

/** Rings other participants; keeps the write ends of their FIFOs open. */
export class PeerBells implements Bells {
  readonly #folder: string;
  readonly #memory: SeatTable;
  readonly #edges: RingEdges;
  readonly #peers = new Map<number, Peer>();
  readonly failpoint: (name: string) => void;
  rings = 0;

  constructor(folder: string, memory: SeatTable, edges: RingEdges) {
    this.#folder = folder;
    this.#memory = memory;
    this.#edges = edges;
    this.failpoint = edges.failpoint;
  }

  ringLoop(slot: number): boolean {
    this.#edges.failpoint('ring:before-bell');
    const fd = this.#writeEnd(slot);
    if (fd === undefined) return false;
    this.rings += 1;
    try {
      // No room is as good: a full FIFO wakes as well as one byte.
      this.#edges.native.writeByte(fd);
    } catch {
      // Nobody is there any more.
      this.#drop(slot);
      return false;
    }
    return true;
  }

  ringThread(byteOffset: number): void {
    this.#edges.failpoint('ring:before-bell');
    this.rings += 1;
    this.#edges.native.futexWake(this.#memory.words.buffer, byteOffset, 1);
  }

  close(): void {
    for (const slot of this.#peers.keys()) this.#drop(slot);
  }

  #writeEnd(slot: number): number | undefined {
    const generation = Atomics.load(this.#memory.words, participantWord(slot, PARTICIPANT.generation));
    const known = this.#peers.get(slot);
    if (known !== undefined && known.generation === generation) return known.fd;
    if (known !== undefined) this.#drop(slot);
    try {
      const fd = openFifo(fifoPath(this.#folder, slot));
      this.#peers.set(slot, { generation, fd });
      return fd;
    } catch {
      // Dead, or no descriptors left: a live sleeper looks for itself within its safety time.
      return undefined;
    }
  }

  #drop(slot: number): void {
    const peer = this.#peers.get(slot);
    if (peer === undefined) return;
    this.#peers.delete(slot);
    fs.closeSync(peer.fd);
  }
}
