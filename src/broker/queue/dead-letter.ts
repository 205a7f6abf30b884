// What is written into a message when it dies: the x-death table and the headers of its first and last death, as RabbitMQ
// writes them; and which queues it may not go to again.

import {
  changeHeaders,
  emptyTable,
  headersOf,
  PROPERTY,
  type Field,
  type FieldTable,
  type PropertyPieces,
} from '../../wire/amqp091/index.ts';
import { LIMITS } from '../limits.ts';
import type { DeathReason } from './queue.ts';

export interface Death {
  readonly reason: DeathReason;
  readonly queue: string;
  readonly exchange: string;
  /** The routing key it came with, and those of CC. */
  readonly keys: readonly string[];
  readonly wallMs: number;
}

type DeathTable = { readonly type: 'F'; readonly value: FieldTable };

const REMOVED = ['x-death', 'x-last-death-exchange', 'x-last-death-queue', 'x-last-death-reason'];

/**
 * Notes a death in a message's properties, in place; its ttl is taken away, so that it does not die of it again.
 * @param keepCc  whether CC stays: it goes when the queue sets a routing key of its own
 * @returns all deaths of the message, newest first
 */
export function noteDeath(pieces: PropertyPieces, death: Death, keepCc: boolean): readonly FieldTable[] {
  const before = pieces[PROPERTY.headers];
  const headers = headersOf(before) ?? emptyTable();
  const expiration = pieces[PROPERTY.expiration];
  const ttl = expiration === undefined ? undefined : Buffer.from(expiration.subarray(1)).toString();
  const deaths = updated(deathsOf(headers), death, ttl);
  const added: { [name: string]: Field } = emptyTable();
  added['x-death'] = { type: 'A', value: deaths };
  const facts: readonly (readonly [string, string])[] = [
    ['exchange', death.exchange],
    ['queue', death.queue],
    ['reason', death.reason],
  ];
  const isFirst = headers['x-first-death-queue'] === undefined;
  for (const [name, value] of facts) {
    if (isFirst) added[`x-first-death-${name}`] = longstr(value);
    added[`x-last-death-${name}`] = longstr(value);
  }
  pieces[PROPERTY.headers] = changeHeaders(before, new Set(keepCc ? REMOVED : [...REMOVED, 'CC']), added);
  pieces[PROPERTY.expiration] = undefined;
  return deaths.map(({ value }) => value);
}

/**
 * Whether a message would go round for ever: it died in this queue before, and nobody rejected it since.
 * @param deaths  newest first
 */
export function isCycle(queue: string, deaths: readonly FieldTable[]): boolean {
  const at = deaths.findIndex((death) => textOf(death['queue']) === queue);
  return at >= 0 && deaths.slice(0, at + 1).every((death) => textOf(death['reason']) !== 'rejected');
}

function deathsOf(headers: FieldTable): DeathTable[] {
  const field = headers['x-death'];
  return field?.type === 'A' ? field.value.filter((death): death is DeathTable => death.type === 'F') : [];
}

/** One entry for each queue and reason, the newest in front. */
function updated(deaths: readonly DeathTable[], death: Death, ttl: string | undefined): DeathTable[] {
  const same = deaths.find(
    ({ value }) => textOf(value['queue']) === death.queue && textOf(value['reason']) === death.reason,
  );
  if (same !== undefined) {
    const count = same.value['count'];
    const next = (count?.type === 'l' ? Number(count.value) : 0) + 1;
    const entry = Object.assign(emptyTable(), same.value, { count: { type: 'l', value: next } });
    return [{ type: 'F', value: entry }, ...deaths.filter((other) => other !== same)];
  }
  const entry: { [name: string]: Field } = emptyTable();
  entry['count'] = { type: 'l', value: 1 };
  entry['reason'] = longstr(death.reason);
  entry['queue'] = longstr(death.queue);
  entry['time'] = { type: 'T', value: Math.floor(death.wallMs / 1000) };
  entry['exchange'] = longstr(death.exchange);
  entry['routing-keys'] = { type: 'A', value: death.keys.map(longstr) };
  if (ttl !== undefined) entry['original-expiration'] = longstr(ttl);
  return [{ type: 'F', value: entry }, ...deaths.slice(0, LIMITS.deathsMax.default - 1)];
}

function longstr(value: string): Field {
  return { type: 'S', value };
}

function textOf(field: Field | undefined): string | undefined {
  return field?.type === 'S' ? String(field.value) : undefined;
}
