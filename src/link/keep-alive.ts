// Keeps the process alive while there is a reason to: a handle's waiting calls have no descriptor of their own here.

const FOR_EVER_MS = 2 ** 30;

export class KeepAlive {
  #reasons = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param reason  a bit of Hold */
  hold(reason: number, on: boolean): void {
    const before = this.#reasons;
    this.#reasons = on ? before | reason : before & ~reason;
    if (this.#reasons === 0) {
      if (before !== 0) this.#timer?.unref();
    } else if (before === 0) {
      this.#timer ??= setInterval(() => undefined, FOR_EVER_MS);
      this.#timer.ref();
    }
  }

  release(): void {
    this.#reasons = 0;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
