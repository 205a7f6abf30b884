// postgres:// against pg with a table of its own, in the ways that people write a queue by hand, and against pg-boss:
// npm install --no-save pg-boss

import { load } from '../../harness/optional-package.ts';
import { postgres as server } from '#naru/engines/postgres.fixture';
import type { EngineFlow, Flow, Served } from './flow.ts';
import { mailboxFlow } from './mailbox-flow.ts';

const BATCH = 256;
/** How long pg-boss waits when it found nothing, in milliseconds; its workers wait half a second at least. */
const PAUSE_MS = 5;

type Listener = (body: Uint8Array) => void;

interface Client {
  connect(): Promise<unknown>;
  query(query: object): Promise<{ readonly rows: readonly (readonly unknown[])[] }>;
  on(event: string, listener: () => void): unknown;
  end(): Promise<unknown>;
}

interface PgPackage {
  readonly default: { readonly Client: new (options: object) => Client };
}

interface Boss {
  start(): Promise<unknown>;
  createQueue(name: string): Promise<unknown>;
  insert(jobs: readonly object[]): Promise<unknown>;
  fetch(
    name: string,
    options: object,
  ): Promise<readonly { readonly id: string; readonly data: { readonly text: string } }[]>;
  complete(name: string, ids: readonly string[]): Promise<unknown>;
  stop(options: object): Promise<unknown>;
}

interface BossPackage {
  readonly default: new (url: string) => Boss;
}

/** All of a group in one statement, as one who knows PostgreSQL writes it. */
const PUT = { name: 'put', text: 'INSERT INTO bench (body) SELECT unnest($1::bytea[])' };
const FIRST = `SELECT id FROM bench WHERE true ORDER BY id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`;

/** How a queue by hand takes: a batch into memory, and what is done with it afterwards. */
interface Way {
  readonly create: string;
  readonly take: (client: Client, heard: Listener) => Promise<number>;
}

/**
 * At least once, as Naru: a message belongs to whoever took it until its lease is over, its deliveries are counted before it is handed out, it is removed
 * after it was handled. Pages have room for the second version of a row, no index knows of the lease.
 */
const LEASED: Way = {
  create: `CREATE TABLE bench (id bigserial PRIMARY KEY, body bytea NOT NULL, deliveries int NOT NULL DEFAULT 0,
    lease timestamptz NOT NULL DEFAULT '-infinity') WITH (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.05)`,
  take: async (client, heard) => {
    const { rows } = await client.query({
      name: 'take',
      rowMode: 'array',
      text: `UPDATE bench SET lease = now() + interval '30 s', deliveries = deliveries + 1
        WHERE id = ANY (ARRAY(${FIRST.replace('true', 'lease < now()')})) RETURNING id, body, deliveries`,
    });
    for (const [, body] of rows) heard(body as Uint8Array);
    const ids = rows.map(([id]) => id);
    const text = 'DELETE FROM bench WHERE id = ANY ($1::bigint[])';
    // Not awaited: the next taking goes out behind it.
    if (ids.length > 0) client.query({ name: 'done', text, values: [ids] }).catch(() => undefined);
    return rows.length;
  },
};

/** At least once, but a transaction is open while messages are handled: no vacuum meanwhile, no count of deliveries, no lease. */
const HELD: Way = {
  create: 'CREATE TABLE bench (id bigserial PRIMARY KEY, body bytea NOT NULL)',
  take: async (client, heard) => {
    client.query({ text: 'BEGIN' }).catch(() => undefined);
    const text = FIRST.replace('SELECT id', 'SELECT id, body');
    const { rows } = await client.query({ name: 'take', rowMode: 'array', text });
    for (const [, body] of rows) heard(body as Uint8Array);
    const done = 'DELETE FROM bench WHERE id = ANY ($1::bigint[])';
    client.query({ name: 'done', text: done, values: [rows.map(([id]) => id)] }).catch(() => undefined);
    client.query({ text: 'COMMIT' }).catch(() => undefined);
    return rows.length;
  },
};

/** At most once: what was taken is gone, whatever becomes of the consumer. */
const LOOSE: Way = {
  create: HELD.create,
  take: async (client, heard) => {
    const { rows } = await client.query({
      name: 'take',
      rowMode: 'array',
      text: `DELETE FROM bench WHERE id = ANY (ARRAY(${FIRST})) RETURNING body`,
    });
    for (const [body] of rows) heard(body as Uint8Array);
    return rows.length;
  },
};

const byHand =
  ({ create, take }: Way) =>
  async ({ url }: Served): Promise<Flow> => {
    const { default: pg } = (await load('pg')) as PgPackage;
    const connect = async (): Promise<Client> => {
      const client = new pg.Client({ connectionString: url, pipeline: true });
      await client.connect();
      return client;
    };
    const [sending, receiving] = [await connect(), await connect()];
    await sending.query({ text: create });
    await receiving.query({ text: 'LISTEN bench' });
    let listener: Listener = () => undefined;
    const over = new AbortController();
    let wake = (): void => undefined;
    receiving.on('notification', () => wake());
    const consuming = (async () => {
      while (!over.signal.aborted) {
        const told = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const count = await take(receiving, (body) => listener(body));
        if (count === 0 && !over.signal.aborted) await told;
      }
    })();
    return {
      async send(bodies) {
        await sending.query({ ...PUT, values: [bodies] });
        await sending.query({ text: 'NOTIFY bench' });
      },
      onMessage: (heard) => {
        listener = heard;
      },
      async close() {
        over.abort();
        wake();
        await consuming;
        await Promise.all([sending.end(), receiving.end()]);
      },
    };
  };

async function pgBoss({ url }: Served): Promise<Flow> {
  const { default: PgBoss } = (await load('pg-boss')) as BossPackage;
  const boss = new PgBoss(url);
  await boss.start();
  await boss.createQueue('bench');
  let listener: Listener = () => undefined;
  const over = new AbortController();
  const consuming = (async () => {
    while (!over.signal.aborted) {
      const jobs = await boss.fetch('bench', { batchSize: BATCH });
      if (jobs.length === 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      else
        await boss.complete(
          'bench',
          jobs.map(({ id }) => id),
        );
      for (const { data } of jobs) listener(Buffer.from(data.text));
    }
  })();
  return {
    async send(bodies) {
      await boss.insert(
        bodies.map((body) => ({ name: 'bench', data: { text: Buffer.from(body).toString() } })),
      );
    },
    onMessage: (heard) => {
      listener = heard;
    },
    async close() {
      over.abort();
      await consuming;
      await boss.stop({ graceful: false });
    },
  };
}

export const postgres: EngineFlow = {
  engine: server,
  place: 'postgres',
  note: `The server does not sync (fsync off), for all; everybody sends over one connection and consumes over another. By hand: a group in one INSERT,
${BATCH} messages in one UPDATE … SKIP LOCKED that counts the delivery and sets a lease, one DELETE when they are handled, LISTEN. pg-boss: insert(), fetch() and
complete() of ${BATCH} jobs. Two other queues by hand promise less: a transaction held open while messages are handled, and DELETE … RETURNING, which loses what
a consumer had when it dies.`,
  contestants: [
    {
      who: 'naru',
      label: 'Naru postgres://',
      open: ({ url }) => mailboxFlow(`${url}?mailbox=bench&prefetch=${BATCH}`, true),
    },
    { who: 'client', label: 'pg, leases', open: byHand(LEASED) },
    { who: 'rival', label: 'pg-boss', open: pgBoss, needs: 'pg-boss' },
    { who: 'held', label: 'pg, transaction held open', open: byHand(HELD) },
    { who: 'loose', label: 'pg, at most once', open: byHand(LOOSE) },
  ],
};
