// Finds the queues a message goes to: over bindings, exchanges bound to exchanges, alternate exchanges. Iterative, each
// exchange once, each queue once; cycles are harmless.

import type { FieldTable } from '../../wire/amqp091/index.ts';
import type { Queue } from '../queue/queue.ts';
import type { Exchange, Target } from './exchange.ts';

/** Where the router looks names up. */
export interface Names {
  queue(name: string): Queue | undefined;
  exchange(name: string): Exchange | undefined;
}

export class Router {
  readonly #names: Names;
  #mark = 0;
  #out: Queue[] = [];
  #pending: Exchange[] = [];
  #matched = 0;
  readonly #found = (target: Target): void => {
    this.#matched += 1;
    if (target.kind === 'queue') this.#reach(target.queue);
    else this.#visit(target.exchange);
  };

  constructor(names: Names) {
    this.#names = names;
  }

  /**
   * Adds the queues that a message reaches to `out`.
   * @param keys     its routing key, and those of CC and BCC
   * @param headers  decoded when an exchange asks
   */
  route(exchange: Exchange, keys: readonly string[], headers: () => FieldTable, out: Queue[]): void {
    this.#mark += 1;
    this.#out = out;
    this.#pending = [];
    this.#visit(exchange);
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      this.#matched = 0;
      for (const key of keys) {
        if (next.name === '') this.#byName(key);
        else next.match(key, headers, this.#found);
      }
      if (this.#matched > 0 || next.alternate === undefined) continue;
      const alternate = this.#names.exchange(next.alternate);
      if (alternate !== undefined) this.#visit(alternate);
    }
  }

  /** The default exchange: every queue by its name. */
  #byName(key: string): void {
    const queue = this.#names.queue(key);
    if (queue === undefined) return;
    this.#matched += 1;
    this.#reach(queue);
  }

  #reach(queue: Queue): void {
    if (queue.mark === this.#mark) return;
    queue.mark = this.#mark;
    this.#out.push(queue);
  }

  #visit(exchange: Exchange): void {
    if (exchange.mark === this.#mark) return;
    exchange.mark = this.#mark;
    this.#pending.push(exchange);
  }
}
