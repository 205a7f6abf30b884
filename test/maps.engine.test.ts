// Maps on engines: what the conformance suite cannot see, because it is the engine that fails, forgets, is full, or refuses.

import { inspect } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { isNaruError, type NaruError } from 'naru';
import { type MapFeature, openMap, type SharedMap } from 'naru/state';
import { type Engine, type Running, startEngine } from '#naru/engines/engine.fixture';
import { memcached } from '#naru/engines/memcached.fixture';
import { onlyWith } from '#naru/engines/only-with.fixture';
import { postgres } from '#naru/engines/postgres.fixture';
import { ask } from '#naru/engines/probe.fixture';
import { redis } from '#naru/engines/redis.fixture';
import { MapWorker, together } from './map-workers.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

let count = 0;
const fresh = (): string => `t${process.pid}-${(count += 1)}`;

async function open(url: string, options: Parameters<typeof openMap>[1] = {}): Promise<SharedMap> {
  const map = await openMap(url, options);
  closers.push(() => map.close());
  return map;
}

async function start(engine: Engine, ...extra: readonly string[]): Promise<Running> {
  const running = await startEngine(engine, extra);
  closers.push(() => running.stop());
  return running;
}

/** What a call was refused with. */
async function refusal(act: () => Promise<unknown>): Promise<NaruError> {
  try {
    await act();
  } catch (error) {
    if (isNaruError(error)) return error;
    throw error;
  }
  throw new Error('it was expected to fail');
}

/** Keys that a text protocol, SQL or a pattern could stumble over. */
const ODD_KEYS = [
  ' ',
  'a b',
  'nul\0nul',
  '\0',
  'line\r\nset x 0 0 1\r\n',
  `'; DROP TABLE naru.maps; --`,
  '"quoted"',
  '*?[a-z]\\',
  '%s %n',
  '__proto__',
  'constructor',
  '키-🚢',
  'b64==',
];

interface Kind {
  readonly engine: Engine;
  readonly scheme: string;
  /** So that a killed server finds what it had confirmed. */
  readonly durable: readonly string[] | undefined;
  readonly features: readonly MapFeature[];
}

const KINDS: readonly Kind[] = [
  {
    engine: redis,
    scheme: 'redis',
    durable: ['--appendonly', 'yes', '--appendfsync', 'always'],
    features: ['iterate', 'watch'],
  },
  { engine: postgres, scheme: 'postgres', durable: [], features: ['iterate', 'watch', 'durable'] },
  { engine: memcached, scheme: 'memcached', durable: undefined, features: [] },
];

for (const { engine, scheme, durable, features } of KINDS) {
  onlyWith(engine, `maps of ${scheme}://`, (shared) => {
    const has = (feature: MapFeature): boolean => features.includes(feature);
    const url = (name = fresh()): string => `${shared}?map=${name}`;

    test('odd keys are keys like others', async () => {
      const map = await open(url(), { codec: 'text' });
      const { maxKeyBytes } = map.limits;
      const keys = [...ODD_KEYS, 'k'.repeat(maxKeyBytes), 'ä'.repeat(maxKeyBytes / 2)];
      await Promise.all(keys.map((key) => map.set(key, `value of ${key}`)));
      for (const key of keys) expect(await map.get(key), JSON.stringify(key)).toBe(`value of ${key}`);
      if (has('iterate')) {
        const found: string[] = [];
        for await (const key of map.keys()) found.push(key);
        expect(found.sort()).toEqual([...keys].sort());
      }
      for (const key of keys) expect(await map.delete(key)).toBe(true);
      for (const key of keys) expect(await map.get(key)).toBeUndefined();
    });

    test('any bytes up to the limit are stored as they are, and one more is refused', async () => {
      const map = await open(url(), { codec: 'bytes' });
      const { maxValueBytes } = map.limits;
      const every = Uint8Array.from({ length: 512 }, (_, i) => i % 256);
      for (const value of [new Uint8Array(0), every, Buffer.from('END\r\nVA 3 f0\r\nabc\r\n')]) {
        await map.set('v', value);
        expect(Buffer.compare((await map.get('v')) as Uint8Array, value)).toBe(0);
      }
      const large = Buffer.alloc(maxValueBytes, 0x0d);
      await map.set('v', large);
      expect(large.equals((await map.get('v')) as Uint8Array)).toBe(true);
      const error = await refusal(() => map.set('v', Buffer.alloc(maxValueBytes + 1)));
      expect(error.code).toBe('NARU_TOO_LARGE');
      await map.delete('v');
    });

    test('a version is never that of another value, not after a delete and not with equal bytes', async () => {
      const map = await open(url());
      await map.set('a', 1);
      const first = await map.getEntry('a');
      await map.set('a', 1);
      const second = await map.getEntry('a');
      await map.delete('a');
      await map.set('a', 1);
      for (const old of [first, second]) {
        expect(await map.set('a', 2, { ifVersion: old?.version as string })).toBe(false);
        expect(await map.delete('a', { ifVersion: old?.version as string })).toBe(false);
      }
      const now = await map.getEntry('a');
      expect(await map.set('a', 2, { ifVersion: now?.version as string })).toBe(true);
      expect(await map.delete('a', { ifVersion: now?.version as string })).toBe(false);
      for (const strange of ['', 'x', '1', `${now?.version}x`, 7])
        expect(await map.set('a', 3, { ifVersion: strange })).toBe(false);
      expect(await map.get('a')).toBe(2);
    });

    test('an entry is gone for every call when its time is over, to the millisecond', async () => {
      const map = await open(url());
      await map.set('a', 1, { ttlMs: 120 });
      await map.set('b', 1, { ttlMs: 120 });
      await map.set('c', 1, { ttlMs: 60_000 });
      const [entry, long] = [await map.getEntry('a'), await map.getEntry('c')];
      expect(Math.abs((long?.expiresMs as number) - Date.now() - 60_000)).toBeLessThan(5_000);
      await new Promise((resolve) => setTimeout(resolve, 130));
      expect(await map.get('a')).toBeUndefined();
      expect(await map.has('a')).toBe(false);
      expect(await map.delete('a')).toBe(false);
      expect(await map.delete('b', { ifVersion: entry?.version as string })).toBe(false);
      expect(await map.set('a', 2, { ifVersion: entry?.version as string })).toBe(false);
      expect(await map.set('a', 3, { ifAbsent: true })).toBe(true);
      expect(await map.set('a', 4, { ifAbsent: true })).toBe(false);
      expect(await map.get('a')).toBe(3);
      expect(await map.get('c')).toBe(1);
    });

    test('what it cannot do is refused when it is opened, with the places that can', async () => {
      for (const feature of ['watch', 'iterate', 'keepsAll', 'durable', 'sync'] as const) {
        const declared = (await open(url())).capabilities.features[feature];
        if (declared !== 'none') continue;
        const error = await refusal(() => open(url(), { needs: [feature] }));
        expect(error.code).toBe('NARU_UNSUPPORTED');
        expect(error.message).toMatch(/places that have it: .*:\/\//);
      }
      for (const option of [{ capacityBytes: 1_000_000 }, { maxEntries: 5 }, { owner: 'process' as const }])
        expect((await refusal(() => open(url(), option))).code).toBe('NARU_UNSUPPORTED');
    });

    test.each(['a b', '../x', "x'; DROP TABLE naru.maps; --", 'x\0', '{x}', 'x'.repeat(129), ''])(
      'the name %j is refused',
      async (name) => {
        const error = await refusal(() => open(`${shared}?map=${encodeURIComponent(name)}`));
        expect(error.code).toBe('NARU_INVALID_ARGUMENT');
      },
    );

    test('a change reaches those who watch, in other handles, for set, delete and expiry', async () => {
      if (!has('watch')) return;
      const name = fresh();
      const [writer, reader] = [await open(url(name)), await open(url(name))];
      await writer.set('a', 1);
      const seen: string[] = [];
      const watch = reader.watch();
      const reading = (async () => {
        for await (const { key, entry } of watch) {
          seen.push(`${key}=${entry === undefined ? 'gone' : JSON.stringify(entry.value)}`);
          if (key === 'end') return;
        }
      })();
      // Started when it sees something.
      for (let i = 0; seen.length === 0; i += 1) {
        await writer.set('probe', i);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      // Long enough to be seen while it is there: what comes and goes between two looks is told to nobody.
      await writer.set('short', 1, { ttlMs: 1_500 });
      await expect.poll(() => seen, { timeout: 1_400, interval: 5 }).toContain('short=1');
      await expect.poll(() => seen, { timeout: 10_000 }).toContain('short=gone');
      await writer.set('a', 2);
      await expect.poll(() => seen, { timeout: 1_000, interval: 5 }).toContain('a=2');
      await writer.delete('a');
      await expect.poll(() => seen, { timeout: 1_000, interval: 5 }).toContain('a=gone');
      await writer.set('end', 0);
      await reading;
      expect(seen).not.toContain('a=1');
    });

    test('processes that open a map at the same moment agree that one of them made it', async () => {
      const at = url();
      const ends = (await together(4, at, 'start')) as { created: boolean }[];
      if (has('iterate')) {
        expect(ends.filter(({ created }) => created)).toHaveLength(1);
        expect(await (await open(at)).size()).toBe(4);
      }
    });

    test('updates of processes and of loops within them are all counted', async () => {
      const at = url();
      await together(2, at, 'count', 'n', 200, 4);
      expect(await (await open(at)).get('n')).toBe(400);
    });

    test('a killed writer leaves the old value or the new one', async () => {
      const at = url();
      const map = await open(at);
      for (let round = 0; round < 5; round += 1) {
        using worker = new MapWorker(at, 'write', 'k');
        let last = 0;
        while (last < 20 + round) last = Number(await worker.line());
        worker.kill();
        const { i, same } = (await map.get('k')) as { i: number; same: string };
        expect(i).toBeGreaterThanOrEqual(last);
        expect(same).toBe(String(i).repeat(50));
      }
    });

    test('an open handle that does nothing lets the process end', async () => {
      using worker = new MapWorker(url(), 'idle');
      const ended = new Promise((resolve) => {
        worker.process.once('close', resolve);
      });
      expect(await worker.line()).toBe('{"value":1}');
      expect(await ended).toBe(0);
    });

    test('opening and closing leaves nothing behind in this process', async () => {
      const at = url();
      const handles = (): number =>
        process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
      await (await openMap(at)).close();
      const before = handles();
      for (let i = 0; i < 50; i += 1) {
        const map = await openMap(at);
        await map.set('a', i);
        await map.close();
        await map.close();
        expect((await refusal(() => map.get('a'))).code).toBe('NARU_CLOSED');
      }
      await expect.poll(handles, { timeout: 5_000 }).toBeLessThanOrEqual(before);
    });

    test('a removed map is gone for its other handles, and one of its name is another', async () => {
      const at = url();
      const [a, b] = [await open(at), await open(at)];
      await a.set('k', 1);
      if (!has('iterate')) {
        expect((await refusal(() => a.unlink())).code).toBe('NARU_UNSUPPORTED');
        return;
      }
      await b.unlink();
      const again = await open(at, { create: 'new' });
      for (const old of [a, b])
        for (const act of [
          () => old.get('k'),
          () => old.set('k', 2),
          () => old.delete('k'),
          () => old.size(),
        ])
          expect((await refusal(act)).code).toBe('NARU_CLOSED');
      expect(again.created).toBe(true);
      expect(await again.size()).toBe(0);
      expect((await refusal(() => open(at, { create: 'new' }))).code).toBe('NARU_EXISTS');
      expect((await refusal(() => open(at, { maxValueBytes: 5 }))).code).toBe('NARU_EXISTS');
      await again.unlink();
      expect((await refusal(() => open(at, { create: 'never' }))).code).toBe('NARU_NOT_FOUND');
    });
  });

  onlyWith(engine, `a server of ${scheme}:// that fails`, () => {
    test('not running, or not there: said at once, without the password', async () => {
      const nowhere = `${scheme}://user:c4n4ry@127.0.0.1:1/${scheme === 'memcached' ? '' : '0'}?map=x`;
      const error = await refusal(() => open(nowhere));
      expect(error.code).toBe('NARU_DISCONNECTED');
      expect(error.message).toMatch(/is it running/);
      expect(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)).not.toContain('c4n4ry');
    });

    test('killed and started again 20 times: every call ends, nothing confirmed is lost, handles come back', async () => {
      const running = await start(engine, ...(durable ?? []));
      const at = `${running.url}?map=x`;
      const map = await open(at);
      const over = new AbortController();
      let [confirmed, unknown, failed] = [0, 0, 0];
      const writing = (async () => {
        for (let i = 1; !over.signal.aborted; i += 1) {
          try {
            await map.set('n', i);
            confirmed = i;
          } catch (error) {
            if (isNaruError(error, 'NARU_OUTCOME_UNKNOWN')) unknown += 1;
            else if (isNaruError(error, 'NARU_DISCONNECTED')) failed += 1;
            else throw error;
            // Gives way: a call that fails at once must not keep the loop to itself.
            await new Promise(setImmediate);
          }
        }
      })();
      for (let round = 0; round < 20; round += 1) {
        const goal = confirmed + 20;
        await expect.poll(() => confirmed, { timeout: 10_000, interval: 2 }).toBeGreaterThan(goal);
        await running.kill();
        const before = confirmed;
        await running.start();
        if (durable === undefined) continue;
        const stored = (await map.get('n')) as number;
        expect(stored).toBeGreaterThanOrEqual(before);
      }
      over.abort();
      await writing;
      expect(unknown + failed).toBeGreaterThan(0);
      expect(await map.get('n')).toBe(confirmed);
    }, 120_000);

    test('a connection that does not come back ends a call in time', async () => {
      const running = await start(engine);
      const map = await open(`${running.url}?map=x`);
      await map.set('a', 1);
      await running.kill();
      const error = await refusal(() => map.get('a', { timeoutMs: 300 }));
      expect(error.code).toBe('NARU_TIMEOUT');
      expect((await refusal(() => map.set('a', 2))).code).toBe('NARU_DISCONNECTED');
      await map.close();
      expect((await refusal(() => map.get('a'))).code).toBe('NARU_CLOSED');
    });
  });
}

/** That no text of the error shows the password. */
async function expectDenied(url: string, secret: string): Promise<void> {
  const error = await refusal(() => open(url));
  expect(error.code).toBe('NARU_DENIED');
  expect(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)).not.toContain(secret);
}

onlyWith(redis, 'redis:// and what its server is set up to do', (shared) => {
  test('a wrong password, none, and a user without rights are refused', async () => {
    const address = new URL(shared);
    const plain = `127.0.0.1:${address.port}/0?map=x`;
    await expectDenied(`redis://:c4n4ry@${plain}`, 'c4n4ry');
    await expectDenied(`redis://nobody:c4n4ry@${plain}`, 'c4n4ry');
    await expectDenied(`redis://${plain}`, decodeURIComponent(address.password));
    expect((await refusal(() => open(`${shared.replace(/\/0$/, '/99')}?map=x`))).code).toBe(
      'NARU_INVALID_ARGUMENT',
    );
  });

  test('one that evicts keeps not all: asking for that is refused, and an evicted entry is simply not there', async () => {
    const running = await start(redis, '--maxmemory', '3mb', '--maxmemory-policy', 'allkeys-random');
    const at = `${running.url}?map=x`;
    expect((await refusal(() => open(at, { needs: ['keepsAll'] }))).code).toBe('NARU_UNSUPPORTED');
    const map = await open(at, { codec: 'bytes' });
    expect(map.capabilities.features.keepsAll).toBe('none');
    const value = Buffer.alloc(20_000, 1);
    for (let i = 0; i < 400; i += 1) await map.set(`k${i}`, value);
    const size = await map.size();
    expect(size).toBeLessThan(400);
    expect(size).toBeGreaterThan(0);
    expect(await map.update('fresh', (before) => before ?? value)).toEqual(value);
  });

  test('one that is full and must not evict says so and changes nothing', async () => {
    const running = await start(redis, '--maxmemory', '3mb', '--maxmemory-policy', 'noeviction');
    const map = await open(`${running.url}?map=x`, { codec: 'bytes', needs: ['keepsAll'] });
    const fill = async (): Promise<void> => {
      for (let i = 0; i < 400; i += 1) await map.set(`k${i}`, Buffer.alloc(20_000, 1));
    };
    expect((await refusal(fill)).code).toBe('NARU_FULL');
    await map.delete('k0');
    expect(await map.has('k0')).toBe(false);
    expect(await map.has('k1')).toBe(true);
  });

  test('what others wrote under its keys is NARU_CORRUPT, not a value', async () => {
    const { port, password } = new URL(shared);
    const say = (command: string): Promise<string> => ask(Number(port), `AUTH ${password}\r\n${command}\r\n`);
    const name = fresh();
    const map = await open(`${shared}?map=${name}`);
    await map.set('a', 1);
    const generation = /"generation":"([0-9a-f]{16})"/.exec(
      await say(`GET naru:map:{${name}}`),
    )?.[1] as string;
    await say(`SET naru:map:{${name}}:${generation}:a x`);
    expect((await refusal(() => map.get('a'))).code).toBe('NARU_CORRUPT');
    await say(`SET naru:map:{${name}} x`);
    expect((await refusal(() => open(`${shared}?map=${name}`))).code).toBe('NARU_CORRUPT');
  });
});

onlyWith(postgres, 'postgres:// and what its server is set up to do', (shared) => {
  test('a wrong password, an unknown user, and a missing database are refused', async () => {
    const { port } = new URL(shared);
    await expectDenied(`postgres://naru:c4n4ry@127.0.0.1:${port}/postgres?map=x`, 'c4n4ry');
    await expectDenied(`postgres://nobody:c4n4ry@127.0.0.1:${port}/postgres?map=x`, 'c4n4ry');
    expect((await refusal(() => open(`${shared.replace(/postgres$/, 'nowhere')}?map=x`))).code).toBe(
      'NARU_NOT_FOUND',
    );
    expect((await refusal(() => open(`${shared}?map=x&sslmode=maybe`))).code).toBe('NARU_INVALID_ARGUMENT');
  });

  test('the tables are made once, by however many start at once, in an empty database', async () => {
    const running = await start(postgres);
    const ends = (await together(6, `${running.url}?map=x`, 'start')) as { created: boolean }[];
    expect(ends.filter(({ created }) => created)).toHaveLength(1);
    expect(await (await open(`${running.url}?map=x`)).size()).toBe(6);
  }, 60_000);
});

onlyWith(memcached, 'memcached:// and what its server is set up to do', () => {
  test('a server that forgets: an evicted entry is not there, and an update of it begins anew', async () => {
    const running = await start(memcached, '-m', '4', '-I', '2m');
    const map = await open(`${running.url}?map=x`, { codec: 'bytes' });
    expect(map.limits.maxValueBytes).toBe(2 * 1024 * 1024 - 1024);
    const value = Buffer.alloc(30_000, 1);
    for (let i = 0; i < 400; i += 1) await map.set(`k${i}`, value);
    expect(await map.get('k0')).toBeUndefined();
    expect(await map.update('k0', (before) => before ?? Buffer.from('anew'))).toEqual(Buffer.from('anew'));
  });

  test('one that may not evict says that it is full', async () => {
    const running = await start(memcached, '-m', '2', '-M');
    const map = await open(`${running.url}?map=x`, { codec: 'bytes' });
    const fill = async (): Promise<void> => {
      for (let i = 0; i < 400; i += 1) await map.set(`k${i}`, Buffer.alloc(30_000, 1));
    };
    expect((await refusal(fill)).code).toBe('NARU_FULL');
  });

  test('a version of before a restart is nobody’s afterwards', async () => {
    const running = await start(memcached);
    const map = await open(`${running.url}?map=x`);
    await map.set('a', 1);
    const old = (await map.getEntry('a'))?.version as string;
    await running.restart();
    await map.set('a', 2);
    expect((await map.getEntry('a'))?.version.toString().split('@')[0]).toBe(old.split('@')[0]);
    expect(await map.set('a', 3, { ifVersion: old })).toBe(false);
    expect(await map.delete('a', { ifVersion: old })).toBe(false);
    expect(await map.get('a')).toBe(2);
  });

  test('user and password', async () => {
    const { writeFileSync } = await import('node:fs');
    const file = `${process.env['TMPDIR'] ?? '/tmp'}/naru-memcached-users-${process.pid}`;
    writeFileSync(file, 'me:s3cr3t\n', { mode: 0o644 });
    closers.push(() => import('node:fs').then(({ rmSync }) => rmSync(file, { force: true })));
    const running = await start(memcached, '-Y', file);
    const port = running.site.port;
    const map = await open(`memcached://me:s3cr3t@127.0.0.1:${port}?map=x`);
    await map.set('a', 1);
    expect(await map.get('a')).toBe(1);
    expect(map.address).not.toContain('s3cr3t');
    await expectDenied(`memcached://me:c4n4ry@127.0.0.1:${port}?map=x`, 'c4n4ry');
    await expectDenied(`memcached://127.0.0.1:${port}?map=x`, 's3cr3t');
  });
});
