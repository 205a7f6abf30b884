// What a clean stop writes down that the log does not tell: which messages came back to their queue and how often, and the order of
// queues that got messages from memory. A running broker writes that it runs: after a crash there is nothing to be believed.

import { NaruError } from '../../errors/index.ts';
import type { Log } from '../../log/index.ts';

/** What is known of one queue. */
export class QueueRest {
  /** The order of its messages is not that of their sequences. */
  readonly isOrdered: boolean;
  /** Sequence and returns of each message, in the order in which they were written. */
  readonly #entries: Float64Array;
  /** Entries by their sequences; undefined: they lie so already. */
  readonly #bySequence: Uint32Array | undefined;
  /** Behind what was found last: they are mostly asked for in turn. */
  #next = 0;

  constructor(isOrdered: boolean, entries: Float64Array) {
    this.isOrdered = isOrdered;
    this.#entries = entries;
    let isAscending = true;
    for (let at = 2; at < entries.length; at += 2)
      isAscending &&= (entries[at - 2] as number) < (entries[at] as number);
    if (isAscending) return;
    const order = Uint32Array.from({ length: entries.length / 2 }, (_, index) => index);
    this.#bySequence = order.sort((a, b) => (entries[a * 2] as number) - (entries[b * 2] as number));
  }

  /** How often the message came back. */
  returnsOf(sequence: number): number {
    const at = this.#find(sequence);
    return at < 0 ? 0 : (this.#entries[at * 2 + 1] as number);
  }

  /** Where the message stands, when the queue is ordered; behind all others when that was not written. */
  positionOf(sequence: number): number {
    const at = this.#find(sequence);
    return at < 0 ? Infinity : at;
  }

  #entryAt(rank: number): number {
    return this.#bySequence === undefined ? rank : (this.#bySequence[rank] as number);
  }

  #find(sequence: number): number {
    let low = 0;
    let high = this.#entries.length / 2 - 1;
    let rank = Math.min(this.#next, high);
    while (low <= high) {
      const at = this.#entryAt(rank);
      const found = this.#entries[at * 2] as number;
      if (found === sequence) {
        this.#next = rank + 1;
        return at;
      }
      if (found < sequence) low = rank + 1;
      else high = rank - 1;
      rank = (low + high) >>> 1;
    }
    return -1;
  }
}

const NAME = 'rest';
const RUNNING = 0;
const AT_REST = 1;
const HEAD_BYTES = 16;

/** What is to be known of a queue. */
export interface Resting {
  readonly stream: number;
  readonly isOrdered: boolean;
  /** Of its messages in order: the sequence of each, and behind it how often it came back. */
  readonly entries: readonly number[];
}

/** Layout, in float64: 1 or 0 (runs), queues; for each: stream, entries × 2 + 1 when ordered; for each entry: sequence, returns. */
export async function writeRest(log: Log, queues: readonly Resting[]): Promise<void> {
  const count = queues.reduce((sum, { entries }) => sum + 2 + entries.length, 2);
  const numbers = new Float64Array(count);
  numbers[0] = AT_REST;
  numbers[1] = queues.length;
  let at = 2;
  for (const { stream, isOrdered, entries } of queues) {
    numbers[at] = stream;
    numbers[at + 1] = entries.length + (isOrdered ? 1 : 0);
    numbers.set(entries, at + 2);
    at += 2 + entries.length;
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
  const numbers = new Float64Array(bytes.slice().buffer);
  if (numbers[0] !== AT_REST) return undefined;
  const rests = new Map<number, QueueRest>();
  let at = 2;
  for (let left = numbers[1] as number; left > 0; left -= 1) {
    const [stream, head] = numbers.subarray(at, at + 2);
    if (stream === undefined || head === undefined) throw cutOff();
    const isOrdered = head % 2 === 1;
    const entries = numbers.subarray(at + 2, at + 2 + head - (isOrdered ? 1 : 0));
    at += 2 + entries.length;
    if (entries.length !== head - (isOrdered ? 1 : 0)) throw cutOff();
    rests.set(stream, new QueueRest(isOrdered, entries));
  }
  return rests;
}

function cutOff(): NaruError {
  return new NaruError('NARU_CORRUPT', `the snapshot ${NAME} of the broker's data folder is cut off`);
}
