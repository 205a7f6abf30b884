// npm run bench -- <scenario>: one JSON document with a row for each contestant and a line for each goal, its other outputs, and
// nothing left behind. The shape, not the speed.

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { tryNative } from '#naru/native/index';

const program = fileURLToPath(new URL('../bench/index.js', import.meta.url));
const run = promisify(execFile);

interface Series {
  readonly median: number;
  readonly rounds: readonly number[];
}

interface Document {
  readonly parts: readonly { readonly id: string; readonly unit: string }[];
  readonly throughput: readonly {
    readonly id: string;
    readonly part: string;
    readonly messagesPerSecond: Series;
  }[];
  readonly latency: readonly { readonly id: string; readonly part: string; readonly p50Us: Series }[];
  readonly goals: readonly { readonly text: string; readonly met: boolean; readonly measured?: number }[];
  readonly missing: readonly { readonly id: string; readonly reason: string }[];
}

const hasCompiler = ['cc', 'gcc', 'clang'].some((name) => spawnSync(name, ['--version']).status === 0);

/** A short run of some contestants. */
async function bench(scenario: string, ids: readonly string[], ...more: string[]): Promise<Document> {
  // Its own, as other runs of this machine have theirs.
  const temporary = mkdtempSync(join(tmpdir(), 'naru-test-'));
  const env = { ...process.env, TMPDIR: temporary };
  const chosen = ids.flatMap((id) => ['--only', id]);
  const options = ['--seconds', '0.02', '--quick', '--json', ...chosen, ...more];
  const { stdout } = await run(process.execPath, [program, scenario, ...options], { env });
  const document = JSON.parse(stdout) as Document;
  for (const row of [...document.throughput, ...document.latency]) {
    const { median, rounds } = 'p50Us' in row ? row.p50Us : row.messagesPerSecond;
    expect(rounds, row.id).toHaveLength(5);
    expect(median, row.id).toBeGreaterThan(0);
    expect(document.parts.map(({ id }) => id)).toContain(row.part);
  }
  expect(readdirSync(temporary).filter((name) => name.startsWith('naru-bench-'))).toEqual([]);
  rmSync(temporary, { recursive: true });
  return document;
}

test('a run is one JSON document: five rounds of each contestant, and every goal', async () => {
  const ids = ['raw-socket-batched', 'naru-memory', 'naru-unix-sendMany'];
  const { throughput, goals, missing } = await bench('mailbox', ids);
  expect(missing).toEqual([]);
  expect(throughput.map(({ id }) => id)).toEqual([
    'raw-socket-batched',
    'naru-memory-sendMany-for-await',
    'naru-memory-sendMany-batches',
    'naru-unix-sendMany-batches',
  ]);
  expect(goals.length).toBeGreaterThan(3);
}, 60_000);

test('an unknown scenario or option is a usage error that names what there is', () => {
  const { status, stderr } = spawnSync(process.execPath, [program, 'nothing'], { encoding: 'utf8' });
  expect(status).toBe(2);
  for (const name of ['mailbox', 'ring', 'wake', 'large', 'fan', 'log', 'state'])
    expect(stderr).toContain(`\n  ${name} `);
});

test('log: every level is confirmed, opened again and read back', async () => {
  const ids = [
    'node-fs-128',
    'naru-log-memory-128',
    'naru-log-os-128',
    'naru-log-disk-128',
    'naru-log-drain',
  ];
  const { throughput, goals, missing } = await bench('log', ids);
  expect(missing).toEqual([]);
  expect(throughput.map(({ id }) => id)).toEqual(ids);
  expect(goals).toHaveLength(11);
}, 120_000);

describe.skipIf(tryNative() === undefined || !hasCompiler)(
  'scenarios that need shared memory and a C compiler',
  () => {
    // Contestants that spin are left out: two of them on a machine with other work take turns of the scheduler's length.
    test('state: the lock alone, and in two processes', async () => {
      const { latency, throughput, missing } = await bench('state', ['naru-lock', 'bare-swaps']);
      expect(missing).toEqual([]);
      expect(latency.map(({ id }) => id)).toEqual(['naru-lock-alone', 'bare-swaps']);
      expect(throughput.map(({ id }) => id)).toEqual(['naru-lock-two']);
    }, 60_000);

    test("state: a Manager's map, used by two processes", async () => {
      const { throughput, goals, missing } = await bench('state', ['naru-manager']);
      expect(missing).toEqual([]);
      expect(throughput.map(({ id }) => id)).toEqual(['naru-manager-get-many', 'naru-manager-get-one']);
      expect(goals.map(({ text }) => text)).toContain("gets from a Manager, against Python's Manager dict");
    }, 60_000);

    test('ring: the kernel’s queues and the public class; the report is one page that loads nothing', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'naru-report-'));
      try {
        const page = join(folder, 'report.html');
        const ids = ['system-v', 'posix-mq', 'c-pipe', 'c-seqpacket', 'naru-shm-try'];
        const { throughput, latency, goals, missing } = await bench('ring', ids, '--report', page);
        expect(missing).toEqual([]);
        expect(throughput.map(({ id }) => id)).toEqual(ids.slice(0, 4));
        expect(latency.map(({ id }) => id)).toEqual(['naru-shm-try']);
        expect(goals).toHaveLength(7);
        const html = readFileSync(page, 'utf8');
        expect(html).not.toMatch(/(?:src|href)=|@import|url\(/);
        expect(html.match(/<svg /g)).toHaveLength(2);
        expect(html.match(/<table>/g)).toHaveLength(3);
        expect(html).toContain('prefers-color-scheme: dark');
      } finally {
        rmSync(folder, { recursive: true });
      }
    }, 120_000);

    test('wake: every contestant plays back what it gets', async () => {
      const { latency, goals, missing } = await bench('wake', []);
      expect(missing).toEqual([]);
      expect(latency).toHaveLength(6);
      expect(goals.every(({ measured }) => measured !== undefined)).toBe(true);
    }, 120_000);

    test('large: what this version cannot do is missing with its reason, the rest runs', async () => {
      const ids = ['naru-shm-copy-whole-64k', 'c-memcpy-ends-64k', 'c-pipe-whole-64k'];
      const { throughput, missing } = await bench('large', [...ids, 'view-ends-64k']);
      for (const { id } of missing) expect(id).toContain('-view-');
      const ran = throughput.map(({ id }) => id);
      for (const id of ids) expect(ran).toContain(id);
    }, 120_000);

    test('fan: two producers and one consumer get every message through', async () => {
      const { throughput, missing } = await bench('fan', ['one-2-1']);
      expect(missing).toEqual([]);
      expect(throughput.map(({ id }) => id)).toEqual(['naru-fan-one-2-1']);
    }, 120_000);
  },
);

test('the broker passes messages between raw clients, each once and in order, through one queue and through ten', async () => {
  const { throughput, latency, goals } = await bench('broker', ['naru-broker']);
  expect(throughput.map(({ id }) => id)).toEqual([
    'naru-broker-transient-128',
    'naru-broker-transient-1024',
    'naru-broker-crowd-128',
    'naru-broker-durable-128',
  ]);
  expect(latency.map(({ id }) => id)).toEqual(['naru-broker-latency-128']);
  expect(goals).toHaveLength(8);
}, 60_000);
