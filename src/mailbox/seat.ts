// A producer's or consumer's seat as one handle holds it: taken once however many calls need it, given back once.

/** Takes and gives back one end of a driver. */
export class Seat<E> {
  readonly #open: () => Promise<E>;
  #end: E | undefined;
  #taking: Promise<E> | undefined;

  /** @param open  attaches the end; called again only after it failed or the seat was given back */
  constructor(open: () => Promise<E>) {
    this.#open = open;
  }

  /** The end, once it is attached. */
  get end(): E | undefined {
    return this.#end;
  }

  /** Takes the seat. Idempotent; a failure can be tried again. */
  take(): Promise<E> {
    this.#taking ??= this.#open().then(
      (end) => (this.#end = end),
      (error: unknown) => {
        this.#taking = undefined;
        throw error;
      },
    );
    return this.#taking;
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
