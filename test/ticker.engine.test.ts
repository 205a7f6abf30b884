// Example 24 with its page in Chromium: live prices, a slow page that stays near the newest tick, and a market that is killed and
// comes back.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { chromium } from '#naru/engines/chromium.fixture';
import { onlyWith } from '#naru/engines/only-with.fixture';
import { Page } from '#naru/engines/page.fixture';

const EXAMPLE = join(fileURLToPath(new URL('../../', import.meta.url)), 'build/examples/24-stock-ticker.js');

onlyWith(chromium, 'the stock ticker', (browser) => {
  const children: ChildProcess[] = [];
  const pages: Page[] = [];

  afterEach(async () => {
    await Promise.all(pages.splice(0).map((page) => page.close()));
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  async function market(
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ url: string; child: ChildProcess }> {
    const child = spawn(process.execPath, [EXAMPLE, 'page'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    return { url: line, child };
  }

  async function visit(url: string): Promise<Page> {
    const page = await Page.open(browser, url);
    pages.push(page);
    return page;
  }

  const text = (page: Page, id: string): Promise<string> =>
    page.run<string>(`document.getElementById(${JSON.stringify(id)}).textContent`);
  const numberIn = async (page: Page, id: string): Promise<number> => Number(await text(page, id));

  async function until(holds: () => Promise<boolean>): Promise<void> {
    while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
  }

  test('shows prices; a slow page passes over ticks and stays near the newest', {
    timeout: 60_000,
  }, async () => {
    const { url, child } = await market();
    const quick = await visit(url);
    const slow = await visit(`${url}&pauseMs=400`);
    await until(async () => (await numberIn(slow, 'missed')) > 20);
    const [newest, seen] = [await numberIn(quick, 'tick'), await numberIn(slow, 'tick')];
    // 400 ms are 8 ticks, the mailbox holds 4; the rest is the time to look.
    expect(newest - seen).toBeLessThan(40);
    expect(await text(quick, 'state')).toBe('live');
    expect(await quick.run('document.querySelectorAll("#prices tr").length')).toBe(5);
    expect(await text(quick, 'prices')).toMatch(/^ACME\d+\.\d\dGLOBEX/);
    expect([quick.errors, slow.errors]).toEqual([[], []]);
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('a market that is killed comes back, and so does the page', { timeout: 60_000 }, async () => {
    const env = { TICKER_PORT: await freePort(), PAGE_PORT: await freePort() };
    const { url, child } = await market(env);
    const page = await visit(url);
    await until(async () => (await numberIn(page, 'tick')) > 30);
    child.kill('SIGKILL');
    await until(async () => (await text(page, 'state')).includes('coming back'));
    await market(env);
    await until(async () => (await text(page, 'state')) === 'live');
    // The new market counts from 1.
    await until(async () => (await numberIn(page, 'tick')) < 30);
    expect(page.errors).toEqual([]);
  });
});

async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return String(port);
}
