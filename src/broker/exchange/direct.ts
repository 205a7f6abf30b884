// Direct and fanout: by the exact key, and to all.

import type { FieldTable } from '../../wire/amqp091/index.ts';
import type { Binding, Destination } from './binding.ts';
import type { Matcher } from './matcher.ts';

export class DirectMatcher<D extends Destination> implements Matcher<D> {
  readonly #byKey = new Map<string, Set<Binding<D>>>();

  add(binding: Binding<D>): void {
    const list = this.#byKey.get(binding.key);
    if (list === undefined) this.#byKey.set(binding.key, new Set([binding]));
    else list.add(binding);
  }

  remove(binding: Binding<D>): void {
    const list = this.#byKey.get(binding.key);
    if (list?.delete(binding) === true && list.size === 0) this.#byKey.delete(binding.key);
  }

  match(key: string, _headers: () => FieldTable, found: (destination: D) => void): void {
    const list = this.#byKey.get(key);
    if (list !== undefined) for (const { destination } of list) found(destination);
  }
}

export class FanoutMatcher<D extends Destination> implements Matcher<D> {
  readonly #all = new Set<Binding<D>>();

  add(binding: Binding<D>): void {
    this.#all.add(binding);
  }

  remove(binding: Binding<D>): void {
    this.#all.delete(binding);
  }

  match(_key: string, _headers: () => FieldTable, found: (destination: D) => void): void {
    for (const { destination } of this.#all) found(destination);
  }
}
