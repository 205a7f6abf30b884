// Mailboxes in a file of SQLite: a file that others hold, a newer format, what a slow consumer holds, what a handle leaves behind. What holds
// for every place is in the conformance suite.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { holdsNoMoreThanItsPrefetch } from '../../engines/slow-consumer.fixture.ts';
import { makeOnce } from '../../engines/starters.fixture.ts';
import { open } from '../../index.ts';
import { tryNative } from '../../native/index.ts';
import { Database } from './database.ts';
import { openOutbox, type TransactionDatabase } from './index.ts';

const hasAddon = tryNative() !== undefined;
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'naru-sqlite-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const url = (more = ''): string => `sqlite://${folder}/a.db?mailbox=m&survives=process${more}`;
const raw = (): Promise<Database> => Database.open(join(folder, 'a.db'));

test.skipIf(!hasAddon)(
  'a file that others hold: a bounded wait, then NARU_TIMEOUT and nothing was sent; a receive that waits goes on afterwards',
  async () => {
    await using mailbox = await open(url('&busyTimeoutMs=300'));
    await mailbox.connect('producer');
    await mailbox.connect('consumer');
    const other = await raw();
    try {
      other.exec('BEGIN IMMEDIATE');
      await expect(mailbox.send('refused')).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
      const receiving = mailbox.receive({ timeoutMs: 20_000 });
      other.exec('ROLLBACK');
      await mailbox.send('sent');
      expect((await receiving).data).toBe('sent');
      expect((await mailbox.stats()).place.depth).toBe(0);
    } finally {
      other.close();
    }
  },
);

test.skipIf(!hasAddon)('a long read of somebody else holds up no send and no receive', async () => {
  await using mailbox = await open(url());
  await mailbox.send(1);
  const other = await raw();
  try {
    other.exec('BEGIN');
    expect(other.query('SELECT count(*) AS n FROM naru_box_1').all()).toEqual([{ n: 1 }]);
    await mailbox.send(2);
    const got = [await mailbox.receive({ timeoutMs: 10_000 }), await mailbox.receive({ timeoutMs: 10_000 })];
    expect(got.map(({ data }) => data)).toEqual([1, 2]);
    other.exec('COMMIT');
  } finally {
    other.close();
  }
});

/** Commits in the write-ahead log, by the frames that end one. https://sqlite.org/fileformat2.html#the_write_ahead_log */
function commits(): number {
  const log = readFileSync(join(folder, 'a.db-wal'));
  const frame = 24 + log.readUInt32BE(8);
  let count = 0;
  for (let at = 32; at < log.length; at += frame) if (log.readUInt32BE(at + 4) > 0) count += 1;
  return count;
}

test.skipIf(!hasAddon)('a list of a thousand is one commit', async () => {
  await using mailbox = await open(url(), { confirm: 'placed' });
  await mailbox.connect('producer');
  const before = commits();
  await mailbox.sendMany(Array.from({ length: 1_000 }, (_, n) => n));
  expect(commits() - before).toBe(1);
  expect((await mailbox.stats()).place.depth).toBe(1_000);
});

test.skipIf(!hasAddon)('what goes in together comes out as it was, whatever its length', async () => {
  await using mailbox = await open(url(), { codec: 'bytes', needs: ['priority', 'delay'] });
  const lengths = [0, 1, 3, 300, 5_000, 70_000, 2, 0, 12];
  const sent = lengths.map((length) => randomBytes(length));
  await mailbox.sendMany(sent);
  // These are plain beside one that is urgent and one that is late.
  await Promise.all([
    ...sent.map((body) => mailbox.send(body)),
    mailbox.send(randomBytes(9), { priority: 7 }),
    mailbox.send(randomBytes(10), { delayMs: 50 }),
  ]);
  const got: Uint8Array[] = [];
  for await (const { data } of mailbox) if (got.push(data) === 2 * sent.length + 2) break;
  expect(got[0]).toHaveLength(9);
  expect(got.at(-1)).toHaveLength(10);
  const plain = got.slice(1, -1).map((body) => Buffer.from(body).toString('hex'));
  expect(plain).toEqual([...sent, ...sent].map((body) => body.toString('hex')));
});

test.skipIf(!hasAddon)(
  'a slow consumer holds no more than its prefetch; the rest stays in the file',
  async () => {
    await holdsNoMoreThanItsPrefetch(url());
  },
);

test.skipIf(!hasAddon)('a newer format is NARU_CORRUPT, and nothing is changed', async () => {
  await (await open(url())).close();
  const other = await raw();
  other.write(() => other.change("UPDATE naru_format SET version = 3 WHERE part = 'mailbox'").run());
  other.close();
  await expect(open(url())).rejects.toMatchObject({
    code: 'NARU_CORRUPT',
    message: expect.stringContaining('format 3') as unknown,
  });
});

test.skipIf(!hasAddon)(
  'eight processes that start at once make file, tables and mailbox once',
  { timeout: 120_000 },
  () => makeOnce(url('&busyTimeoutMs=60000'), 8),
);

test.skipIf(!hasAddon)('an outbox sends in the transaction of the caller, in its turn', async () => {
  await using mailbox = await open(url());
  const outbox = await openOutbox(url());
  const other = await raw();
  const database: TransactionDatabase = {
    prepare: (sql) => ({ run: (...values) => other.change(sql).run(...values) }),
  };
  try {
    await mailbox.send('first');
    other.exec('BEGIN IMMEDIATE');
    outbox.send(database, 'never');
    other.exec('ROLLBACK');
    other.write(() => outbox.send(database, 'second'));
    other.write(() => outbox.send(database, 'urgent', { priority: 9 }));
    await mailbox.send('third');
    const got: unknown[] = [];
    for (let n = 0; n < 4; n += 1) got.push((await mailbox.receive({ timeoutMs: 10_000 })).data);
    expect(got).toEqual(['urgent', 'first', 'second', 'third']);
  } finally {
    other.close();
  }
});

test.skipIf(!hasAddon)('answers for a requester that was killed go with its seat', async () => {
  await using mailbox = await open(url());
  const other = await raw();
  try {
    other.write(() => {
      other
        .change(
          `INSERT INTO naru_seats (id, box, role, lock, identity, waits)
           VALUES (76, 1, 'p', 'killedkilled', '1.1.0/1', 0), (77, 1, 'r', 'killedkilled', '1.1.0/1', 0)`,
        )
        .run();
      other.change("INSERT INTO naru_answers (box, seat, message) VALUES (1, 77, 'late')").run();
    });
    await mailbox.stats();
    await expect
      .poll(() => {
        void mailbox.peers;
        return other.query('SELECT count(*) AS n FROM naru_answers').all();
      })
      .toEqual([{ n: 0 }]);
  } finally {
    other.close();
  }
});

test.skipIf(process.getBuiltinModule?.('node:sqlite') !== undefined)(
  'without libsql on a Node that has no SQLite: NARU_PACKAGE_MISSING, with the npm command',
  { timeout: 60_000 },
  async () => {
    const hook = `export const resolve = (name, context, next) => {
      if (name !== 'libsql') return next(name, context);
      throw Object.assign(new Error("Cannot find package 'libsql'"), { code: 'ERR_MODULE_NOT_FOUND' });
    };`;
    const program = `import { register } from 'node:module';
      register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}));
      const { open } = await import(${JSON.stringify(new URL('../../index.js', import.meta.url).href)});
      await open(${JSON.stringify(url())}).catch(({ code, message }) => console.log(code, message));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
    expect(stdout).toContain('NARU_PACKAGE_MISSING');
    expect(stdout).toContain('npm install "libsql@^');
  },
);

test.skipIf(!hasAddon)('a handle that closes leaves no lock file', async () => {
  for (let round = 1; round <= 20; round += 1) {
    const mailbox = await open(url());
    await mailbox.send(round);
    await mailbox.close();
  }
  expect(readdirSync(folder).filter((name) => name.includes('-naru-'))).toEqual([]);
});

test.skipIf(!hasAddon)(
  'a mailbox that is removed takes the lock files of its dead along, and leaves those of the living',
  async () => {
    await using mailbox = await open(url());
    await mailbox.connect('consumer');
    await using other = await open(`sqlite://${folder}/a.db?mailbox=other`);
    await other.connect('consumer');
    // What a killed process leaves: its seat, and a file that nobody has locked.
    const dead = join(folder, 'a.db-naru-killedkilled');
    writeFileSync(dead, '');
    const database = await raw();
    database.write(() =>
      database
        .change(
          "INSERT INTO naru_seats (box, role, lock, identity, waits) VALUES (1, 'c', 'killedkilled', '1.1.0/1', 0)",
        )
        .run(),
    );
    database.close();
    await mailbox.unlink();
    expect(existsSync(dead)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes('-naru-'))).toHaveLength(1);
  },
);
