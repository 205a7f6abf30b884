// 24 · A stock ticker over WebSockets. Every tick is the whole table of prices, so the newest says all: the topic keeps one for
// those who join (retain), and who is slow gets the newest four and passes over the rest (drop-oldest). Viewers take ticks by
// receive(), which settles at once: whoever thinks long about one holds up nobody; whoever stands still does for leaseMs at most.
//   npm run example 24            the market, a quick, a slow and a late viewer, and a market that goes and comes back
//   npm run example 24 -- page    the market until it is interrupted, and a page for your browser
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { open } from 'naru';

interface Tick {
  readonly number: number;
  readonly prices: Readonly<Record<string, number>>;
}

const lossy = { deliver: 'all', full: 'drop-oldest', capacityMessages: 4 } as const;
const topic = { ...lossy, retain: 1, leaseMs: 1_000, role: 'producer' } as const;
const names = ['ACME', 'GLOBEX', 'HOOLI', 'INITECH', 'UMBRELLA'];

const market = (port: number) => open(`ws://127.0.0.1:${port}/ticks?listen`, topic);
const viewer = (address: string) => open(address, { role: 'consumer' });

function tickOf(number: number): Tick {
  const price = (index: number): number =>
    Math.round(10_000 * (index + 2 + Math.sin(number / 9 + index))) / 100;
  return { number, prices: Object.fromEntries(names.map((name, index) => [name, price(index)])) };
}

/** The number of the next tick that a viewer sees. */
async function next(from: Awaited<ReturnType<typeof viewer>>): Promise<number> {
  const { data } = await from.receive({ timeoutMs: 10_000 });
  return (data as Tick).number;
}

async function show(): Promise<void> {
  const first = await market(0);
  const { address } = first;
  await using quick = await viewer(address);
  await using slow = await viewer(address);

  await first.send(tickOf(1));
  const seen = [await next(quick)];
  const slowSaw = await next(slow);
  for (let number = 2; number <= 100; number += 1) {
    await first.send(tickOf(number));
    seen.push(await next(quick));
  }
  console.log(`quick viewer: ${seen.length} of 100 ticks`);
  const slowSees = [await next(slow), await next(slow), await next(slow), await next(slow)];
  const missed = (slowSees[0] as number) - slowSaw - 1;
  console.log(`slow viewer: tick ${slowSaw}, then ticks ${slowSees.join(' ')}; ${missed} were passed over`);

  await using late = await viewer(address);
  console.log(`late viewer: tick ${await next(late)} at once`);

  const back = new Promise<void>((resolve) => {
    quick.on('reconnect', () => resolve());
  });
  await first.close();
  console.log('the market closes, and opens again');
  await using second = await market(Number(new URL(address).port));
  await back;
  await second.send(tickOf(101));
  console.log(`quick viewer: back by itself, tick ${await next(quick)}`);
}

/** The market and a server of its page. It prints where the page is, and goes on until it is interrupted. */
async function servePage(): Promise<void> {
  const ticks = await market(Number(process.env['TICKER_PORT'] ?? 0));
  const example = new URL('../../examples/24-stock-ticker.html', import.meta.url);
  const files: Readonly<Record<string, readonly [string, URL]>> = {
    '/': ['text/html; charset=utf-8', example],
    '/naru.js': ['text/javascript', new URL(import.meta.resolve('naru/browser'))],
  };
  const server = createServer((request, response) => {
    const [type, file] = files[request.url?.split('?')[0] ?? ''] ?? [];
    if (file === undefined) response.writeHead(404).end();
    else void readFile(file).then((body) => response.writeHead(200, { 'content-type': type }).end(body));
  });
  server.listen(Number(process.env['PAGE_PORT'] ?? 0), '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    console.log(`http://127.0.0.1:${port}/?ticker=${encodeURIComponent(ticks.address)}`);
  });
  let number = 0;
  const timer = setInterval(() => void ticks.send(tickOf((number += 1))), 50);
  process.once('SIGINT', () => {
    clearInterval(timer);
    server.close();
    server.closeAllConnections();
    void ticks.close({ flushMs: 0 });
  });
}

if (process.argv[2] === 'page') await servePage();
else await show();
