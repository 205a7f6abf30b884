// A worker that waits for a POSIX queue until it is terminated.

import { parentPort, workerData } from 'node:worker_threads';
import { PosixQueue } from './index.ts';

const { name, act } = workerData as { readonly name: string; readonly act: 'receive' | 'receiveSync' };
const queue = PosixQueue.open({ name });
queue.notify(() => 0);
parentPort?.postMessage('ready', []);
if (act === 'receive') await queue.receive();
else queue.receiveSync();
