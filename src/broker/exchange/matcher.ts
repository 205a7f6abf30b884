// How an exchange finds the bindings that match a message. One implementation for each type of exchange.

import type { FieldTable } from '../../wire/amqp091/index.ts';
import type { Binding, Destination } from './binding.ts';

export interface Matcher<D extends Destination> {
  /** Looks at the arguments of a binding to be. @throws Refusal 406  they make no sense for this type */
  check?(args: FieldTable): void;
  /** @throws Refusal 406  the binding's arguments make no sense for this type */
  add(binding: Binding<D>): void;
  remove(binding: Binding<D>): void;
  /**
   * Calls `found` with the destination of each matching binding; one may come more than once.
   * @param headers  the message's headers, decoded when somebody asks
   */
  match(key: string, headers: () => FieldTable, found: (destination: D) => void): void;
}
