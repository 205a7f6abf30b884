// What a client got, as lines that two brokers can be compared by: without what differs by chance (made-up names, times, the order
// of things that happen at the same time in different queues).

import { plainTable } from '../plain-table.ts';
import type { Field, FieldTable } from '../../wire/amqp091/index.ts';
import type { Got } from '../got.fixture.ts';

/** Names that a broker made up, by the order in which they came. */
export class MadeUpNames {
  readonly #names = new Map<string, string>();

  replace(text: string): string {
    return text.replace(/amq\.(gen|ctag)-[\w-]{22}/g, (name, kind: string) => {
      const known = this.#names.get(name) ?? `amq.${kind}-${this.#names.size + 1}`;
      this.#names.set(name, known);
      return known;
    });
  }
}

/** A field with its type; of a time only that it is one. */
function show(field: Field): string {
  switch (field.type) {
    case 'T':
      return 'time';
    case 'A':
      return `[${field.value.map(show).join(', ')}]`;
    case 'F':
      return showTable(field.value);
    default:
      return `${field.type}:${JSON.stringify(plainTable({ v: field })['v'])}`;
  }
}

/** The order of fields says nothing. Headers that RabbitMQ 3.10 does not have yet and later versions do are left out. */
function showTable(table: FieldTable): string {
  const names = Object.keys(table)
    .filter((name) => !name.startsWith('x-last-death-'))
    .sort();
  return `{${names.map((name) => `${name}=${show(table[name] as Field)}`).join(', ')}}`;
}

/** One method as a line. Tags of deliveries depend on what happened at the same time elsewhere: who plays the script checks them. */
export function lineOf({ name, args, body, properties }: Got): string {
  const shown = Object.entries(args)
    .filter(([key]) => key !== 'deliveryTag' && !key.startsWith('reserved'))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  if (body !== undefined) shown.push(`body=${JSON.stringify(body)}`);
  for (const [key, value] of Object.entries(properties ?? {}))
    shown.push(`${key}=${key === 'headers' ? showTable(value as FieldTable) : JSON.stringify(value)}`);
  return [name, ...shown].join(' ');
}

/**
 * What comes from a channel and what comes from a queue races, and so do two queues. Answers stand first, then returns, then
 * deliveries by consumer, then notices that consumers ended.
 */
export function inOrder(got: readonly Got[]): Got[] {
  const rank = ({ name, args }: Got): string => {
    if (name === 'basic.return') return '1';
    if (name === 'basic.deliver') return `2${String(args['consumerTag'])}`;
    if (name === 'basic.cancel') return `3${String(args['consumerTag'])}`;
    return '0';
  };
  return got
    .map((one, index) => ({ one, index, rank: rank(one) }))
    .sort((a, b) => (a.rank === b.rank ? a.index - b.index : a.rank < b.rank ? -1 : 1))
    .map(({ one }) => one);
}
