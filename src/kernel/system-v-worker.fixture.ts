// A worker that waits for a System V queue until it is terminated.

import { workerData } from 'node:worker_threads';
import { SystemVQueue } from './index.ts';

const { id, act } = workerData as { readonly id: number; readonly act: 'receive' | 'receiveSync' };
const queue = SystemVQueue.open({ id });
if (act === 'receive') await queue.receive();
else queue.receiveSync();
