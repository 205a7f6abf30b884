// How many turns of the event loop a wait looks for itself before it sleeps, by what looking brought of late. Being woken costs
// several turns' time; turning in vain takes the processor from the very peer that is waited for. Who looks, and at what: the caller.

/** Where looking finds something again after none was tried. */
const LEAST_TURNS = 2;
const MOST_TURNS = 24;
/** After so many sleeps without looking it is tried again. */
const SLEEPS_BEFORE_TRIAL = 64;

/** The patience of one handle: every wait on it adds to what it knows. */
export class Patience {
  readonly #fixedTurns: number | undefined;
  readonly #trialTurns: number;
  #turns: number;
  #sleeps = 0;

  /**
   * @param fixedTurns  turns of every wait, whatever they bring; undefined: by what they bring
   * @param firstTurns  turns of the first wait
   * @param trialTurns  turns when looking is tried again; at most {@link MOST_TURNS}. It must outlast what the peer needs to wake
   * and to answer, otherwise two that could do without sleeping never find out.
   */
  constructor(fixedTurns?: number, firstTurns: number = LEAST_TURNS, trialTurns = 8) {
    this.#fixedTurns = fixedTurns;
    this.#turns = firstTurns;
    this.#trialTurns = trialTurns;
  }

  /** Turns that a wait beginning now looks before it sleeps: 0 to 24, if they are not fixed. */
  get turns(): number {
    return this.#fixedTurns ?? this.#turns;
  }

  /** What was waited for came while the wait was turning. */
  found(): void {
    this.#turns = Math.min(Math.max(this.#turns * 2, LEAST_TURNS), MOST_TURNS);
  }

  /** All turns were in vain, and the wait went to sleep. */
  slept(): void {
    this.#turns >>>= 1;
    this.#sleeps += 1;
    if (this.#sleeps < SLEEPS_BEFORE_TRIAL) return;
    this.#sleeps = 0;
    this.#turns = this.#trialTurns;
  }
}
