// A worker that waits for a semaphore until it is terminated.

import { parentPort, workerData } from 'node:worker_threads';
import { Semaphore } from './index.ts';

const { kind, name, key, act } = workerData as {
  readonly kind: 'posix' | 'system-v';
  readonly name: string;
  readonly key: number;
  readonly act: 'acquire' | 'acquireSync';
};
const semaphore = kind === 'posix' ? Semaphore.posix(name) : Semaphore.systemV(key);
parentPort?.postMessage('ready', []);
if (act === 'acquire') await semaphore.acquire();
else semaphore.acquireSync();
