// What a subscriber missed: each publisher among Naru counts what it publishes, so a number that was skipped is a message that
// was lost on the way: for a connection that broke, or at a limit that a stranger between us set.

/** Publishers that are remembered. */
const PUBLISHERS_MAX = 1_024;

export class GapWatch {
  readonly #last = new Map<string, number>();

  /** A publisher says where it stands. @returns how many messages were missed */
  greet(sender: string, count: number): number {
    const last = this.#last.get(sender);
    this.#remember(sender, count);
    return last === undefined ? 0 : distance(last, count);
  }

  /** A message came. @returns how many were missed before it, or given up by the publisher before they left it */
  arrive(sender: string, count: number): number {
    const last = this.#last.get(sender);
    this.#remember(sender, count);
    return last === undefined ? 0 : Math.max(0, distance(last, count) - 1);
  }

  #remember(sender: string, count: number): void {
    this.#last.delete(sender);
    this.#last.set(sender, count);
    if (this.#last.size <= PUBLISHERS_MAX) return;
    const oldest = this.#last.keys().next();
    if (oldest.done !== true) this.#last.delete(oldest.value);
  }
}

/** Numbers wrap at 2^32; what seems to lie far ahead lies behind. */
function distance(from: number, to: number): number {
  const ahead = (to - from) >>> 0;
  return ahead > 0x7fff_ffff ? 0 : ahead;
}
