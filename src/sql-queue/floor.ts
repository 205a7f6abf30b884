// Where the next taking of a seat begins. A database that only marks deleted rows has to step over them until a vacuum: whoever takes from the front
// steps over everything that was ever taken since. So a taking begins where the one before ended, and now and then at the front again, for what
// went back meanwhile. More urgent messages are always looked at from their front.

import { firstOfPriority } from './order.ts';

/** So often the whole table is looked at, in milliseconds. */
const WHOLE_MS = 100;

/** Numbers below `until` and from `from` on are looked at. */
export interface Floor {
  readonly until: number;
  readonly from: number;
}

const WHOLE: Floor = { until: 0, from: 0 };

export class FloorKeeper {
  #floor = WHOLE;
  #wholeTime = Number.NEGATIVE_INFINITY;

  /** For a taking now. */
  next(): Floor {
    if (performance.now() - this.#wholeTime >= WHOLE_MS) this.reset();
    if (this.#floor === WHOLE) this.#wholeTime = performance.now();
    return this.#floor;
  }

  /** A taking brought as much as was asked for, and this last: before it there is nothing, or what others have. */
  passed(last: number): void {
    this.#floor = { until: firstOfPriority(last), from: last };
  }

  /** Something may be in front. */
  reset(): void {
    this.#floor = WHOLE;
  }
}
