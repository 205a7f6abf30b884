// sqlite:/// against a table of one's own in a file, through the driver that sqlite:/// takes on this Node: node:sqlite, or libsql, which has the
// interface of better-sqlite3.

import { watch } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database } from '#naru/places/sqlite/database';
import type { EngineFlow, Flow, Served } from './flow.ts';
import { mailboxFlow } from './mailbox-flow.ts';

const BATCH = 256;
const SETTINGS = ['PRAGMA busy_timeout = 5000', 'PRAGMA journal_mode = WAL', 'PRAGMA synchronous = FULL'];
const LEASE_MS = 30_000;

const serve = async (): Promise<Served> => {
  const folder = await mkdtemp(join(tmpdir(), 'naru-bench-sqlite-'));
  return {
    url: `sqlite://${folder}/bench.db`,
    stop: () => rm(folder, { recursive: true, force: true }),
  };
};

async function connect(url: string): Promise<Database> {
  const database = await Database.open(new URL(url).pathname);
  for (const one of SETTINGS) database.query(one).all();
  return database;
}

/** At least once: a lease and a count of deliveries before a message is handed out, removed after it was handled. */
async function byHand({ url }: Served): Promise<Flow> {
  const [sending, receiving] = [await connect(url), await connect(url)];
  sending.exec(
    'CREATE TABLE bench (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, deliveries INTEGER NOT NULL, lease INTEGER NOT NULL)',
  );
  const put = sending.change('INSERT INTO bench (body, deliveries, lease) VALUES (?1, 0, 0)');
  const take = receiving.query(
    `UPDATE bench SET lease = ?1, deliveries = deliveries + 1
     WHERE id IN (SELECT id FROM bench WHERE lease < ?2 ORDER BY id LIMIT ${BATCH}) RETURNING id, body, deliveries`,
  );
  const done = receiving.change('DELETE FROM bench WHERE id IN (SELECT value FROM json_each(?1))');
  let listener: (body: Uint8Array) => void = () => undefined;
  const over = new AbortController();
  let wake = (): void => undefined;
  const watcher = watch(`${new URL(url).pathname}-wal`, () => wake());
  const consuming = (async () => {
    let handled: unknown[] = [];
    while (!over.signal.aborted) {
      const told = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const rows = receiving.write(() => {
        if (handled.length > 0) done.run(JSON.stringify(handled));
        return take.all(Date.now() + LEASE_MS, Date.now());
      });
      for (const { body } of rows) listener(body as Uint8Array);
      handled = rows.map(({ id }) => id);
      if (rows.length === 0) await told;
      else await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  return {
    send(bodies) {
      sending.write(() => {
        for (const body of bodies) put.run(body);
      });
      return Promise.resolve();
    },
    onMessage: (heard) => {
      listener = heard;
    },
    async close() {
      over.abort();
      wake();
      await consuming;
      watcher.close();
      sending.close();
      receiving.close();
    },
  };
}

export const sqlite: EngineFlow = {
  engine: { name: 'SQLite', serve },
  place: 'sqlite',
  note: `A file in the folder for temporary files, a write-ahead log, each commit synced, for all; everybody sends over one connection and consumes over another. By
hand: a group in one transaction, ${BATCH} messages in one UPDATE that counts the delivery and sets a lease, removed with the next taking; no priorities, no
sender, no word of a consumer's death but the lease.`,
  contestants: [
    {
      who: 'naru',
      label: 'Naru sqlite:///',
      open: ({ url }) => mailboxFlow(`${url}?mailbox=bench&prefetch=${BATCH}`, true),
    },
    { who: 'client', label: 'SQLite by hand', open: byHand },
  ],
};
