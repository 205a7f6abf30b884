// What is written down when something durable changes: one JSON object for each change. docs/internals/broker-storage.md lists them.

import type { Policy } from '../policies.ts';
import { decodeTable, Writer, type FieldTable } from '../../wire/amqp091/index.ts';

/** One change of a definition. Arguments are AMQP tables in base64: their types count. */
export type Change =
  | { readonly do: 'vhost' | 'delete-vhost' | 'delete-user'; readonly name: string }
  | { readonly do: 'user'; readonly user: StoredUser }
  | { readonly do: 'permission'; readonly user: string; readonly vhost: string; readonly may: May }
  | { readonly do: 'delete-permission'; readonly user: string; readonly vhost: string }
  | { readonly do: 'policy'; readonly vhost: string; readonly policy: Policy }
  | ({ readonly do: 'exchange'; readonly internal: boolean; readonly type: string } & Made)
  | ({ readonly do: 'queue' } & Made)
  | {
      readonly do: 'delete-exchange' | 'delete-queue' | 'delete-policy';
      readonly vhost: string;
      readonly name: string;
    }
  | ({ readonly do: 'bind' | 'unbind' } & Bound);

interface Made {
  readonly vhost: string;
  readonly name: string;
  /** Its stream; 0: it keeps no messages. */
  readonly stream: number;
  /** False: only a clean stop kept it. */
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly args: string;
}

interface Bound {
  readonly vhost: string;
  readonly source: string;
  readonly kind: 'queue' | 'exchange';
  readonly destination: string;
  readonly key: string;
  readonly args: string;
}

interface StoredUser {
  readonly name: string;
  readonly passwordHash: string;
  readonly tags: readonly string[];
}

interface May {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

export function packTable(table: FieldTable): string {
  if (Object.keys(table).length === 0) return '';
  const writer = new Writer(256);
  writer.table(table);
  return writer.take().toString('base64');
}

export function unpackTable(text: string): FieldTable {
  const bytes = Buffer.from(text, 'base64');
  return decodeTable(bytes, Math.min(4, bytes.length), bytes.length);
}
