// Two processes with two worker threads each count one value to exactly a total through update(). Each of the four has a handle of its own;
// each step reads, computes and compares-and-sets; nothing is put together into one.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Manager, openMap } from 'naru/state';
import { together } from './map-workers.ts';

const PROCESSES = 2;
const THREADS = 2;

/** @param total  a multiple of 4 */
export async function countTo(total: number, url: string): Promise<void> {
  const map = await openMap(url);
  try {
    const started = performance.now();
    await together(PROCESSES, url, 'countInThreads', 'total', total / PROCESSES, THREADS);
    const perSecond = total / ((performance.now() - started) / 1000);
    console.log(`${url.split(':')[0]}: ${Math.round(perSecond)} updates a second`);
    expect(await map.get('total')).toBe(total);
  } finally {
    await map.close();
  }
}

/** Runs with a variable of the environment, which the processes inherit. */
async function withVariable(name: string, value: string, run: () => Promise<void>): Promise<void> {
  const before = process.env[name];
  process.env[name] = value;
  try {
    await run();
  } finally {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  }
}

async function withFolder(parent: string, run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(parent, 'naru-count-'));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function countInSharedMemory(total: number): Promise<void> {
  return withFolder('/dev/shm', (runtime) =>
    withVariable('NARU_RUNTIME_DIR', runtime, () => countTo(total, 'shm://count')),
  );
}

export function countInManager(total: number): Promise<void> {
  return withFolder(tmpdir(), async (folder) => {
    await using manager = await Manager.start({ listen: `unix://${folder}/m.sock` });
    await withVariable('NARU_MANAGER_KEY', manager.key, () => countTo(total, `${manager.url}?name=count`));
  });
}

export function countInSqlite(total: number): Promise<void> {
  return withFolder(tmpdir(), (folder) =>
    countTo(total, `sqlite://${folder}/count.db?map=count&survives=process`),
  );
}
