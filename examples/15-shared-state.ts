// 15 · A number, an array and a map that processes share. Two processes with two workers each add to one counter without a lock, fill an
// array side by side, and count words in a map with update(). Nothing is lost, and what does not fit is refused.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { openArray, openMap, openValue } from 'naru/state';

const FILE = fileURLToPath(import.meta.url);
const NAME = process.argv[2] ?? `example-15-${process.pid}`;
const TOTAL = Number(process.env['TOTAL'] ?? 200_000);

/** One of four workers. */
async function work(index: number): Promise<void> {
  await using counter = await openValue(`shm://${NAME}-counter`, 'i64');
  for (let n = 0; n < TOTAL / 4; n += 1) counter.add(1n);

  await using squares = await openArray(`shm://${NAME}-squares`, Float64Array, 8);
  for (const n of [index * 2, index * 2 + 1]) squares.set(n, n * n);

  await using words = await openMap(`shm://${NAME}-words`);
  for (const word of ['ferry', 'river', 'ferry'])
    await words.update(word, (count) => ((count as number | undefined) ?? 0) + 1);
}

async function runTwoWorkers(first: number): Promise<void> {
  const workers = [first, first + 1].map(
    (index) => new Worker(FILE, { workerData: { index }, argv: [NAME] }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
}

async function main(): Promise<void> {
  await using counter = await openValue(`shm://${NAME}-counter`, 'i64');
  await using squares = await openArray(`shm://${NAME}-squares`, Float64Array, 8);
  await using words = await openMap(`shm://${NAME}-words`);
  const child = fork(FILE, [NAME, 'child']);
  await Promise.all([runTwoWorkers(0), once(child, 'exit')]);
  console.log('counted exactly:', counter.get() === BigInt(TOTAL));
  console.log('squares', [...squares].join(' '));
  console.log('words', await words.get('ferry'), await words.get('river'));
  try {
    counter.set(2n ** 63n);
  } catch (error) {
    console.log((error as { code: string }).code);
  }
}

if (!isMainThread) await work((workerData as { index: number }).index);
else if (process.argv[3] === 'child') await runTwoWorkers(2);
else await main();
