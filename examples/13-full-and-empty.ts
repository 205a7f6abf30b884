// 13 · Full and empty: the bounded buffer of the textbooks, in the queues of the kernel. A producer fills a queue and blocks; a consumer
// sleeps on an empty one; each wakes the other, and neither uses the processor while it waits. First in a System V queue; then in a POSIX
// queue, whose consumer lets the kernel notify it; then the same pair over shared memory, and what that gains. Programs in C could take
// either part in the queues: the messages are raw. This file is all the programs, told apart by arguments.
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { open } from 'naru';
import { PosixQueue } from 'naru/kernel';

const MESSAGES = 40;
const MESSAGE_BYTES = 1_000;
const A_WHILE_MS = 300;
const RACE_BYTES = 64;
const WARM_UP_MS = 400;
const RACE_MS = 600;

/** Starts to look at the clock and at the processor. @returns how much of the processor this process has used since, from 0 to 1 */
function watchProcessor(): () => number {
  const [begun, used] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(used);
    return (user + system) / 1_000 / (performance.now() - begun);
  };
}

async function producer(url: string): Promise<void> {
  await using queue = await open(url, { role: 'producer', codec: 'text' });
  let processorUse: (() => number) | undefined;
  queue.on('full', () => {
    processorUse ??= watchProcessor();
    process.send?.('full');
  });
  let whileFull: number | undefined;
  for (let n = 1; n <= MESSAGES; n += 1) {
    await queue.send(`${n}`.padEnd(MESSAGE_BYTES, '.')); // waits while there is no room
    whileFull ??= processorUse?.();
  }
  process.send?.(whileFull);
}

async function consumer(url: string): Promise<void> {
  await using queue = await open(url, { role: 'consumer', codec: 'text' });
  process.send?.('ready');
  const processorUse = watchProcessor();
  await queue.receive(); // waits while there is nothing
  process.send?.(processorUse());
}

/** The other way to wait for a POSIX queue: mq_notify(3). The kernel tells once, when a message comes into the empty queue. */
async function notified(name: string): Promise<void> {
  await using queue = PosixQueue.open({ name, create: 'never' });
  const arrived = new Promise<void>((resolve, reject) => {
    queue.notify((error) => (error === undefined ? resolve() : reject(error)));
  });
  process.send?.('ready');
  const processorUse = watchProcessor();
  await arrived;
  const use = processorUse();
  while (queue.tryReceive() !== undefined); // whoever is notified drains the queue
  process.send?.(use);
}

/** Sends as fast as it goes, until it is killed. */
async function racer(url: string): Promise<void> {
  await using mailbox = await open(url, { role: 'producer', codec: 'bytes' });
  const some = Array.from({ length: 500 }, () => new Uint8Array(RACE_BYTES));
  for (;;) await mailbox.sendMany(some);
}

async function main(): Promise<void> {
  await fullAndEmpty('System V', `sysv://example-13-${process.pid}`, 'consumer');
  await fullAndEmpty('POSIX', `posixmq://example-13-${process.pid}`, 'notified');

  const slow = await race(`sysv://example-13-${process.pid}`);
  const fast = await race(`shm://example-13-${process.pid}`);
  console.log(
    `a producer and a consumer pass ${inThousands(slow)} thousand messages a second through a System V queue`,
  );
  console.log(
    `the same pair passes ${inThousands(fast)} thousand a second through the ring in shared memory: ${(fast / slow).toFixed(1)} times as many`,
  );
}

async function fullAndEmpty(kind: string, url: string, consuming: 'consumer' | 'notified'): Promise<void> {
  await using queue = await open(url, { codec: 'text' });

  const filling = start('producer', queue.address);
  const usedFull = numberFrom(filling);
  await once(filling, 'message'); // 'full'
  await setTimeout(A_WHILE_MS);
  const { depth } = (await queue.stats()).place;
  console.log(`${kind}: the producer sent ${depth} of ${MESSAGES} messages, the queue is full, it sleeps`);
  console.log(`naru ls shows ${await listed(queue.address)}`);
  const numbers: number[] = [];
  for await (const { data } of queue) {
    numbers.push(Number.parseInt(String(data), 10));
    if (numbers.length === MESSAGES) break;
  }
  const inOrder = numbers.every((n, index) => n === index + 1);
  console.log(`receiving woke it: ${numbers.length} messages, ${inOrder ? 'in order' : 'out of order'}`);
  console.log(`while it slept it used ${verdict(await usedFull)}`);

  const name = `/${new URL(queue.address).host}`;
  const waiting = start(consuming, consuming === 'notified' ? name : queue.address);
  const usedEmpty = numberFrom(waiting);
  await once(waiting, 'message'); // 'ready'
  await setTimeout(A_WHILE_MS);
  const how = consuming === 'notified' ? ', to be notified' : '';
  console.log(`a consumer sleeps on the empty queue${how}`);
  await queue.send('good morning');
  console.log(`one message woke it; while it slept it used ${verdict(await usedEmpty)}`);

  await queue.unlink();
}

/** @returns messages a second */
async function race(url: string): Promise<number> {
  await using mailbox = await open(url, { role: 'consumer', codec: 'bytes' });
  const racing = start('racer', mailbox.address);
  const ended = once(racing, 'exit');
  const first = await mailbox.receiveMany(1);
  const begun = performance.now();
  let [received, warm, since] = [first.length, 0, 0];
  for await (const batch of mailbox.batches()) {
    received += batch.length;
    const now = performance.now();
    // First the compilers of both sides do their work.
    if (since === 0 && now - begun > WARM_UP_MS) [warm, since] = [received, now];
    if (since > 0 && now - since > RACE_MS) break;
  }
  const rate = ((received - warm) * 1_000) / (performance.now() - since);
  if (url.startsWith('shm:')) console.log(`naru ls shows ${await listed(mailbox.address)}`);
  racing.kill('SIGKILL');
  await ended;
  await mailbox.unlink();
  return rate;
}

/** What `naru ls` says of a queue while it is used. */
async function listed(address: string): Promise<string> {
  const command = fileURLToPath(new URL('./cli/index.js', import.meta.resolve('naru')));
  const { stdout } = await promisify(execFile)(process.execPath, [command, 'ls', '--json']);
  const { objects } = JSON.parse(stdout) as {
    objects: { kind: string; name: string; depth: number; peers: { isAlive: boolean }[] }[];
  };
  const found = objects.find(({ name }) => name === address);
  if (found === undefined) return 'nothing of it';
  const alive = found.peers.some(({ isAlive }) => isAlive);
  return `a ${found.kind} with ${found.depth} messages, used by ${alive ? 'a living process' : 'nobody alive'}`;
}

function inThousands(rate: number): string {
  return Math.round(rate / 1_000).toLocaleString('en-US');
}

/** The number that a child tells among other things. */
function numberFrom(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.on('message', (message) => {
      if (typeof message === 'number') resolve(message);
    });
  });
}

function verdict(share: number): string {
  return share < 0.05 ? 'no processor' : `${Math.round(share * 100)} % of a processor`;
}

function start(...args: readonly string[]): ChildProcess {
  return fork(fileURLToPath(import.meta.url), args);
}

const [part, where = ''] = process.argv.slice(2);
if (part === 'producer') await producer(where);
else if (part === 'consumer') await consumer(where);
else if (part === 'notified') await notified(where);
else if (part === 'racer') await racer(where);
else await main();
// An open channel to its parent would keep a child alive.
process.disconnect?.();
