// Headers: by the values of a message's headers, all of them or any, with or without those that begin with `x-`.

import { FIELD_TYPE_NAMES, Writer, type Field, type FieldTable } from '../../wire/amqp091/index.ts';
import { preconditionFailed } from '../refusal.ts';
import type { Binding, Destination } from './binding.ts';
import type { Matcher } from './matcher.ts';

interface Rule {
  readonly any: boolean;
  readonly wanted: readonly (readonly [string, string | undefined])[];
}

const WORDS: readonly string[] = ['all', 'any', 'all-with-x', 'any-with-x'];

export class HeadersMatcher<D extends Destination> implements Matcher<D> {
  readonly #rules = new Map<Binding<D>, Rule>();

  check(args: FieldTable): void {
    ruleOf(args);
  }

  add(binding: Binding<D>): void {
    this.#rules.set(binding, ruleOf(binding.args));
  }

  remove(binding: Binding<D>): void {
    this.#rules.delete(binding);
  }

  match(_key: string, headers: () => FieldTable, found: (destination: D) => void): void {
    if (this.#rules.size === 0) return;
    const present = headers();
    for (const [{ destination }, rule] of this.#rules) if (matches(rule, present)) found(destination);
  }
}

function ruleOf(args: FieldTable): Rule {
  const field = args['x-match'];
  if (field !== undefined && field.type !== 'S') {
    const name = FIELD_TYPE_NAMES[field.type];
    const value = typeof field.value === 'object' ? name : String(field.value);
    throw preconditionFailed(`Invalid x-match field type ${name} (value ${value}); expected longstr`);
  }
  const word = field === undefined ? 'all' : String(field.value);
  if (!WORDS.includes(word)) {
    throw preconditionFailed(
      `Invalid x-match field value <<"${word}">>; expected all, any, all-with-x, or any-with-x`,
    );
  }
  const withX = word.endsWith('-with-x');
  const wanted = Object.keys(args)
    .filter((name) => name !== 'x-match' && (withX || !name.startsWith('x-')))
    .map((name) => [name, valueOf(args[name] as Field)] as const);
  return { any: word.startsWith('any'), wanted };
}

function matches({ any, wanted }: Rule, present: FieldTable): boolean {
  const one = ([name, value]: readonly [string, string | undefined]): boolean => {
    const field = present[name];
    return field !== undefined && (value === undefined || valueOf(field) === value);
  };
  // No condition at all: "all" holds, "any" does not.
  return any ? wanted.some(one) : wanted.every(one);
}

/** What two equal values have in common, numbers of any size included; undefined: being there is enough. */
function valueOf(field: Field): string | undefined {
  switch (field.type) {
    case 'V':
      return undefined;
    case 'b':
    case 'B':
    case 's':
    case 'u':
    case 'I':
    case 'i':
    case 'l':
      return `n${field.value}`;
    case 'f':
    case 'd':
      return `f${field.value}`;
    case 'S':
      return typeof field.value === 'string'
        ? `S${field.value}`
        : `S${Buffer.from(field.value).toString('latin1')}`;
    default: {
      const writer = new Writer(256);
      writer.table({ v: field });
      return writer.take().toString('latin1');
    }
  }
}
