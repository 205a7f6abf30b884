// Keeps the process alive while somebody of this thread waits for a memory mailbox (rule R11), with one timer for all. What
// waits, and for how long it may hold the process, is decided by those who hold.

let holders = 0;
let timer: NodeJS.Timeout | undefined;

/** One reason to stay alive; off when made. */
export class Hold {
  #on = false;

  /** Switching to what it is already costs nothing. */
  set(on: boolean): void {
    if (on === this.#on) return;
    this.#on = on;
    holders += on ? 1 : -1;
    timer ??= setInterval(() => undefined, 2 ** 31 - 1);
    if (on && holders === 1) timer.ref();
    else if (!on && holders === 0) timer.unref();
  }
}
