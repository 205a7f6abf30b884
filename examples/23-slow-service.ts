// 23 · A slow service behind a queue. Before: whoever asks waits for the work, and for everybody's before it. After: the web server takes the
// order with 202 at once, a worker does it when its turn comes, and the result is fetched later.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { open } from 'naru';
import { handlerOf } from 'naru/http';

const CLIENTS = 20;

/** One at a time, as a printer, a licence or a GPU does it. */
let line: Promise<unknown> = Promise.resolve();
function slowService(name: string): Promise<string> {
  const report = line.then(() => setTimeout(60, `report for ${name}`));
  line = report;
  return report;
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
}

/** How long each of many clients waits for the answer to its order; and the answers. */
async function orderAll(
  url: string,
): Promise<{ text: string; p50: number; slowest: number; answers: Response[] }> {
  const times: number[] = [];
  const answers = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      const started = performance.now();
      const answer = await fetch(`${url}/reports`, { method: 'POST', body: `client ${client}` });
      times.push(performance.now() - started);
      return answer;
    }),
  );
  times.sort((a, b) => a - b);
  const [p50 = 0, slowest = 0] = [times[CLIENTS / 2], times[CLIENTS - 1]];
  return {
    text: `half within ${p50.toFixed(1)} ms, all within ${slowest.toFixed(1)} ms`,
    p50,
    slowest,
    answers,
  };
}

// Before: the request is the work.
async function work(request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.end(await slowService(await bodyOf(request)));
}
const before = createServer((request, response) => void work(request, response));
const direct = await orderAll(await listen(before));
console.log(`before: answered ${direct.text}`);
before.close();

// After: the request is an order. The queue is mounted in the same server, so that workers anywhere can take from it, with curl too.
const orders = await open('http:///orders?mount', { codec: 'json' });
const queue = handlerOf(orders);
const reports = new Map<string, string>();
async function takeOrder(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { id } = await orders.send({ client: await bodyOf(request) });
  response.writeHead(202, { location: `/reports/${encodeURIComponent(id)}` }).end();
}
const after = createServer((request, response) => {
  const id = /^\/reports\/(.+)$/.exec(request.url ?? '')?.[1];
  if (request.method === 'POST' && request.url === '/reports') {
    void takeOrder(request, response);
  } else if (id !== undefined) {
    const report = reports.get(decodeURIComponent(id));
    response.writeHead(report === undefined ? 202 : 200).end(report);
  } else queue(request, response);
});
const url = await listen(after);

// A worker: usually another process, perhaps on another machine.
const worker = await open(`${url}/orders`);
const working = worker.consume(
  async (order) => {
    const { client } = order.data as { client: string };
    reports.set(order.id, await slowService(client));
  },
  { concurrency: 1 },
);

const queued = await orderAll(url);
console.log(`after: accepted ${queued.text}`);
console.log(`every order got ${[...new Set(queued.answers.map(({ status }) => status))].join()}`);
console.log(`at least twice as fast for half of them: ${direct.p50 > 2 * queued.p50}`);

// Later, each fetches its result.
const results = await Promise.all(
  queued.answers.map(async (answer) => {
    for (;;) {
      const result = await fetch(url + (answer.headers.get('location') ?? ''));
      if (result.status === 200) return await result.text();
      await setTimeout(10);
    }
  }),
);
console.log(`${new Set(results).size} results, the first is the ${results[0]}`);

await working.stop();
await worker.close();
await orders.close();
after.close();
