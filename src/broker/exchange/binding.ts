// A binding: from an exchange to a queue or to another exchange. Two bindings are the same when all of it is equal.

import { Writer, type FieldTable } from '../../wire/amqp091/index.ts';

/** What a binding leads to. */
export interface Destination {
  readonly kind: 'queue' | 'exchange';
  readonly name: string;
}

export interface Binding<D extends Destination = Destination> {
  readonly destination: D;
  readonly key: string;
  readonly args: FieldTable;
  /** The same for equal bindings of one exchange. */
  readonly id: string;
}

export function makeBinding<D extends Destination>(
  destination: D,
  key: string,
  args: FieldTable,
): Binding<D> {
  return { destination, key, args, id: bindingId(destination, key, args) };
}

export function bindingId({ kind, name }: Destination, key: string, args: FieldTable): string {
  const names = Object.keys(args).sort();
  if (names.length === 0) return `${kind} ${name}\n${key}\n`;
  const writer = new Writer(256);
  for (const field of names) writer.table({ [field]: args[field] } as FieldTable);
  return `${kind} ${name}\n${key}\n${writer.take().toString('latin1')}`;
}
