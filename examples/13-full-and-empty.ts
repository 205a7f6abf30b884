// 13 · Full and empty: the bounded buffer of the textbooks, in a System V queue of the kernel. A producer fills the queue and blocks; a
// consumer sleeps on an empty one; each wakes the other, and neither uses the processor while it waits. Programs in C could take
// either part: the messages are raw. This file is all three programs, told apart by arguments.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { open } from 'naru';

const MESSAGES = 40;
const MESSAGE_BYTES = 1_000;
const A_WHILE_MS = 500;

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

async function main(): Promise<void> {
  await using queue = await open(`sysv://example-13-${process.pid}`, { codec: 'text' });

  const filling = start('producer', queue.address);
  const usedFull = numberFrom(filling);
  await once(filling, 'message'); // 'full'
  await setTimeout(A_WHILE_MS);
  const { depth, capacityBytes } = (await queue.stats()).place;
  console.log(
    `the producer sent ${depth} of ${MESSAGES} messages and sleeps: ${capacityBytes} bytes are full`,
  );
  const numbers: number[] = [];
  for await (const { data } of queue) {
    numbers.push(Number.parseInt(String(data), 10));
    if (numbers.length === MESSAGES) break;
  }
  const inOrder = numbers.every((n, index) => n === index + 1);
  console.log(`receiving woke it: ${numbers.length} messages, ${inOrder ? 'in order' : 'out of order'}`);
  console.log(`while it slept it used ${verdict(await usedFull)}`);

  const waiting = start('consumer', queue.address);
  const usedEmpty = numberFrom(waiting);
  await once(waiting, 'message'); // 'ready'
  await setTimeout(A_WHILE_MS);
  console.log('a consumer sleeps on the empty queue');
  await queue.send('good morning');
  console.log(`one message woke it; while it slept it used ${verdict(await usedEmpty)}`);

  await queue.unlink();
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

const [part, url = ''] = process.argv.slice(2);
if (part === 'producer') await producer(url);
else if (part === 'consumer') await consumer(url);
else await main();
// An open channel to its parent would keep a child alive.
process.disconnect?.();
