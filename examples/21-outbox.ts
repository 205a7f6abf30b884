// 21 · The outbox: an order and the message about it in one transaction. Both are there or none is, also when the program dies between the
// two. On PostgreSQL it is the same with `naru/postgres` and a client of the package pg.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'naru';
import { openOutbox } from 'naru/sqlite';

interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): { run(...values: never[]): unknown; all(): unknown[] };
  close(): void;
}

/** Node's own where there is one, else libsql. Naru takes either. */
async function openDatabase(path: string): Promise<Database> {
  const builtin = process.getBuiltinModule?.('node:sqlite') as
    | { DatabaseSync: new (path: string) => Database }
    | undefined;
  if (builtin !== undefined) return new builtin.DatabaseSync(path);
  const { default: Libsql } = (await import('libsql')) as unknown as {
    default: new (path: string) => Database;
  };
  return new Libsql(path);
}

const folder = mkdtempSync(join(tmpdir(), 'naru-example-21-'));
const file = join(folder, 'shop.db');
const url = `sqlite://${file}?mailbox=orders`;
const outbox = await openOutbox(url);
const database = await openDatabase(file);
database.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)');

function order(item: string, isPaid: boolean): void {
  database.exec('BEGIN IMMEDIATE');
  database.exec(`INSERT INTO orders (item) VALUES ('${item}')`);
  outbox.send(database, { item });
  database.exec(isPaid ? 'COMMIT' : 'ROLLBACK');
}

const mailbox = await open(url);
const waiting = mailbox.receive({ timeoutMs: 10_000 });
order('a boat nobody paid for', false);
order('an oar', true);
console.log('told of', (await waiting).data);
console.log('orders kept:', database.prepare('SELECT item FROM orders').all().length);
console.log('messages left:', (await mailbox.stats()).place.depth);
await mailbox.close();
database.close();
rmSync(folder, { recursive: true });
