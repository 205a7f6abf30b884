// postgres:// against pg with a table of its own, and against pg-boss: npm install --no-save pg-boss

import { load } from '../../harness/optional-package.ts';
import type { Running } from '#naru/engines/engine.fixture';
import { postgres as server } from '#naru/engines/postgres.fixture';
import type { EngineFlow, Flow } from './flow.ts';
import { mailboxFlow } from './mailbox-flow.ts';

const BATCH = 256;
/** How long pg-boss waits when it found nothing, in milliseconds; its workers wait half a second at least. */
const PAUSE_MS = 5;

type Listener = (body: Uint8Array) => void;

interface Client {
  connect(): Promise<unknown>;
  query(query: object): Promise<{ readonly rows: readonly (readonly Uint8Array[])[] }>;
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

const CREATE = 'CREATE TABLE bench (id bigserial PRIMARY KEY, body bytea NOT NULL)';
/** All of a group in one statement, as one who knows PostgreSQL writes it. */
const PUT = { name: 'put', text: 'INSERT INTO bench (body) SELECT unnest($1::bytea[])' };
const TAKE = {
  name: 'take',
  rowMode: 'array',
  text: `DELETE FROM bench WHERE id IN (SELECT id FROM bench ORDER BY id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED) RETURNING body`,
};

async function client({ url }: Running): Promise<Flow> {
  const { default: pg } = (await load('pg')) as PgPackage;
  const [sending, receiving] = [url, url].map((connectionString) => new pg.Client({ connectionString })) as [
    Client,
    Client,
  ];
  await Promise.all([sending.connect(), receiving.connect()]);
  await sending.query({ text: CREATE });
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
      const { rows } = await receiving.query(TAKE);
      for (const [body] of rows) listener(body as Uint8Array);
      if (rows.length === 0 && !over.signal.aborted) await told;
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
}

async function pgBoss({ url }: Running): Promise<Flow> {
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
  note: `The server does not sync (fsync off), for all. The client: a group in one INSERT, at most ${BATCH} messages in one DELETE … SKIP LOCKED, LISTEN. pg-boss: insert(), fetch() and
complete() of ${BATCH} jobs.`,
  contestants: [
    {
      who: 'naru',
      label: 'Naru postgres://',
      open: ({ url }) => mailboxFlow(`${url}?mailbox=bench&prefetch=${BATCH}`),
    },
    { who: 'client', label: 'pg', open: client },
    { who: 'rival', label: 'pg-boss', open: pgBoss, needs: 'pg-boss' },
  ],
};
