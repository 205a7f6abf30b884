// The dedup window: the last n ids, each remembered until n newer ones came.

import { Deque } from './deque.ts';

export class IdWindow {
  readonly #limit: number;
  readonly #known = new Set<string>();
  readonly #order = new Deque<string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(id: string): boolean {
    return this.#known.has(id);
  }

  add(id: string): void {
    if (this.#known.has(id)) return;
    if (this.#order.size === this.#limit) {
      const oldest = this.#order.shift();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.add(id);
    this.#order.push(id);
  }
}
