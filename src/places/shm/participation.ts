// One handle's part in a mailbox: its slot, its bells, the mapped object, and the questions both ends ask of the header.
// Made by attach.ts; used by sender.ts, receiver.ts and driver.ts.

import { NaruError } from '../../errors/index.ts';
import { ring } from '../../ring/doorbell.ts';
import { CLOSED, HEADER, WANT } from '../../ring/layout.ts';
import { headerWord, type RingMemory } from '../../ring/memory.ts';
import {
  consumerMask,
  consumerSeat,
  laneOwner,
  listParticipants,
  seatMark,
  type SeatMark,
  slotOf,
} from '../../ring/participants.ts';
import type { Gid } from './access.ts';
import type { ShmEdges } from './edges.ts';
import type { PeerBells } from './fifo.ts';
import type { RingObject } from './object.ts';
import type { Waiter } from './waiter.ts';

export interface Participation {
  /** The URL as it may be shown. */
  readonly text: string;
  /** The mailbox's folder. */
  readonly folder: string;
  readonly gid: Gid;
  readonly identity: string;
  readonly isBackground: boolean;
  readonly object: RingObject;
  readonly memory: RingMemory;
  readonly slot: number;
  readonly generation: number;
  readonly bells: PeerBells;
  readonly waiter: Waiter;
  readonly edges: ShmEdges;
  /** The consumer's seat that is looked at first when one is to be rung. */
  readonly turn: { next: number };
  /** Once `error` is set the mapped memory must not be touched any more: it may be gone (SIGBUS). */
  readonly health: { error: Error | undefined };
}

/** The mark that our seats carry. */
export function ownMark(part: Participation): SeatMark {
  return seatMark(part.slot, part.generation);
}

export function isEnded(memory: RingMemory): boolean {
  return Atomics.load(memory.words, headerWord(HEADER.ended)) !== 0;
}

/** Why nobody may use the mailbox any more; undefined while it is open. */
export function closedError(memory: RingMemory, text: string): NaruError | undefined {
  const closed = Atomics.load(memory.words, headerWord(HEADER.closed));
  if (closed === CLOSED.open) return undefined;
  return closed === CLOSED.ownerGone
    ? new NaruError('NARU_PEER_GONE', `${text}: the process that owned it is dead`, {
        place: 'shm',
        mailbox: text,
      })
    : new NaruError('NARU_CLOSED', `${text}: it was closed by its owner or removed`, {
        place: 'shm',
        mailbox: text,
      });
}

/**
 * Rings consumers that sleep and want messages: all of a topic's, else one. Whoever of several gets up and finds more than it
 * takes rings the next; which one is first goes around.
 */
export function ringConsumers(part: Participation): void {
  const { memory, bells, turn } = part;
  const { words, geometry } = memory;
  const mask = consumerMask(memory);
  if (mask === 0) return;
  const count = 32 - Math.clz32(mask);
  for (let i = 0; i < count; i += 1) {
    const seat = (turn.next + i) % count;
    if ((mask & (1 << seat)) === 0) continue;
    const slot = slotOf(consumerSeat(memory, seat));
    if (slot < 0 || slot === part.slot) continue;
    if (ring(words, slot, WANT.messages, bells) && geometry.mode !== 'topic') {
      turn.next = seat + 1;
      return;
    }
  }
  // Its own consumer may sleep in this very handle: it is rung last, for it costs a system call to wake oneself.
  if (isOwnConsumer(part, mask)) ring(words, part.slot, WANT.messages, bells);
}

function isOwnConsumer(part: Participation, mask: number): boolean {
  for (let rest = mask; rest !== 0; rest &= rest - 1)
    if (consumerSeat(part.memory, 31 - Math.clz32(rest & -rest)) === ownMark(part)) return true;
  return false;
}

/** Whether any other consumer than this handle's own has a seat. */
export function hasOtherConsumers(part: Participation): boolean {
  const mask = consumerMask(part.memory);
  return (mask & (mask - 1)) !== 0 || (mask !== 0 && !isOwnConsumer(part, mask));
}

/** Rings the producer of a lane, if there is one. */
export function ringProducer(part: Participation, lane: number, want: number): void {
  const slot = slotOf(laneOwner(part.memory, lane));
  if (slot >= 0) ring(part.memory.words, slot, want, part.bells);
}

/** Rings everybody else: somebody came or went, or the mailbox has ended. */
export function ringAll(part: Pick<Participation, 'memory' | 'bells'>, except: number): void {
  for (const { slot } of listParticipants(part.memory))
    if (slot !== except) ring(part.memory.words, slot, 0, part.bells);
}
