// Keeps the process alive while somebody waits for the server, whether the connection is there or not.

/** No timer fires so late; it only keeps the process. */
const FOR_EVER_MS = 2 ** 30;

export class Hold {
  readonly #timer = setInterval(() => undefined, FOR_EVER_MS).unref();
  readonly #holders = new Set<object>();

  set(who: object, isNeeded: boolean): void {
    if (this.#holders.has(who) === isNeeded) return;
    if (isNeeded) this.#holders.add(who);
    else this.#holders.delete(who);
    if (this.#holders.size > 0) this.#timer.ref();
    else this.#timer.unref();
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
