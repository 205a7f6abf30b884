// What only shows after many repetitions: ten thousand handles opened and closed leave nothing behind, ten thousand receives
// aborted while messages arrive lose none.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { allCapabilities, open } from 'naru';
import { runConformance } from 'naru/conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync('/dev/shm/naru-endurance-');
  process.env['NARU_RUNTIME_DIR'] = folder;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const URLS: Readonly<Record<string, (name: string) => string>> = {
  memory: (name) => `memory://${name}`,
  shm: (name) => `shm://${name}`,
  unix: (name) => `unix://${folder}/${name}.sock`,
  tcp: () => 'tcp://127.0.0.1:0?listen',
};

/** Everything a process can leak, counted. */
function holdings(): Record<string, number> {
  const resources: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1;
  return {
    ...resources,
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    exitListeners: process.listenerCount('exit') + process.listenerCount('beforeExit'),
    signalListeners: process.listenerCount('SIGINT') + process.listenerCount('SIGTERM'),
  };
}

/** What there is more of than before. Less is no leak: some things close a turn after their handle. */
function grown(before: Record<string, number>, after: Record<string, number>): string[] {
  return Object.entries(after)
    .filter(([name, count]) => count > (before[name] ?? 0) && !['Timeout', 'Immediate'].includes(name))
    .map(([name, count]) => `${name}: ${before[name] ?? 0} → ${count}`);
}

async function cycle(url: string): Promise<void> {
  const mailbox = await open(url, { codec: 'bytes', role: 'both' });
  await mailbox.send(new Uint8Array(8));
  await mailbox.receive();
  await mailbox.close();
}

/** A second handle to a mailbox that stays: the way most handles come and go. */
async function visit(address: string): Promise<void> {
  const visitor = await open(address, { codec: 'bytes', role: 'producer' });
  await visitor.close();
}

describe.each(Object.keys(URLS))('%s', (place) => {
  const url = URLS[place] as (name: string) => string;

  test('2,500 open/close cycles leave no descriptor, thread, timer or listener', {
    timeout: 120_000,
  }, async () => {
    for (let i = 0; i < 50; i += 1) await cycle(url('cycles'));
    const before = holdings();
    for (let i = 0; i < 1_250; i += 1) await cycle(url('cycles'));
    const host = await open(url('cycles'), { codec: 'bytes', role: 'consumer', flushMs: 0 });
    for (let i = 0; i < 1_250; i += 1) await visit(host.address);
    await host.close();
    await expect.poll(() => grown(before, holdings()), { timeout: 10_000 }).toEqual([]);
  });

  test('10,000 aborted receives while messages arrive lose none', { timeout: 120_000 }, async () => {
    const capabilities = (await allCapabilities()).find(
      (one) => one.scheme === place && one.mode === 'envelope',
    );
    if (capabilities === undefined) throw new Error(`no capabilities of ${place}`);
    const report = await runConformance({
      url,
      capabilities,
      only: ['abort.3'],
      stress: 1,
      caseTimeoutMs: 60_000,
      shapes: ['process'],
    });
    expect(report.results.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
  });
});
