// Keeps the process alive while somebody waits, for places whose waiting calls have nothing of their own that does. One timer serves the
// whole thread. What waits, and for how long it may hold the process, is decided by those who hold.

/** No timer fires so late; it only keeps the process. */
const FOR_EVER_MS = 2 ** 31 - 1;

let count = 0;
let timer: NodeJS.Timeout | undefined;

/** One reason to stay alive; off when made. */
export class Hold {
  #on = false;

  /** Switching to what it is already costs nothing. */
  set(on: boolean): void {
    if (on === this.#on) return;
    this.#on = on;
    count += on ? 1 : -1;
    timer ??= setInterval(() => undefined, FOR_EVER_MS);
    if (on && count === 1) timer.ref();
    else if (!on && count === 0) timer.unref();
  }
}

/** The reasons of one handle: it holds the process while it has any. */
export class KeepAlive {
  readonly #reasons = new Set<unknown>();
  readonly #hold = new Hold();
  #isOver = false;

  /** @param reason  whoever waits, or a name for it */
  hold(reason: unknown, isNeeded: boolean): void {
    if (this.#reasons.has(reason) === isNeeded || this.#isOver) return;
    if (isNeeded) this.#reasons.add(reason);
    else this.#reasons.delete(reason);
    this.#hold.set(this.#reasons.size > 0);
  }

  /** The handle is closed or has failed: whatever it is told later, it holds nothing. */
  end(): void {
    this.#isOver = true;
    this.#reasons.clear();
    this.#hold.set(false);
  }
}
