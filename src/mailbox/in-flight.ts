// So many things at once: counts promises that are under way, says when there is room for another, and when all are over.

export class InFlight {
  readonly #most: number;
  readonly #failed: (error: unknown) => void;
  #count = 0;
  #waiting: (() => void)[] = [];

  /** @param failed  hears what any of them rejects with */
  constructor(most: number, failed: (error: unknown) => void) {
    this.#most = most;
    this.#failed = failed;
  }

  /** How many more there may be now. */
  get room(): number {
    return this.#most - this.#count;
  }

  add(promise: Promise<unknown>): void {
    this.#count += 1;
    promise.then(
      () => this.#over(),
      (error: unknown) => {
        this.#failed(error);
        this.#over();
      },
    );
  }

  /** Resolves when there is room for one more. */
  async whenRoom(): Promise<void> {
    while (this.room <= 0) await this.#nextOver();
  }

  /** Resolves when none is under way. */
  async whenIdle(): Promise<void> {
    while (this.#count > 0) await this.#nextOver();
  }

  #nextOver(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #over(): void {
    this.#count -= 1;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
