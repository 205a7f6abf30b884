// A wait in the event loop that looks for itself for a few turns before it has itself woken: sleeping and waking costs several
// turns' time. Everything else that the loop has to do goes on between the turns; who waits long uses no processor time.

import { Patience } from '../waiting/patience.ts';
import { checkWhole } from './queue-errors.ts';

/** How the waits of one queue object in the event loop look for themselves before they sleep. */
export interface QueueWaiting {
  /**
   * Turns of the event loop for which a wait looks into the queue, once a turn, before it sleeps; whatever else the loop has to do
   * goes on between them. Default: 0 to 24, as many as have paid of late. 0: one look in the next turn.
   */
  readonly yields?: number | undefined;
}

/** Turns of a first and of a trial wait at a queue: a peer that has to be woken needs up to 20 µs, a turn takes 1 to 2. */
const QUEUE_TURNS = 24;
const MOST_YIELDS = 10_000;

/** @throws NARU_INVALID_ARGUMENT */
export function checkYields(queue: string, { yields }: QueueWaiting): void {
  if (yields !== undefined) checkWhole(queue, 'yields', yields, 0, MOST_YIELDS);
}

/** The patience of the waits for one thing at a queue. */
export function queuePatience({ yields }: QueueWaiting): Patience {
  return new Patience(yields, QUEUE_TURNS, QUEUE_TURNS);
}

/** The turns of one wait, or of several that look for the same. */
export class Linger {
  readonly #patience: Patience;
  readonly #look: () => boolean;
  readonly #sleep: () => void;
  readonly #turn = (): void => this.#turned();
  #immediate: NodeJS.Immediate | undefined;
  #turnsLeft = 0;
  #hasTurned = false;

  /**
   * @param look   takes what is there; true when nobody waits any more
   * @param sleep  called when all turns were in vain: somebody else must wake those who wait
   */
  constructor(patience: Patience, look: () => boolean, sleep: () => void) {
    this.#patience = patience;
    this.#look = look;
    this.#sleep = sleep;
  }

  /** From the next turn on; nothing when it turns already. */
  start(): void {
    if (this.#immediate !== undefined) return;
    this.#turnsLeft = this.#patience.turns;
    this.#hasTurned = false;
    this.#immediate = setImmediate(this.#turn);
  }

  /** Nobody waits any more. @param isFound  because what was waited for came */
  stop(isFound: boolean): void {
    if (this.#immediate === undefined) return;
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
    if (isFound && this.#hasTurned) this.#patience.found();
  }

  #turned(): void {
    this.#immediate = undefined;
    // Whoever got what he waited for may wait again at once.
    const hasTurned = this.#hasTurned;
    if (this.#look()) {
      if (hasTurned) this.#patience.found();
      return;
    }
    if (this.#turnsLeft === 0) {
      this.#patience.slept();
      this.#sleep();
      return;
    }
    this.#turnsLeft -= 1;
    this.#hasTurned = true;
    this.#immediate = setImmediate(this.#turn);
  }
}
