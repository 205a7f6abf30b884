// What is asked of the receiving end of a place that fetches ahead: how much somebody wants, whether that is a stream by now, and who still waits
// to hear of what was settled. How it is fetched is the place's.

/** Whoever wants so many at once gets a stream. */
const STREAM = 32;
/** So many wants one after the other, each right after the one before, are a stream, too. */
const STREAK = 16;

type Done = (error?: Error) => void;

export class Demand {
  readonly #hold: (isNeeded: boolean) => void;
  #wanted = 0;
  #streak = 0;
  #polls = 0;
  #settling = 0;

  /** @param hold  keeps the process alive: somebody waits for a message, or to hear that one is settled */
  constructor(hold: (isNeeded: boolean) => void) {
    this.#hold = hold;
  }

  get wanted(): number {
    return this.#wanted;
  }

  /** How many are told when what they settled is. */
  get settling(): number {
    return this.#settling;
  }

  /** What is fetched now is for somebody. */
  get isAsked(): boolean {
    return this.#wanted > 0 || this.#polls > 0;
  }

  /** One wants a single message after the other, with hardly a pause. */
  get isStreak(): boolean {
    return this.#streak >= STREAK;
  }

  /** So many are wanted at once. */
  get isBulk(): boolean {
    return this.#wanted >= STREAM;
  }

  want(count: number): void {
    if (this.#wanted === 0 && count > 0) this.#streak += 1;
    this.#wanted = count;
    this.#update();
  }

  /** So many of what is wanted were given out; whoever wants more says so. */
  taken(count: number): void {
    this.#wanted = Math.max(0, this.#wanted - count);
  }

  /** Nobody has wanted anything for a moment. */
  rested(): void {
    this.#streak = 0;
  }

  /** How many may be on their way for whoever wants so many. A streak gets more the longer it lasts. */
  ahead(prefetch: number): number {
    return this.isStreak ? Math.max(this.#wanted, Math.min(prefetch, this.#streak)) : this.#wanted;
  }

  /** Somebody asks once for what is there. */
  async polling(ask: () => Promise<void>): Promise<void> {
    this.#polls += 1;
    try {
      await ask();
    } finally {
      this.#polls -= 1;
    }
  }

  /** @returns what to call instead of `done` */
  awaited(done: Done): Done {
    this.#settling += 1;
    this.#update();
    return (error) => {
      this.#settling -= 1;
      this.#update();
      done(error);
    };
  }

  #update(): void {
    this.#hold(this.#wanted > 0 || this.#settling > 0);
  }
}
