// 16 · An API keeps answering while its analysis crashes. The analysis runs in a child process that shares a mailbox, a value and
// a lock with the API. It throws once and is killed once (SIGKILL, with the lock in its hands): the API goes on, the child comes
// back, the lock goes to the next, and no request is lost.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { open, spawn } from 'naru';
import { openValue } from 'naru/state';
import { openLock } from 'naru/sync';

const here = `example-16-${process.pid}`;
await using photos = await open(`shm://${here}-photos`, { settle: 'manual' });
const analysed = await openValue(`shm://${here}-analysed`, 'i32');
const recovered = await openValue(`shm://${here}-recovered`, 'i32');
await using lock = await openLock(`shm://${here}-lock`);

await using analysis = await spawn(new URL('./16-analysis.js', import.meta.url), {
  share: { photos, analysed, recovered, lock },
  restart: { delayMs: 20 },
});
const crashes: string[] = [];
analysis.on('crash', ({ error, signal }) => crashes.push(error?.message ?? String(signal)));

const api = createServer((request, response) => {
  void photos.send({ name: request.url }).then(() => response.writeHead(202).end());
});
await new Promise<void>((resolve) => {
  api.listen(0, '127.0.0.1', resolve);
});
const { port } = api.address() as AddressInfo;

let answers = 0;
for (const name of ['cat', 'dog', 'broken', 'fox', 'deadly', 'owl', 'hen', 'ant']) {
  const { status } = await fetch(`http://127.0.0.1:${port}/${name}`, { method: 'POST' });
  if (status === 202) answers += 1;
}
console.log(`the API answered ${answers} of 8 requests at once`);

while (analysed.get() < 8) await new Promise((resolve) => setTimeout(resolve, 10));
const { depth } = (await photos.stats()).place;
console.log(`analysed: ${analysed.get()}, waiting: ${depth}`);
for (const crash of crashes) console.log(`the analysis crashed (${crash}) and was started again`);
console.log(`the lock went from the dead to the living ${recovered.get()} times`);

const exit = await analysis.stop();
console.log(`the analysis ended with code ${exit.code}`);
api.close();
await Promise.all([analysed.close(), recovered.close()]);
