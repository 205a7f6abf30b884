// How many of one producer's messages have reached a stage, where contents only know how many of all messages have.

import { Deque } from '../store/deque.ts';
import type { Stage, Stages } from './contents.ts';

/** So many of the producer's messages, the last of which has this number in the contents. */
interface Mark {
  readonly count: number;
  readonly number: number;
}

export class StageCounts {
  readonly #stages: Stages;
  readonly #marks: Readonly<Record<Stage, Deque<Mark>>> = { placed: new Deque(), durable: new Deque() };

  constructor(stages: Stages) {
    this.#stages = stages;
  }

  /** The contents have taken so many of the producer's messages, the last one just now. */
  taken(count: number): void {
    const mark = { count, number: this.#stages.taken };
    this.#marks.placed.push(mark);
    this.#marks.durable.push(mark);
  }

  /** @returns how many have reached the stage; undefined when that has not changed since it was asked */
  next(stage: Stage): number | undefined {
    const marks = this.#marks[stage];
    const reached = this.#stages[stage];
    let count: number | undefined;
    for (let mark = marks.front(); mark !== undefined && mark.number <= reached; mark = marks.front()) {
      count = mark.count;
      marks.shift();
    }
    return count;
  }
}
