// A producer's or consumer's seat as one handle holds it: taken once however many calls need it, given back once.

import { within, type WaitLimits } from './waiting.ts';

/** Even a call that waits for no message has to get its seat; a place that is out of reach gives none. In milliseconds. */
const SEAT_MS = 1_000;

/** Takes and gives back one end of a driver. */
export class Seat<E> {
  readonly #open: () => Promise<E>;
  readonly #role: 'producer' | 'consumer';
  readonly #mailbox: string;
  #end: E | undefined;
  #taking: Promise<E> | undefined;

  /** @param open  attaches the end; called again only after it failed or the seat was given back */
  constructor(open: () => Promise<E>, role: 'producer' | 'consumer', mailbox: string) {
    this.#open = open;
    this.#role = role;
    this.#mailbox = mailbox;
  }

  /** The end, once it is attached. */
  get end(): E | undefined {
    return this.#end;
  }

  /**
   * Takes the seat. Idempotent; a failure can be tried again. The limits end this call's wait; the seat is taken all the same.
   * @throws NARU_TIMEOUT, the signal's reason, and what attaching raises
   */
  take(limits: WaitLimits = {}): Promise<E> {
    this.#taking ??= this.#open().then(
      (end) => (this.#end = end),
      (error: unknown) => {
        this.#taking = undefined;
        throw error;
      },
    );
    if (this.#end !== undefined) return this.#taking;
    const { signal, timeoutMs } = limits;
    const wait = { signal, timeoutMs: timeoutMs === 0 ? SEAT_MS : timeoutMs };
    return within(this.#taking, wait, `there was no ${this.#role}'s seat`, this.#mailbox);
  }

  /** Lets go of the end, waiting for it if it is being attached. @returns the end to close, if there is one */
  async leave(): Promise<E | undefined> {
    const taking = this.#taking;
    this.#taking = undefined;
    const end = await taking?.catch(() => undefined);
    this.#end = undefined;
    return end;
  }
}
