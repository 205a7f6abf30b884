// Mailboxes on a PostgreSQL server that is killed, is not there, or refuses; many starters at once. What holds for every place is in
// the conformance suite.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { importPackage } from '../../client/optional-package.ts';
import { survivesBadNetwork } from '../../engines/bad-network.fixture.ts';
import { startEngine } from '../../engines/engine.fixture.ts';
import { survivesSilence } from '../../engines/half-open.fixture.ts';
import { survivesKills } from '../../engines/kills.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { postgres } from '../../engines/postgres.fixture.ts';
import { holdsNoMoreThanItsPrefetch } from '../../engines/slow-consumer.fixture.ts';
import { makeOnce } from '../../engines/starters.fixture.ts';
import { open } from '../../index.ts';
import { parseUrl } from '../../mailbox/parse-url.ts';
import { openOutbox } from './index.ts';
import { checkVersion } from './mailbox-tables.ts';

const KILLS = 20;

async function connect(url: string): Promise<PgClient> {
  const { default: pg } = (await importPackage('pg', 'pg', 'postgres')) as {
    default: { Client: new (url: string) => PgClient };
  };
  const client = new pg.Client(url);
  await client.connect();
  return client;
}

interface PgClient {
  connect(): Promise<unknown>;
  query(text: string, values: unknown[]): Promise<unknown>;
  end(): Promise<void>;
}

onlyWith(postgres, 'mailboxes on postgres://', (url) => {
  test(`the server is killed ${KILLS} times: sends end as confirmed, failed or unknown, and nothing confirmed is lost`, {
    timeout: 300_000,
  }, async () => {
    await using engine = await startEngine(postgres);
    await survivesKills(`${engine.url}?mailbox=killed`, KILLS, 'marked', () => engine.restart());
  });

  test('a network that goes silent is found out: the send into it ends, and both ends go on when it is back', {
    timeout: 60_000,
  }, async () => {
    await using engine = await startEngine(postgres);
    await survivesSilence(`${engine.url}?mailbox=silent`);
  });

  test(
    'a network that is slow, or cuts what is written in two: every send ends, and nothing confirmed is lost',
    {
      timeout: 60_000,
    },
    () => survivesBadNetwork(`${url}?mailbox=bad-network`, 'marked'),
  );

  test('twenty starters at once make one mailbox', { timeout: 60_000 }, async () => {
    await using engine = await startEngine(postgres);
    const handles = await Promise.all(
      Array.from({ length: 20 }, () => open(`${engine.url}?mailbox=once`, { timeoutMs: 50_000 })),
    );
    expect(handles.filter(({ created }) => created)).toHaveLength(1);
    await Promise.all(handles.map((handle) => handle.close()));
  });

  test('eight processes that start at once make tables and mailbox once', { timeout: 120_000 }, async () => {
    await using engine = await startEngine(postgres);
    await makeOnce(`${engine.url}?mailbox=first`, 8);
  });

  test('what a consumer had comes back when it and the server die at once', {
    timeout: 120_000,
  }, async () => {
    await using engine = await startEngine(postgres);
    const address = `${engine.url}?mailbox=both`;
    await using mailbox = await open(address);
    await mailbox.sendMany(['first', 'second']);
    const consumer = fork(fileURLToPath(new URL('../../engines/holder.fixture.js', import.meta.url)), [
      address,
    ]);
    await once(consumer, 'message');
    consumer.kill('SIGKILL');
    await engine.kill();
    await engine.start();
    const received = new Map<unknown, boolean>();
    for (let n = 0; n < 2; n += 1) {
      const { data, redelivered } = await mailbox.receive({ timeoutMs: 60_000 });
      received.set(data, redelivered);
    }
    expect(Object.fromEntries(received)).toEqual({ first: true, second: false });
  });

  test('a newer format is NARU_CORRUPT, and nothing is changed', { timeout: 60_000 }, async () => {
    await using engine = await startEngine(postgres);
    await (await open(`${engine.url}?mailbox=newer`)).close();
    const client = await connect(engine.url);
    await client.query("UPDATE naru.format SET version = 99 WHERE part = 'mailbox'", []);
    await client.end();
    await expect(open(`${engine.url}?mailbox=newer`)).rejects.toMatchObject({
      code: 'NARU_CORRUPT',
      message: expect.stringContaining('format 99') as unknown,
    });
  });

  test('answers for a requester that was killed go with its seat', { timeout: 60_000 }, async () => {
    const address = `${url}?mailbox=asked`;
    await using mailbox = await open(address);
    const client = await connect(url);
    try {
      // Seats whose lock nobody has, as a dead process leaves them, and an answer that it never took.
      await client.query(
        `WITH seat AS (INSERT INTO naru.seats (box, role, lock, identity, waits)
           SELECT id, role, 2000000000, '1.1.0/1', 0 FROM naru.boxes, unnest(ARRAY['p', 'r']) AS role
           WHERE name = 'asked' RETURNING id, box, role)
         INSERT INTO naru.answers (box, seat, message) SELECT box, id, 'late' FROM seat WHERE role = 'r'`,
        [],
      );
      await mailbox.stats();
      await expect
        .poll(
          async () => {
            void mailbox.peers;
            return (await client.query('SELECT count(*)::int AS n FROM naru.answers', [])) as {
              rows: unknown[];
            };
          },
          { timeout: 20_000 },
        )
        .toMatchObject({ rows: [{ n: 0 }] });
    } finally {
      await client.end();
    }
    await mailbox.unlink();
  });

  test('a server that is not there and a wrong password are said at open, without the password', async () => {
    // Nobody may listen on port 1 but root, and nobody does.
    const absent = open('postgres://naru:s3cret-w0rd@127.0.0.1:1/postgres?mailbox=x');
    await expect(absent).rejects.toMatchObject({ code: 'NARU_DISCONNECTED' });
    const wrong = new URL(url);
    wrong.password = 's3cret-w0rd';
    const refused = await open(`${wrong.href}?mailbox=x`).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'NARU_DENIED' });
    expect(JSON.stringify(refused) + String(refused)).not.toContain('s3cret-w0rd');
  });

  test('a slow consumer holds no more than its prefetch; the rest stays in the table', async () => {
    await holdsNoMoreThanItsPrefetch(`${url}?mailbox=slow`);
  });

  test('a message larger than the mailbox takes, and a topic, are refused', async () => {
    await using mailbox = await open(`${url}?mailbox=large&size=1000`, { codec: 'bytes' });
    await expect(mailbox.send(new Uint8Array(1_001))).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
    await mailbox.unlink();
    const topic = open(`${url}?mailbox=topic&deliver=all`);
    await expect(topic).rejects.toMatchObject({
      code: 'NARU_UNSUPPORTED',
      message: expect.stringContaining('memory://') as unknown,
    });
  });

  test('an outbox sends in the transaction of the caller: with its commit, and not when it is rolled back', async () => {
    const address = `${url}?mailbox=outbox`;
    const outbox = await openOutbox(address);
    await using mailbox = await open(address);
    const client = await connect(url);
    try {
      const receiving = mailbox.receive({ timeoutMs: 20_000 });
      for (const end of ['ROLLBACK', 'COMMIT']) {
        await client.query('BEGIN', []);
        await outbox.send(client, { end }, { priority: 3, headers: { from: 'outbox' } });
        await client.query(end, []);
      }
      const { data, headers, priority } = await receiving;
      expect({ data, headers, priority }).toEqual({
        data: { end: 'COMMIT' },
        headers: { from: 'outbox' },
        priority: 3,
      });
      expect((await mailbox.stats()).place.depth).toBe(0);
    } finally {
      await client.end();
    }
    await mailbox.unlink();
  });
});

test('a server older than PostgreSQL 12 is refused', () => {
  const { parts } = parseUrl('postgres://host/db?mailbox=x');
  expect(() => checkVersion(110_022, parts)).toThrow(/PostgreSQL 11, mailboxes need 12/);
  expect(() => checkVersion(120_000, parts)).not.toThrow();
});
