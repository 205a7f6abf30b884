// npm run bench -- mailbox: one JSON document with a row for each contestant and a line for each goal, and nothing left behind.

import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('../bench/index.js', import.meta.url));
const run = promisify(execFile);

interface Row {
  readonly id: string;
  readonly messagesPerSecond: { readonly median: number; readonly rounds: readonly number[] };
}

interface Document {
  readonly throughput: readonly Row[];
  readonly goals: readonly { readonly text: string; readonly met: boolean }[];
  readonly missing: readonly unknown[];
}

const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('naru-bench-'));

test('a run is one JSON document: five rounds of each contestant, and every goal', async () => {
  const before = leftovers();
  const chosen = ['raw-socket-batched', 'naru-memory', 'naru-unix-sendMany'].flatMap((id) => ['--only', id]);
  const { stdout, stderr } = await run(process.execPath, [
    program,
    'mailbox',
    '--seconds',
    '0.02',
    '--json',
    ...chosen,
  ]);
  const { throughput, goals, missing } = JSON.parse(stdout) as Document;
  expect(missing).toEqual([]);
  expect(throughput.map(({ id }) => id)).toEqual([
    'raw-socket-batched',
    'naru-memory-sendMany-for-await',
    'naru-memory-sendMany-batches',
    'naru-unix-sendMany-batches',
  ]);
  for (const { messagesPerSecond } of throughput) {
    expect(messagesPerSecond.rounds).toHaveLength(5);
    expect(messagesPerSecond.median).toBeGreaterThan(0);
  }
  expect(goals.length).toBeGreaterThan(3);
  expect(stderr).toBe('');
  expect(leftovers()).toEqual(before);
}, 60_000);
