// A worker thread of map-worker.ts: opens the map with a handle of its own, says that it is ready, and when told counts a value up.

import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { openMap } from 'naru/state';

export interface ThreadWork {
  readonly url: string;
  readonly key: string;
  readonly times: number;
}

const { url, key, times } = workerData as ThreadWork;
await using map = await openMap(url);
parentPort?.postMessage('ready');
if (parentPort !== null) await once(parentPort, 'message');
for (let i = 0; i < times; i += 1) await map.update(key, (value) => ((value as number | undefined) ?? 0) + 1);
