// One handle's part in a mailbox: its slot, its bells, the mapped object, and the questions both ends ask of the header.
// Made by attach.ts; used by sender.ts, receiver.ts and driver.ts.

import { NaruError, type NaruErrorCode } from '../errors/index.ts';
import { ring } from '../ring/doorbell.ts';
import { CLOSED, HEADER, WANT } from '../ring/layout.ts';
import { headerWord, type RingMemory } from '../ring/memory.ts';
import {
  consumerMask,
  consumerSeat,
  laneOwner,
  listParticipants,
  seatMark,
  type SeatMark,
  type SeatTable,
  slotOf,
} from '../ring/participants.ts';
import type { RingEdges } from './edges.ts';
import type { PeerBells } from './fifo.ts';
import type { RingObject } from './object.ts';
import type { Site } from './site.ts';
import type { Waiter } from './waiter.ts';

export interface Participation {
  /** The URL as it may be shown. */
  readonly text: string;
  readonly site: Site;
  readonly identity: string;
  readonly isBackground: boolean;
  readonly object: RingObject;
  readonly memory: RingMemory;
  readonly slot: number;
  readonly generation: number;
  readonly bells: PeerBells;
  readonly waiter: Waiter;
  readonly edges: RingEdges;
  /** The consumer's seat that is looked at first when one is to be rung. */
  readonly turn: { next: number };
  /** Once `error` is set the mapped memory must not be touched any more: it may be gone (SIGBUS). */
  readonly health: { error: Error | undefined };
}

const CONSUMER_MASK_WORD = headerWord(HEADER.consumerMask);

/** The mark that our seats carry. */
export function ownMark(part: Participation): SeatMark {
  return seatMark(part.slot, part.generation);
}

export function isEnded(memory: RingMemory): boolean {
  return Atomics.load(memory.words, headerWord(HEADER.ended)) !== 0;
}

export function isClosed(memory: Pick<SeatTable, 'words'>): boolean {
  return Atomics.load(memory.words, headerWord(HEADER.closed)) !== CLOSED.open;
}

/** Why nobody may use the mailbox any more; undefined while it is open. */
export function closedError(
  part: Pick<Participation, 'text' | 'site'> & { readonly memory: Pick<SeatTable, 'words'> },
): NaruError | undefined {
  const closed = Atomics.load(part.memory.words, headerWord(HEADER.closed));
  if (closed === CLOSED.open) return undefined;
  return closed === CLOSED.ownerGone
    ? partError(part, 'NARU_PEER_GONE', 'the process that owned it is dead')
    : partError(part, 'NARU_CLOSED', 'it was closed by its owner or removed');
}

/** The object behind the mapping is no longer what it was. */
export function lostError(
  part: Pick<Participation, 'text' | 'site'>,
  state: 'removed' | 'truncated',
): NaruError {
  const code = state === 'truncated' ? 'NARU_CORRUPT' : 'NARU_CLOSED';
  return partError(part, code, `${part.site.ring} was ${state} by somebody`);
}

/** @param what  completes "<mailbox>: …" */
export function partError(
  { text, site }: Pick<Participation, 'text' | 'site'>,
  code: NaruErrorCode,
  what: string,
): NaruError {
  return new NaruError(code, `${text}: ${what}`, { place: site.place, mailbox: text });
}

/**
 * Rings consumers that sleep and want messages: all of a topic's, else one. Whoever of several gets up and finds more than it
 * takes rings the next; which one is first goes around.
 *
 * @param except  a slot that is not rung; -1 for none
 */
export function ringConsumers(part: Participation, except: number): void {
  const mask = consumerMask(part.memory);
  const later = mask & (-1 << part.turn.next);
  if (later !== 0 && ringSome(part, later, except)) return;
  if (mask !== later) ringSome(part, mask & ~later, except);
}

/** @returns true when one was rung and that is enough */
function ringSome(part: Participation, mask: number, except: number): boolean {
  const { memory, bells, turn } = part;
  for (let rest = mask; rest !== 0; rest &= rest - 1) {
    const seat = 31 - Math.clz32(rest & -rest);
    const slot = slotOf(consumerSeat(memory, seat));
    if (slot < 0 || slot === except || !ring(memory.words, slot, WANT.messages, bells)) continue;
    if (memory.geometry.mode === 'topic') continue;
    turn.next = (seat + 1) & 31;
    return true;
  }
  return false;
}

/** Whether several consumers have a seat. A plain load: call it after an atomic one. */
export function hasSeveralConsumers({ words }: RingMemory): boolean {
  const mask = words[CONSUMER_MASK_WORD] as number;
  return (mask & (mask - 1)) !== 0;
}

/** Rings the producer of a lane, if there is one. */
export function ringProducer(part: Participation, lane: number, want: number): void {
  const slot = slotOf(laneOwner(part.memory, lane));
  if (slot >= 0) ring(part.memory.words, slot, want, part.bells);
}

/** Rings everybody else: somebody came or went, or the mailbox has ended. */
export function ringAll(
  part: { readonly memory: SeatTable; readonly bells: PeerBells },
  except: number,
): void {
  for (const { slot } of listParticipants(part.memory))
    if (slot !== except) ring(part.memory.words, slot, 0, part.bells);
}
