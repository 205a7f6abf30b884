// file:///folder: what only a log can do, and what goes wrong with one. What every mailbox does is in the conformance suite; processes
// that are killed are in log-crash.test.ts.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openLog } from '../../disk/index.ts';
import type { MailboxOptions } from '../../mailbox/options.ts';
import { open } from '../../open.ts';

type LogUrl = `file:///${string}`;
type Numbers = AsyncDisposable & {
  receive(options: { timeoutMs: number }): Promise<{ readonly data: unknown; readonly deliveries: number }>;
};

let base = '';
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'naru-log-'));
});
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

const url = (name = 'box', query = 'segment=64KiB'): LogUrl => `file://${base}/${name}?${query}` as LogUrl;
const topic = (query = ''): LogUrl => url('topic', `segment=64KiB&deliver=all${query}`);

async function numbers(mailbox: Numbers, count: number): Promise<unknown[]> {
  const seen: unknown[] = [];
  while (seen.length < count) seen.push((await mailbox.receive({ timeoutMs: 10_000 })).data);
  return seen;
}

async function nothing(mailbox: Numbers): Promise<void> {
  await expect(mailbox.receive({ timeoutMs: 30 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
}

/** Opens a topic, and gives one consumer `count` messages. */
async function read(query: string, count: number, options: MailboxOptions = {}): Promise<unknown[]> {
  await using mailbox = await open(topic(query), { role: 'consumer', ...options });
  const seen = await numbers(mailbox, count);
  await nothing(mailbox);
  return seen;
}

describe('a queue', () => {
  test('outlives its users, and what was settled does not come back', async () => {
    {
      await using queue = await open(url());
      expect(queue.created).toBe(true);
      expect((await queue.send(1)).reached).toBe('durable');
      expect((await queue.send(2, { confirm: 'placed' })).reached).toBe('placed');
      expect((await queue.send(3, { confirm: 'accepted' })).reached).toBe('accepted');
      expect(await numbers(queue, 1)).toEqual([1]);
    }
    await using queue = await open(url());
    expect(queue.created).toBe(false);
    // Without having received.
    expect((await queue.peek(5)).map(({ data }) => data)).toEqual([2, 3]);
    expect(await numbers(queue, 2)).toEqual([2, 3]);
    await nothing(queue);
    expect((await queue.stats()).place.depth).toBe(0);
  });

  test('what was in hand when the host closed comes back, marked; what waited does not look so', async () => {
    {
      const queue = await open(url(), { settle: 'manual' });
      for (const n of [1, 2, 3]) await queue.send(n);
      await queue.receive();
      const second = await queue.receive();
      await second.nack();
      await queue.close();
    }
    await using queue = await open(url());
    const seen: unknown[] = [];
    while (seen.length < 3) {
      const { data, deliveries } = await queue.receive({ timeoutMs: 10_000 });
      seen.push([data, deliveries > 1]);
    }
    expect(seen).toEqual([
      [1, true],
      [2, true],
      [3, false],
    ]);
  });

  test('a backlog larger than memory keeps is read from the disk, in order', {
    timeout: 60_000,
  }, async () => {
    await using queue = await open(url('box', 'segment=1MiB'), { codec: 'text' });
    // 4,096 messages wait in memory, and 16 MiB of what came in last.
    const count = 22_000;
    const padding = 'x'.repeat(1_000);
    await queue.sendMany(
      Array.from({ length: count }, (_, n) => `${n} ${padding}`),
      { confirm: 'placed' },
    );
    let next = 0;
    const wrong: string[] = [];
    for await (const { data } of queue) {
      if (data !== `${next} ${padding}`) wrong.push(data.slice(0, 10));
      next += 1;
      if (next === count) break;
    }
    expect(wrong).toEqual([]);
    // Leaving the loop gave the last one back.
    expect((await queue.receive()).data).toBe(`${count - 1} ${padding}`);
    await nothing(queue);
    expect((await queue.stats()).place.extra['fetches']).toBeGreaterThan(0);
  });

  test('a message expires by the time it was sent at, also while nobody has the folder open', async () => {
    {
      await using queue = await open(url());
      await queue.send('short', { ttlMs: 20 });
      await queue.send('long', { ttlMs: 60_000 });
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 40);
    });
    await using queue = await open(url());
    expect(await numbers(queue, 1)).toEqual(['long']);
    await nothing(queue);
  });

  test('has no history', async () => {
    const refused = { code: 'NARU_UNSUPPORTED', message: expect.stringMatching(/queue has no history/) };
    await expect(open(url('box', 'deliver=one&offset=3'))).rejects.toMatchObject(refused);
    await using queue = await open(url());
    await queue.send(1);
    await using late = await open(url('box', 'offset=1'));
    await expect(late.receive()).rejects.toMatchObject(refused);
  });
});

describe('numbers of messages', () => {
  test('count from 1 without gaps, also after everything was taken and the folder was opened again', async () => {
    {
      await using news = await open(topic(), { role: 'producer' });
      await news.sendMany([1, 2, 3]);
      // The last of a batch is not settled yet: the others do not come back.
      await using reader = await open(topic('&offset=3'), { role: 'consumer', group: 'a' });
      expect(await numbers(reader, 1)).toEqual([3]);
      expect(await news.purge()).toBe(2);
    }
    await using news = await open(topic(), { role: 'producer' });
    for (const n of [4, 5, 6]) await news.send(n);
    expect(await read('&offset=4', 3)).toEqual([4, 5, 6]);
    expect(await read('&offset=6', 1)).toEqual([6]);
    expect(await read('', 4, { from: 'start' })).toEqual([3, 4, 5, 6]);
    expect(await news.purge()).toBe(4);
    expect(await read('', 0, { from: 'start' })).toEqual([]);
  });
});

describe('a topic', () => {
  test('keeps the place of a group, and forgets a consumer that had none', async () => {
    await using news = await open(topic(), { role: 'producer' });
    const group = { group: 'billing' };
    {
      await using billing = await open(topic(), { role: 'consumer', ...group });
      await billing.connect('consumer');
      await using other = await open(topic(), { role: 'consumer' });
      await other.connect('consumer');
      await news.sendMany([1, 2, 3]);
      expect(await numbers(billing, 2)).toEqual([1, 2]);
      expect(await numbers(other, 3)).toEqual([1, 2, 3]);
    }
    await news.send(4);
    expect(await read('', 2, group)).toEqual([3, 4]);
    await nothing(
      await open(topic(), { role: 'consumer', ...group }).then(async (mailbox) => {
        await mailbox.connect('consumer');
        return mailbox;
      }),
    );
    expect((await news.stats()).place.extra['groups']).toBe(1);
  });

  test('is read again from the start, an offset and a time, also after everybody left', async () => {
    let between = 0;
    {
      await using news = await open(topic(), { role: 'producer' });
      await news.sendMany([1, 2, 3]);
      await new Promise((resolve) => {
        setTimeout(resolve, 5);
      });
      between = Date.now();
      await news.sendMany([4, 5]);
    }
    expect(await read('', 5, { from: 'start' })).toEqual([1, 2, 3, 4, 5]);
    expect(await read(`&since=${between}`, 2)).toEqual([4, 5]);
    expect(await read(`&since=${new Date(between).toISOString()}`, 2)).toEqual([4, 5]);
    expect(await read('&offset=1', 5)).toEqual([1, 2, 3, 4, 5]);
    expect(await read('&offset=999999', 0)).toEqual([]);
    expect(await read('', 0, { from: 'now' })).toEqual([]);
  });

  test('moves a group that nobody is in', async () => {
    await using news = await open(topic(), { role: 'producer' });
    await news.sendMany([1, 2, 3]);
    expect(await read('', 3, { group: 'a', from: 'start' })).toEqual([1, 2, 3]);
    expect(await read('', 0, { group: 'a', from: 'start' })).toEqual([]);
    expect(await read('&offset=1', 3, { group: 'a' })).toEqual([1, 2, 3]);
  });

  test('keeps what fits: by number, by age, by room', async () => {
    await using few = await open(url('few', 'deliver=all&retain=2'));
    await few.sendMany([1, 2, 3], { confirm: 'placed' });
    expect((await few.stats()).place.extra['kept']).toBe(2);

    await using young = await open(url('young', 'deliver=all&retainMs=60'));
    await young.send(1);
    await expect.poll(async () => (await young.stats()).place.extra['kept'], { timeout: 10_000 }).toBe(0);

    await using small = await open(url('small', 'deliver=all&depth=10&segment=64KiB'));
    await small.sendMany(Array.from({ length: 100 }, (_, n) => n));
    await using reader = await open(url('small', ''), { from: 'start', role: 'consumer' });
    expect(await numbers(reader, 10)).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
  });

  test('what a group has not settled is never removed: sends wait', async () => {
    await using news = await open(url('box', 'deliver=all&depth=3'), { full: 'fail' });
    await using slow = await open(url('box', ''), { group: 'slow', role: 'consumer' });
    await slow.connect('consumer');
    for (const n of [1, 2, 3]) await news.send(n);
    await expect(news.send(4)).rejects.toMatchObject({ code: 'NARU_FULL' });
    expect(await numbers(slow, 3)).toEqual([1, 2, 3]);
    await news.send(4);
    expect(await numbers(slow, 1)).toEqual([4]);
  });
});

describe('several handles', () => {
  test('when the host closes another goes on; nothing is lost, and a group keeps its place', async () => {
    const first = await open(url());
    await using second = await open(url());
    await using third = await open(url());
    await first.sendMany([1, 2, 3]);
    expect(await numbers(second, 1)).toEqual([1]);
    // The host hears of everything before this is answered.
    await second.stats();
    await first.close();
    await third.send(4);
    expect(await numbers(second, 3)).toEqual([2, 3, 4]);
  });

  test('a path that is longer than a socket may have', async () => {
    const long = 'x'.repeat(120);
    await using one = await open(url(long));
    await using two = await open(url(long));
    await two.send(1);
    expect(await numbers(one, 1)).toEqual([1]);
  });

  test('removing it leaves nothing, and tells the others', async () => {
    const one = await open(url());
    const two = await open(url());
    await two.send(1);
    await two.unlink();
    await expect(one.send(2)).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    await one.close();
    await two.close();
    expect(readdirSync(base)).toEqual([]);
  });
});

describe('what is refused', () => {
  test('folders that are none, or are open to others, or hold something else', async () => {
    writeFileSync(join(base, 'plain'), '1');
    await expect(open(url('plain'))).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    mkdirSync(join(base, 'real'));
    symlinkSync(join(base, 'real'), join(base, 'link'));
    await expect(open(url('link'))).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    chmodSync(join(base, 'real'), 0o777);
    await expect(open(url('real'))).rejects.toMatchObject({ code: 'NARU_DENIED' });
    await expect(open(url('no/such'))).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
    await expect(open(url('none'), { create: 'never' })).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
    const log = await openLog(join(base, 'other'), { segmentBytes: 65_536 });
    log.append([{ stream: 7, body: Buffer.from('not a message') }]);
    await log.close();
    await expect(open(url('other'))).rejects.toMatchObject({ code: 'NARU_EXISTS' });
  });

  test('values and options that mean nothing here', async () => {
    for (const query of [
      'offset=0',
      'offset=x',
      'since=soon',
      'offset=1&since=1',
      'segment=70000',
      'retainMs=0',
      'pollMs=20',
    ]) {
      await expect(open(url('box', query)), query).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    }
    for (const query of [
      'owner=users',
      'frame=lines',
      'depth=0',
      'dedup=5',
      'full=drop-oldest',
      'priorities=3',
    ]) {
      await expect(open(url('box', query)), query).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    }
    expect(existsSync(join(base, 'box'))).toBe(false);
    await (await open(url('box', 'retainMs=1000&deliver=all'))).close();
    await expect(open(url('box', 'retainMs=2000'))).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    await expect(open(url('box', 'deliver=one'))).rejects.toMatchObject({ code: 'NARU_EXISTS' });
  });

  test.each([1, 3])('a mailbox of version %i of the format', async (version) => {
    await (await open(url())).close();
    const log = await openLog(join(base, 'box'));
    await log.writeSnapshot('mailbox', Buffer.from(JSON.stringify({ version })));
    await log.close();
    const error = { code: 'NARU_UNSUPPORTED', message: expect.stringContaining(`version ${version}`) };
    await expect(open(url())).rejects.toMatchObject(error);
  });
});

describe('damage', () => {
  const segment = (): string =>
    join(base, 'box', readdirSync(join(base, 'box')).find((n) => n.startsWith('00000001')) ?? '');

  test('is named when the folder is opened, and nothing is skipped', async () => {
    {
      await using queue = await open(url());
      for (const n of [1, 2, 3]) await queue.send(`message-${n}`);
    }
    const at = readFileSync(segment()).indexOf('message-2');
    const fd = openSync(segment(), 'r+');
    writeSync(fd, 'M', at);
    closeSync(fd);
    const error = { code: 'NARU_CORRUPT', message: expect.stringMatching(/00000001\.0\.seg.*\d+/) };
    await expect(open(url())).rejects.toMatchObject(error);
  });

  test('a file that was cut', async () => {
    {
      await using queue = await open(url());
      for (const n of [1, 2, 3]) await queue.send(`message-${n}`);
    }
    truncateSync(segment(), 700);
    await expect(open(url())).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
  });

  test('a description that is none', async () => {
    await (await open(url())).close();
    writeFileSync(join(base, 'box', 'mailbox.snap'), 'nonsense');
    await expect(open(url())).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
  });
});
