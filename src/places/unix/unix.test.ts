// unix://: who hosts, what is left in the folder, and what happens when processes die. What every place must do is in the
// conformance suite; what every link must do, in places/tcp/tcp.test.ts.

import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../link/calls.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import { tryNative } from '../../native/index.ts';
import { open } from '../../open.ts';
import { Peers, until } from '../../link/processes.fixture.ts';

const peers = new Peers();
const opened: Mailbox[] = [];
let folder = '';
let path = '';
let url: `unix://${string}` = 'unix:///';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'naru-unix-'));
  path = join(folder, 'm.sock');
  url = `unix://${path}`;
});

afterEach(async () => {
  await peers.end();
  await Promise.all(opened.splice(0).map((mailbox) => mailbox.close({ flushMs: 0 })));
  rmSync(folder, { recursive: true, force: true });
});

afterAll(() => peers.end());

async function use(options: Parameters<typeof open>[1] = {}): Promise<Mailbox> {
  const mailbox = await open(url as string, options);
  opened.push(mailbox);
  return mailbox;
}

const ids = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);

describe('the socket', () => {
  test('has mode 0600 and goes with its host, lock included', async () => {
    const mailbox = await use();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}.lock`).mode & 0o777).toBe(0o600);
    await mailbox.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('refuses options that would change nothing', async () => {
    expect(await codeOf(open(url, { owner: 'system' }))).toBe('NARU_UNSUPPORTED');
    expect(await codeOf(open(url, { tls: {} }))).toBe('NARU_UNSUPPORTED');
    expect(await codeOf(open(url, { frame: 'lines' }))).toBe('NARU_INVALID_ARGUMENT');
  });

  test('refuses paths that no socket can have', async () => {
    const long = join(folder, 'x'.repeat(107));
    for (const bad of [
      'unix://relative/path',
      'unix:///',
      `unix://${long}`,
      'unix:///tmp/a%00b',
      'unix:///tmp/a?heartbeatMs=x',
    ]) {
      expect(await codeOf(open(bad)), bad).toBe('NARU_INVALID_ARGUMENT');
    }
    expect(await codeOf(open(`unix://${folder}/none/m.sock`))).toBe('NARU_NOT_FOUND');
  });

  test('is not made over a file that is something else', async () => {
    writeFileSync(path, 'precious');
    expect(await codeOf(use())).toBe('NARU_EXISTS');
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test('create "never" only connects', async () => {
    expect(await codeOf(use({ create: 'never' }))).toBe('NARU_NOT_FOUND');
    expect(readdirSync(folder)).toEqual([]);
    await use();
    const second = await use({ create: 'never' });
    expect(second.created).toBe(false);
  });

  test('of a host that was killed is replaced', async () => {
    const host = peers.start({ url, act: 'hold' });
    await host.hears((said) => said['ready'] === true);
    await host.kill();
    expect(existsSync(path)).toBe(true);
    const mailbox = await use();
    expect(mailbox.created).toBe(true);
    await mailbox.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('an option that differs from the host’s is NARU_EXISTS and says both', async () => {
    await use({ capacityBytes: 1_048_576 });
    await expect(use({ capacityBytes: 4 * 1_048_576 })).rejects.toThrow(/asked 4 MiB, is 1 MiB/);
  });

  test.runIf(process.getuid?.() === 0 && tryNative() !== undefined)(
    'a process of another user is refused by both sides, even where file modes would let it in',
    async () => {
      const mailbox = await use();
      chmodSync(folder, 0o777);
      chmodSync(path, 0o777);
      const stranger = peers.start({ url, act: 'open-and-end' }, { uid: 65_534, gid: 65_534 });
      await stranger.hears((said) => said['refused'] === 'NARU_DENIED', 'the stranger is refused');
      const { place } = await mailbox.stats();
      expect(place.extra['connections']).toBe(0);
    },
  );
});

describe('the host', () => {
  test('is exactly one of many processes that open at the same moment', async () => {
    const crowd = Array.from({ length: 6 }, () => peers.start({ url, act: 'hold' }));
    const heard = await Promise.all(crowd.map((peer) => peer.hears((said) => said['ready'] === true)));
    expect(heard.filter((said) => said['created'] === true)).toHaveLength(1);
  });

  test('works the same without the addon', async () => {
    const env = { ...process.env, NARU_NO_NATIVE: '1' };
    const host = peers.start({ url, act: 'hold' }, { env });
    await host.hears((said) => said['created'] === true);
    const guest = peers.start({ url, act: 'hold' }, { env });
    await guest.hears((said) => said['created'] === false);
    await host.kill();
    await guest.hears((said) => said['event'] === 'reconnect', 'the guest becomes the host');
    const third = peers.start({ url, act: 'hold' }, { env });
    await third.hears((said) => said['created'] === false);
    await third.finish();
    await guest.finish();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('that is killed is followed by another, and messages flow again', async () => {
    const host = peers.start({ url, act: 'hold', options: { capacityMessages: 500 } });
    await host.hears((said) => said['ready'] === true);
    const a = await use();
    const b = await use();
    const events: string[] = [];
    a.on('disconnect', () => events.push('disconnect'));
    a.on('reconnect', () => events.push('reconnect'));
    await a.send('before');
    expect((await b.receive({ timeoutMs: 5_000 })).data).toBe('before');
    const pending = b.receive({ timeoutMs: 15_000 });
    await host.kill();
    await until(() => events.includes('reconnect'), 'a finds a host again');
    await a.send('after');
    expect((await pending).data).toBe('after');
    expect(events).toEqual(['disconnect', 'reconnect']);
    // Who follows keeps the mailbox as it was.
    expect((await a.stats()).place.capacityMessages).toBe(500);
  });

  test('that dies with a message unconfirmed leaves its outcome unknown', async () => {
    const host = peers.start({ url, act: 'hold' });
    await host.hears((said) => said['ready'] === true);
    const mailbox = await use();
    await mailbox.send('confirmed');
    await host.kill('SIGSTOP');
    const sending = codeOf(mailbox.send('in the dark'));
    await new Promise((resolve) => setImmediate(resolve));
    await host.kill();
    expect(await sending).toBe('NARU_OUTCOME_UNKNOWN');
  });

  test('that closes says how many messages nobody will receive; others go on', async () => {
    const host = await use();
    const guest = await use();
    await guest.send(1);
    await guest.send(2);
    expect(await host.close({ flushMs: 0 })).toEqual({ undelivered: 2 });
    await guest.send(3);
    expect((await guest.receive({ timeoutMs: 5_000 })).data).toBe(3);
  });

  test('waits for its consumers to take the rest before it closes', async () => {
    const host = await use({ role: 'producer' });
    await host.sendMany(Array.from({ length: 200 }, (_, n) => ({ id: `m-${n + 1}` })));
    const consumer = peers.start({ url, act: 'consume', idleMs: 5_000 });
    await consumer.hears((said) => said['ready'] === true);
    expect(await host.close()).toEqual({ undelivered: 0 });
    await until(() => consumer.all('received').length === 200, 'the consumer has all');
  });

  test('that ends the mailbox and closes ends the loops of others, whoever comes first', {
    timeout: 60_000,
  }, async () => {
    for (let round = 0; round < 20; round += 1) {
      const host = await use({ role: 'producer' });
      const guest = await use({ role: 'consumer' });
      const received: unknown[] = [];
      const loop = (async () => {
        for await (const message of guest) received.push(message.data);
      })();
      await host.sendMany([1, 2, 3]);
      await host.end();
      expect(await host.close()).toEqual({ undelivered: 0 });
      await loop;
      expect(received).toEqual([1, 2, 3]);
      await guest.close();
    }
  });

  test('an idle handle keeps no process alive, whether it hosts or not', async () => {
    const host = peers.start({ url, act: 'open-and-end' });
    expect(await host.exited).toBe(0);
    await use();
    const guest = peers.start({ url, act: 'open-and-end' });
    expect(await guest.exited).toBe(0);
  });
});

describe('many processes', () => {
  test('four producers and four competing consumers: every message once', { timeout: 60_000 }, async () => {
    const host = peers.start({ url, act: 'hold' });
    await host.hears((said) => said['ready'] === true);
    const names = ['a', 'b', 'c', 'd'];
    const consumers = names.map(() => peers.start({ url, act: 'consume', idleMs: 3_000 }));
    await Promise.all(consumers.map((peer) => peer.hears((said) => said['ready'] === true)));
    const producers = names.map((name) =>
      peers.start({ url, act: 'produce', name, count: 2_000, bytes: 50 }),
    );
    await Promise.all(producers.map((peer) => peer.hears((said) => said['done'] === true)));
    await Promise.all(consumers.map((peer) => peer.hears((said) => said['done'] === true)));
    const received = consumers.flatMap((peer) => peer.all<{ id: string; deliveries: number }>('received'));
    expect(received.map(({ id }) => id).sort()).toEqual(names.flatMap((name) => ids(name, 2_000)).sort());
    expect(received.every(({ deliveries }) => deliveries === 1)).toBe(true);
    expect(consumers.every((peer) => peer.all('received').length > 0)).toBe(true);
  });

  test('a killed consumer loses nothing, and what comes again is marked', { timeout: 60_000 }, async () => {
    const host = peers.start({ url, act: 'hold' });
    await host.hears((said) => said['ready'] === true);
    const doomed = peers.start({ url, act: 'consume', idleMs: 20_000 });
    const survivor = peers.start({ url, act: 'consume', idleMs: 3_000 });
    await Promise.all([doomed, survivor].map((peer) => peer.hears((said) => said['ready'] === true)));
    const producer = peers.start({ url, act: 'produce', name: 'p', count: 5_000 });
    await doomed.hears((said) => said['received'] !== undefined);
    await doomed.kill();
    await producer.hears((said) => said['done'] === true);
    await survivor.hears((said) => said['done'] === true);
    const first = doomed.all<{ id: string; deliveries: number }>('received');
    const second = survivor.all<{ id: string; deliveries: number }>('received');
    expect(new Set([...first, ...second].map(({ id }) => id))).toEqual(new Set(ids('p', 5_000)));
    const seen = new Set(first.map(({ id }) => id));
    for (const { id, deliveries } of second) if (seen.has(id)) expect(deliveries, id).toBeGreaterThan(1);
    expect(new Set(second.map(({ id }) => id)).size).toBe(second.length);
  });

  test('of a killed producer everything that was placed arrives, once', { timeout: 60_000 }, async () => {
    const mailbox = await use();
    const producer = peers.start({ url, act: 'produce', name: 'p', count: 1_000_000 });
    await until(() => producer.all('placed').length >= 1_000, 'a thousand are placed');
    await producer.kill();
    const placed = producer.all<string>('placed');
    const received = new Set<string>();
    let count = 0;
    for (;;) {
      const message = await mailbox.receive({ timeoutMs: 500 }).catch(() => undefined);
      if (message === undefined) break;
      received.add((message.data as { id: string }).id);
      count += 1;
    }
    expect(placed.filter((id) => !received.has(id))).toEqual([]);
    expect(received.size).toBe(count);
    expect((await mailbox.stats()).place.producers).toBe(0);
  });
});
