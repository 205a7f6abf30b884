// What a clean stop writes down that the log does not tell: which messages came back to their queue and how often, and the order of
// queues that got messages from memory. A running broker writes that it runs: after a crash there is nothing to be believed.

import { NaruError } from '../../errors/index.ts';
import type { Log } from '../../log/index.ts';

/** What is known of one queue. */
export interface QueueRest {
  /** The order of its messages is not that of their sequences. */
  readonly isOrdered: boolean;
  /** Where each message stands, by its sequence; filled when it is ordered. */
  readonly positions: ReadonlyMap<number, number>;
  /** How often each message came back that ever did. */
  readonly returns: ReadonlyMap<number, number>;
}

const NAME = 'rest';
const RUNNING = 0;
const AT_REST = 1;
const HEAD_BYTES = 16;
const QUEUE_BYTES = 16;
const ENTRY_BYTES = 16;

/** What is to be known of a queue: its messages in order, each with its sequence and how often it came back. */
export interface Resting {
  readonly stream: number;
  readonly isOrdered: boolean;
  readonly entries: readonly (readonly [sequence: number, returns: number])[];
}

/** Layout, in float64: 1 or 0 (runs), queues; for each: stream, entries × 2 + 1 when ordered; for each entry: sequence, returns. */
export async function writeRest(log: Log, queues: readonly Resting[]): Promise<void> {
  const count = queues.reduce((sum, { entries }) => sum + 2 + entries.length * 2, 2);
  const numbers = new Float64Array(count);
  numbers[0] = AT_REST;
  numbers[1] = queues.length;
  let at = 2;
  for (const { stream, isOrdered, entries } of queues) {
    numbers[at] = stream;
    numbers[at + 1] = entries.length * 2 + (isOrdered ? 1 : 0);
    at += 2;
    for (const [sequence, returns] of entries) {
      numbers[at] = sequence;
      numbers[at + 1] = returns;
      at += 2;
    }
  }
  await log.writeSnapshot(NAME, new Uint8Array(numbers.buffer));
}

/** A broker runs on this folder. */
export async function writeRunning(log: Log): Promise<void> {
  await log.writeSnapshot(NAME, new Uint8Array(new Float64Array([RUNNING, 0]).buffer));
}

/**
 * What the last stop wrote, by stream.
 * @returns undefined when it was no clean stop
 * @throws NARU_CORRUPT
 */
export async function readRest(log: Log): Promise<ReadonlyMap<number, QueueRest> | undefined> {
  const bytes = await log.readSnapshot(NAME);
  if (bytes === undefined || bytes.length < HEAD_BYTES || bytes.length % 8 !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getFloat64(0, true) !== AT_REST) return undefined;
  const rests = new Map<number, QueueRest>();
  let at = HEAD_BYTES;
  for (let left = view.getFloat64(8, true); left > 0; left -= 1) {
    if (at + QUEUE_BYTES > bytes.length) throw cutOff();
    const head = view.getFloat64(at + 8, true);
    const count = Math.floor(head / 2);
    const stream = view.getFloat64(at, true);
    at += QUEUE_BYTES;
    if (at + count * ENTRY_BYTES > bytes.length) throw cutOff();
    const returns = new Map<number, number>();
    const positions = new Map<number, number>();
    for (let index = 0; index < count; index += 1, at += ENTRY_BYTES) {
      const sequence = view.getFloat64(at, true);
      const times = view.getFloat64(at + 8, true);
      if (times > 0) returns.set(sequence, times);
      if (head % 2 === 1) positions.set(sequence, index);
    }
    rests.set(stream, { isOrdered: head % 2 === 1, positions, returns });
  }
  return rests;
}

function cutOff(): NaruError {
  return new NaruError('NARU_CORRUPT', `the snapshot ${NAME} of the broker's data folder is cut off`);
}
