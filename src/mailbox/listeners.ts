// Who listens to what, and telling them: the mechanism of every handle's events. What happens when nobody listens is its owner's.

type Listener = (detail: never) => void;

/** Listeners by event; `E` says what each event carries. */
export class Listeners<E extends object> {
  readonly #byEvent = new Map<keyof E, Set<Listener>>();

  /** @returns a function that takes the listener off */
  on<K extends keyof E>(event: K, listener: (detail: E[K]) => void): () => void {
    const set = this.#byEvent.get(event) ?? new Set<Listener>();
    this.#byEvent.set(event, set);
    set.add(listener);
    return () => void set.delete(listener);
  }

  /**
   * Calls every listener; one that throws does not keep the others from hearing.
   * @returns false when nobody listens
   */
  tell<K extends keyof E>(event: K, detail: E[K], failed: (error: unknown) => void): boolean {
    const set = this.#byEvent.get(event) as Set<(detail: E[K]) => void> | undefined;
    if (set === undefined || set.size === 0) return false;
    for (const listener of set) {
      try {
        listener(detail);
      } catch (error) {
        failed(error);
      }
    }
    return true;
  }
}
