// How far the messages of a journal have got: the log counts records, their senders want to know of messages.

import type { Log } from '../log/index.ts';
import { Deque } from '../store/deque.ts';

interface Mark {
  readonly sequence: number;
  /** Number of the last message in that record. */
  readonly last: number;
}

export class Written {
  readonly #log: Log;
  readonly #unplaced = new Deque<Mark>();
  readonly #unsynced = new Deque<Mark>();
  /** Every message up to this one is in the hands of the system. */
  placed: number;
  /** Every message up to this one is on the disk. */
  durable: number;

  /** @param last  number of the last message that was there before */
  constructor(log: Log, last: number) {
    this.#log = log;
    this.placed = last;
    this.durable = last;
  }

  /** A batch is being written, or is about to be. */
  get isUnderWay(): boolean {
    return this.#unplaced.size > 0;
  }

  add(sequence: number, last: number): void {
    const mark = { sequence, last };
    this.#unplaced.push(mark);
    this.#unsynced.push(mark);
  }

  /** The log has got further. */
  look(): void {
    this.placed = passed(this.#unplaced, this.#log.written) ?? this.placed;
    this.durable = passed(this.#unsynced, this.#log.synced) ?? this.durable;
  }
}

function passed(marks: Deque<Mark>, sequence: number): number | undefined {
  let last: number | undefined;
  for (let mark = marks.front(); mark !== undefined && mark.sequence <= sequence; mark = marks.front()) {
    last = mark.last;
    marks.shift();
  }
  return last;
}
