// Field tables as JSON has them, for people, HTTP and definitions, and back again.

import { emptyTable, type Field, type FieldTable } from '../wire/amqp091/index.ts';

/** Values of a table as JSON has them. */
export type PlainArguments = Readonly<Record<string, unknown>>;

/** A table for people: values without their types. */
export function plainTable(table: FieldTable): Record<string, unknown> {
  const plain: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const name of Object.keys(table)) plain[name] = plainValue(table[name] as Field);
  return plain;
}

function plainValue(field: Field): unknown {
  switch (field.type) {
    case 'F':
      return plainTable(field.value);
    case 'A':
      return field.value.map(plainValue);
    case 'x':
      return Buffer.from(field.value).toString('base64');
    case 'S':
      return typeof field.value === 'string' ? field.value : Buffer.from(field.value).toString('latin1');
    case 'D':
      return field.value.digits / 10 ** field.value.scale;
    default:
      return typeof field.value === 'bigint' ? field.value.toString() : field.value;
  }
}

/** A table of values without types: whole numbers become the smallest type RabbitMQ's own tools use for them. */
export function fromPlain(plain: Readonly<Record<string, unknown>> | undefined): FieldTable {
  const table = emptyTable();
  for (const name of Object.keys(plain ?? {})) table[name] = fieldOf(plain?.[name]);
  return table;
}

function fieldOf(value: unknown): Field {
  if (typeof value === 'boolean') return { type: 't', value };
  if (typeof value === 'number') return numberField(value);
  if (Array.isArray(value)) return { type: 'A', value: value.map(fieldOf) };
  if (typeof value === 'object' && value !== null) {
    return { type: 'F', value: fromPlain(value as Readonly<Record<string, unknown>>) };
  }
  if (value === null || value === undefined) return { type: 'V', value: null };
  return { type: 'S', value: typeof value === 'string' ? value : JSON.stringify(value) };
}

function numberField(value: number): Field {
  if (!Number.isSafeInteger(value)) return { type: 'd', value };
  return Math.abs(value) <= 0x7fffffff ? { type: 'I', value } : { type: 'l', value };
}
