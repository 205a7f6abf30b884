// A process of the tests of maps on engines: opens the map at argv[2] and does what argv[3] says. It writes one line when it is
// ready, starts at a line on its standard input, and writes one line of JSON at its end.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { openMap } from 'naru/state';
import type { ThreadWork } from './map-thread.ts';

const [, , url = '', what = '', ...rest] = process.argv;

/** Counts up a value `times` times in `lanes` concurrent loops. */
async function count(key: string, times: number, lanes: number): Promise<unknown> {
  await using map = await openMap(url);
  process.stdout.write('ready\n');
  await once(process.stdin, 'data');
  process.stdin.destroy();
  const lane = async (share: number): Promise<void> => {
    for (let i = 0; i < share; i += 1)
      await map.update(key, (value) => ((value as number | undefined) ?? 0) + 1);
  };
  const started = performance.now();
  const share = times / lanes;
  await Promise.all(Array.from({ length: lanes }, () => lane(share)));
  return { ms: performance.now() - started };
}

/** Counts up a value `times` times in so many worker threads. */
async function countInThreads(key: string, times: number, threads: number): Promise<unknown> {
  const workerData: ThreadWork = { url, key, times: times / threads };
  const all = Array.from(
    { length: threads },
    () => new Worker(new URL('./map-thread.js', import.meta.url), { workerData }),
  );
  await Promise.all(all.map((one) => once(one, 'message')));
  process.stdout.write('ready\n');
  await once(process.stdin, 'data');
  process.stdin.destroy();
  const ends = all.map((one) => once(one, 'exit'));
  for (const one of all) one.postMessage('go');
  return { codes: (await Promise.all(ends)).map(([code]) => code as number) };
}

/** Opens the map together with others. */
async function start(): Promise<unknown> {
  process.stdout.write('ready\n');
  await once(process.stdin, 'data');
  process.stdin.destroy();
  await using map = await openMap(url);
  await map.set(`from ${process.pid}`, process.pid);
  return { created: map.created };
}

/** Sets a value again and again until it is killed; writes each number when it is stored. */
async function write(key: string): Promise<unknown> {
  const map = await openMap(url);
  for (let i = 1; ; i += 1) {
    await map.set(key, { i, same: String(i).repeat(50) });
    process.stdout.write(`${i}\n`);
  }
}

/** Uses the map once and leaves the handle open: the process must end by itself. */
async function idle(): Promise<unknown> {
  const map = await openMap(url);
  await map.set('idle', 1);
  return { value: await map.get('idle') };
}

const acts: Readonly<Record<string, () => Promise<unknown>>> = {
  count: () => count(rest[0] ?? '', Number(rest[1]), Number(rest[2])),
  countInThreads: () => countInThreads(rest[0] ?? '', Number(rest[1]), Number(rest[2])),
  start,
  write: () => write(rest[0] ?? ''),
  idle,
};
const act = acts[what];
if (act === undefined) throw new Error(`no such act: ${what}`);
process.stdout.write(`${JSON.stringify(await act())}\n`);
