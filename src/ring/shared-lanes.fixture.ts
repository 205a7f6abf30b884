// For tests of lanes that several consumers read: competing and topic lanes on a bare ring, seats and slots for them, a death
// that a test can put at any failpoint, and the recovery after it.

import { bareRing } from './bare-ring.fixture.ts';
import { CompetingLane } from './competing-lane.ts';
import type { RingMemory, RingShape } from './memory.ts';
import { cursorWord } from './memory.ts';
import { fillSlot, seatMark, type SeatMark, takeConsumerSeat } from './participants.ts';
import { recoverDead, type Recovered } from './recovery.ts';
import { SlabSource } from './slab.ts';
import { TopicLane } from './topic-lane.ts';
import { readFloor } from './topic-floor.ts';
import { identityAt } from './record.ts';

export const COMPETING: Partial<RingShape> = { relation: 'N:N' };
export const TOPIC: Partial<RingShape> = { relation: 'N:N', deliver: 'all' };
export const LOSSY: Partial<RingShape> = { relation: 'N:N', deliver: 'all', lossy: true };

/** Thrown at a failpoint: whoever was at work there does nothing any more. */
export class Death extends Error {}

/** A consumer of all of a ring's tests: in the participants table, with a seat, and with a failpoint that may kill it. */
export interface TestConsumer {
  readonly slot: number;
  readonly seat: number;
  readonly mark: SeatMark;
  readonly faults: Error[];
  readonly gaps: number[];
  /** Counts down at the failpoint of this name; at 0 it throws Death. */
  fatal: { name: string; left: number } | undefined;
  isDead: boolean;
}

/** @param seat  also the slot in the table */
export function consumerAt(memory: RingMemory, seat: number): TestConsumer {
  const generation = fillSlot(memory, seat, { pid: 1, start: 2, thread: 3, handle: seat });
  const mark = seatMark(seat, generation);
  for (let lane = 0; lane < memory.geometry.laneCount; lane += 1)
    memory.words[cursorWord(memory.geometry, seat, lane)] = readFloor(memory, lane).position;
  takeConsumerSeat(memory, seat, mark);
  return { slot: seat, seat, mark, faults: [], gaps: [], fatal: undefined, isDead: false };
}

function edgesOf(consumer: TestConsumer): ConstructorParameters<typeof TopicLane>[5] {
  return {
    fault: (error) => consumer.faults.push(error),
    gap: (count) => consumer.gaps.push(count),
    failpoint: (name) => die(consumer, name),
  };
}

function die(consumer: Pick<TestConsumer, 'fatal' | 'isDead'>, name: string): void {
  const { fatal } = consumer;
  if (fatal === undefined || fatal.name !== name) return;
  fatal.left -= 1;
  if (fatal.left > 0) return;
  consumer.isDead = true;
  throw new Death(name);
}

export function competingOf(memory: RingMemory, consumer: TestConsumer, lane = 0): CompetingLane {
  return new CompetingLane(memory, lane, consumer.mark, consumer.slot, new SlabSource(), edgesOf(consumer));
}

/** Starts at the floor. */
export function topicOf(memory: RingMemory, consumer: TestConsumer, lane = 0): TopicLane {
  const start = { ...readFloor(memory, lane), sender: identityAt(memory, lane) };
  Atomics.store(memory.words, cursorWord(memory.geometry, consumer.seat, lane), start.position);
  return new TopicLane(memory, lane, consumer.seat, start, new SlabSource(), edgesOf(consumer));
}

/** What a survivor does about the dead. @param failpoint  may throw Death: then the next one does it */
export function recoverIn(
  memory: RingMemory,
  dead: readonly TestConsumer[],
  failpoint: (name: string) => void = () => undefined,
): Recovered[] {
  const slots = new Set(dead.filter(({ isDead }) => isDead).map(({ slot }) => slot));
  return recoverDead(memory, -1, {
    isDead: ({ slot }) => slots.has(slot),
    removeBell: () => undefined,
    ringAll: () => undefined,
    yieldThread: () => undefined,
    now: () => 0,
    failpoint,
  });
}

/** A ring of this mode with consumers in its first seats. */
export function ringWith(
  shape: Partial<RingShape>,
  consumers: number,
  position = 0,
): { memory: RingMemory; consumers: TestConsumer[] } {
  const memory = bareRing(shape, position);
  return { memory, consumers: Array.from({ length: consumers }, (_, seat) => consumerAt(memory, seat)) };
}
