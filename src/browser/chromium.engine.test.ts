// naru/browser, as it is published, in Chromium: pages as producers and consumers, origins, slow pages, pages and hosts that go.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { freePort } from '../link/calls.fixture.ts';
import { chromium } from '../engines/chromium.fixture.ts';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { Page, Site } from '../engines/page.fixture.ts';
import { Peers, until } from '../link/processes.fixture.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import { open } from '../open.ts';

const HTML = `<!doctype html><meta charset="utf-8"><title>test</title>
<script type="module">
  import * as naru from './naru.js';
  globalThis.naru = naru;
</script>`;

onlyWith(chromium, 'naru/browser in Chromium', (browser) => {
  const peers = new Peers();
  const opened: Mailbox[] = [];
  const pages: Page[] = [];
  let site: Site;

  beforeAll(async () => {
    site = await Site.start({ '/': HTML, '/naru.js': new URL('./naru.js', import.meta.url) });
  });
  afterEach(async () => {
    await Promise.all(pages.splice(0).map((page) => page.close()));
    await peers.end();
    await Promise.all(opened.splice(0).map((mailbox) => mailbox.close({ flushMs: 0 })));
  });
  afterAll(() => site.stop());

  async function listen(options: Parameters<typeof open>[1] = {}, more = ''): Promise<Mailbox> {
    const mailbox = await open(`ws://127.0.0.1:0/box?listen${more}`, options);
    opened.push(mailbox);
    return mailbox;
  }

  /** A page with a mailbox called `box`. */
  async function visit(address: string, options: object = {}, host?: string): Promise<Page> {
    const page = await Page.open(browser, site.url('/', host));
    pages.push(page);
    await page.run(
      `naru.open(${JSON.stringify(address)}, ${JSON.stringify(options)}).then((box) => { globalThis.box = box; })`,
    );
    return page;
  }

  test('a page produces and Node consumes; Node produces and a page consumes', {
    timeout: 60_000,
  }, async () => {
    const host = await listen();
    const page = await visit(host.address);
    await page.run(`(async () => {
      for (let from = 0; from < 10_000; from += 500)
        await Promise.all(Array.from({ length: 500 }, (_, n) => box.send({ n: from + n, text: 'ä✓' })));
    })()`);
    for (let n = 0; n < 10_000; n += 1) {
      expect((await host.receive({ timeoutMs: 5_000 })).data).toEqual({ n, text: 'ä✓' });
    }
    const got = page.run<number[]>(`(async () => {
      const got = [];
      for await (const { data } of box) if (got.push(data) === 10_000) return got;
    })()`);
    await host.sendMany(Array.from({ length: 10_000 }, (_, n) => n));
    expect(await got).toEqual(Array.from({ length: 10_000 }, (_, n) => n));
    expect(page.errors).toEqual([]);
  });

  test('two pages share a queue; a request of a page is answered by another', async () => {
    const host = await listen();
    const [a, b] = [await visit(host.address), await visit(host.address)];
    const serving = b.run('box.receive().then((request) => request.reply({ got: request.data }))');
    expect(await a.run('box.request(7).then(({ data }) => data)')).toEqual({ got: 7 });
    await serving;
  });

  test('bytes of any length arrive whole, both ways', async () => {
    const host = await listen({ codec: 'bytes' });
    const page = await visit(host.address, { codec: 'bytes' });
    for (const size of [0, 1, 65_536, 1_000_001]) {
      const body = Buffer.alloc(size).map((_, index) => index * 7);
      await host.send(body);
      await page.run('box.receive().then(({ data }) => box.send(data))');
      expect(Buffer.from((await host.receive({ timeoutMs: 5_000 })).body).equals(body), String(size)).toBe(
        true,
      );
    }
  });

  test('a page of a strange origin is refused, by its name and by one that leads here; a named one is let in', async () => {
    const host = await listen({}, `&origins=http://shop.example:${site.port}`);
    await visit(host.address, {}, 'shop.example');
    await visit(host.address, {}, 'localhost');
    await expect(visit(host.address, { timeoutMs: 500 }, 'evil.example')).rejects.toThrow(
      /origin is not allowed/,
    );
    const rebound = host.address.replace('127.0.0.1', 'evil.example');
    await expect(visit(rebound, { timeoutMs: 500 }, 'evil.example')).rejects.toThrow(/origin is not allowed/);
    expect((await host.stats()).place.extra['connections']).toBe(2);
  });

  test('a key is asked for', async () => {
    const key = 'a key of sixteen bytes or more';
    const host = await listen({ key });
    await visit(host.address, { key });
    await expect(visit(host.address, { key: 'another key of many bytes' })).rejects.toThrow(/not its key/);
  });

  test('a slow page has the newest value, knows what it missed, and its memory stays where it was', {
    timeout: 60_000,
  }, async () => {
    const host = await listen({ deliver: 'all', full: 'drop-oldest', capacityMessages: 1 });
    const page = await visit(host.address, { role: 'consumer' });
    await page.run(`(() => {
      globalThis.got = []; globalThis.gaps = 0; globalThis.go = () => undefined;
      box.on('gap', ({ count }) => { gaps += count; });
      (async () => {
        for await (const { data } of box) {
          got.push(data.n);
          await new Promise((resolve) => { globalThis.go = resolve; });
        }
      })();
    })()`);
    const padding = 'x'.repeat(10_000);
    await host.send({ n: 1, padding });
    await until(() => host.peers.consumers === 1, 'the page is there');
    while ((await page.run<number[]>('got')).length === 0)
      await new Promise((resolve) => setImmediate(resolve));
    const before = await page.heapBytes();
    // It stands still at its first message while 50 MB are sent.
    for (let n = 2; n <= 5_000; n += 1) await host.send({ n, padding });
    expect((await page.heapBytes()) - before).toBeLessThan(1_000_000);
    for (;;) {
      const got = await page.run<number[]>('(go(), got)');
      if (got.at(-1) === 5_000) break;
    }
    const { got, gaps } = await page.run<{ got: number[]; gaps: number }>('({ got, gaps })');
    expect(got.length).toBeLessThanOrEqual(3);
    expect(gaps).toBe(5_000 - got.length);
  });

  test('a page that sends into a full mailbox waits, and its memory stays bounded', {
    timeout: 60_000,
  }, async () => {
    const host = await listen({ codec: 'text', capacityMessages: 10 });
    const page = await visit(host.address, { codec: 'text' });
    await page.run(`(() => {
      globalThis.sent = 0;
      (async () => {
        const text = 'x'.repeat(100_000);
        for (let n = 0; n < 300; n += 1) { await box.send(text + n); sent += 1; }
      })();
    })()`);
    while ((await host.stats()).place.depth < 10) await new Promise((resolve) => setImmediate(resolve));
    while ((await page.run('sent')) !== 10) await new Promise((resolve) => setImmediate(resolve));
    const before = await page.heapBytes();
    for (let n = 0; n < 300; n += 1) {
      expect(String((await host.receive({ timeoutMs: 5_000 })).data).slice(100_000)).toBe(String(n));
    }
    expect((await page.heapBytes()) - before).toBeLessThan(2_000_000);
    expect(await page.run('sent')).toBe(300);
  });

  test('a page that is closed gives back what it had; the next one gets it, marked', async () => {
    const host = await listen();
    const page = await visit(host.address, { settle: 'manual' });
    await host.send('held');
    expect(await page.run('box.receive().then(({ data }) => data)')).toBe('held');
    await page.close();
    pages.splice(pages.indexOf(page), 1);
    const next = await visit(host.address);
    expect(await next.run('box.receive().then(({ data, redelivered }) => [data, redelivered])')).toEqual([
      'held',
      true,
    ]);
  });

  test('a host that is killed and started again: the page comes back by itself', {
    timeout: 60_000,
  }, async () => {
    const url = `ws://127.0.0.1:${await freePort()}/box`;
    const start = () => peers.start({ url: `${url}?listen`, act: 'hold' });
    let host = start();
    const page = await visit(url);
    await page.run(`(() => {
      globalThis.heard = [];
      box.on('disconnect', () => heard.push('disconnect'));
      box.on('reconnect', () => heard.push('reconnect'));
      globalThis.round = async (n) => { await box.send(n); return (await box.receive()).data; };
    })()`);
    expect(await page.run('round(-1)')).toBe(-1);
    for (let kill = 0; kill < 5; kill += 1) {
      await host.kill();
      host = start();
      while ((await page.run<string[]>('heard')).length < 2 * (kill + 1))
        await new Promise((resolve) => setImmediate(resolve));
      expect(await page.run(`round(${kill})`)).toBe(kill);
    }
    expect(await page.run('heard')).toEqual(
      Array.from({ length: 5 }, () => ['disconnect', 'reconnect']).flat(),
    );
  });
});
