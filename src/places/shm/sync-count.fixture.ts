// A process with two workers that each add to a number in a file so many times, reading and writing it under a lock. Started by sync.test.ts.

import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { openLock } from '../../open-sync.ts';

interface CountOrders {
  readonly url: string;
  readonly file: string;
  readonly times: number;
}

async function count({ url, file, times }: CountOrders): Promise<void> {
  const lock = await openLock(url);
  const fd = openSync(file, 'r+');
  const number = new BigUint64Array(1);
  for (let i = 0; i < times; i += 1) {
    const guard = lock.acquireSync();
    readSync(fd, number, 0, 8, 0);
    number[0] = (number[0] as bigint) + 1n;
    writeSync(fd, number, 0, 8, 0);
    guard.release();
  }
  closeSync(fd);
  await lock.close();
}

async function countWithWorkers(orders: CountOrders): Promise<void> {
  const file = fileURLToPath(import.meta.url);
  const workers = [0, 1].map(() => new Worker(file, { workerData: orders }));
  const ends = workers.map((worker) => new Promise((resolve) => worker.on('exit', resolve)));
  const codes = await Promise.all(ends);
  process.exit(codes.some((code) => code !== 0) ? 1 : 0);
}

if (isMainThread) await countWithWorkers(JSON.parse(process.argv[2] ?? '') as CountOrders);
else await count(workerData as CountOrders);
