// Where a new consumer of a topic begins: with what comes now, or with the last messages that were kept. Takes its seat so that
// no producer writes over what it is about to read.

import { cursorWord, type RingMemory } from '../ring/memory.ts';
import { type SeatMark, takeConsumerSeat } from '../ring/participants.ts';
import { distance } from '../ring/record.ts';
import { readFloor } from '../ring/topic-floor.ts';
import { retainedIn, type TopicStart } from '../ring/topic-lane.ts';
import { bodyOffset, timeAt } from '../wire/envelope.ts';

/**
 * Takes a consumer's seat in a topic; under the mailbox's lock.
 * @returns where to start in each lane
 */
export function subscribe(
  memory: RingMemory,
  seat: number,
  mark: SeatMark,
  from: 'now' | 'start',
): readonly TopicStart[] {
  const { geometry, words } = memory;
  const lanes = Array.from({ length: geometry.laneCount }, (_, lane) => lane);
  const cursors: number[] = [];
  const store = (lane: number, position: number): void => {
    cursors[lane] = position;
    Atomics.store(words, cursorWord(geometry, seat, lane), position);
  };
  for (const lane of lanes) store(lane, readFloor(memory, lane).position);
  takeConsumerSeat(memory, seat, mark);
  // SYNC: topic seat. A producer that moved its floor just now has not seen the cursor; then its floor is seen here.
  for (const lane of lanes) {
    let floor = readFloor(memory, lane).position;
    while (distance(floor, cursors[lane] as number) > 0) {
      store(lane, floor);
      floor = readFloor(memory, lane).position;
    }
  }
  const starts = chooseStarts(memory, lanes, from === 'now' ? 0 : geometry.retain);
  // At once, not when it first looks: what it will never read holds up no producer.
  for (const lane of lanes) store(lane, (starts[lane] as TopicStart).position);
  return starts;
}

/** The last `retain` messages of all lanes together, by the time they were sent; new ones where there are none. */
function chooseStarts(memory: RingMemory, lanes: readonly number[], retain: number): TopicStart[] {
  const starts: TopicStart[] = [];
  const kept: { lane: number; time: number; start: TopicStart }[] = [];
  for (const lane of lanes) {
    const { end, messages } = retainedIn(memory, lane, retain);
    starts.push(end);
    for (const { start, payloadOffset, payloadBytes } of messages)
      kept.push({ lane, start, time: sentAt(memory, payloadOffset, payloadBytes) });
  }
  // Stable: messages of one lane keep their order whatever their clock said.
  kept.sort((a, b) => a.time - b.time);
  for (const { lane, start } of kept.slice(Math.max(0, kept.length - retain)).toReversed()) {
    if (distance(start.position, (starts[lane] as TopicStart).position) < 0) starts[lane] = start;
  }
  return starts;
}

function sentAt(memory: RingMemory, payloadOffset: number, payloadBytes: number): number {
  try {
    bodyOffset(memory.view, payloadOffset, payloadBytes);
    return timeAt(memory.view, payloadOffset);
  } catch {
    // Not an envelope: whoever receives it says so.
    return 0;
  }
}
