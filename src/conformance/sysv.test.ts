// sysv:// against the suite, raw and with envelopes. Nothing may be left in the kernel: the last test counts.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { SystemVQueue } from '../kernel/index.ts';
import type { Capabilities } from '../mailbox/capabilities.ts';
import { nativeProblem, tryNative } from '../native/index.ts';
import { sysv, sysvRaw } from '../places/sysv/capabilities.ts';
import { type ConformanceSuite, conformanceSuite } from './index.ts';
import { EMULATED, ENVELOPE_SKIPS, QUEUE_SKIPS } from './kernel-queues.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'naru-sysv-'));
process.env['NARU_RUNTIME_DIR'] = folder;
const hasAddon = tryNative() !== undefined;
const made = new Set<number>();

/** Removes what a failed case left. */
function remove(address: string): void {
  const key = /^sysv:\/\/(0x[0-9a-f]{8})/.exec(address)?.[1];
  if (key === undefined) return;
  made.add(Number(key) | 0);
  try {
    SystemVQueue.open({ key: Number(key), create: 'never' }).remove();
  } catch (error) {
    if (!isNaruError(error, 'NARU_NOT_FOUND') && !isNaruError(error, 'NARU_CLOSED')) throw error;
  }
}

function suiteOf(capabilities: Capabilities, emulated?: typeof EMULATED): ConformanceSuite {
  return conformanceSuite({
    ...emulated,
    url: (name) => `sysv://${name}?format=${capabilities.mode}`,
    capabilities,
    small: { capacityBytes: 16_384 },
    cleanup: (urls) => urls.forEach(remove),
    skip: [
      ...QUEUE_SKIPS,
      ...(capabilities.mode === 'envelope' ? ENVELOPE_SKIPS : []),
      { rule: 'life.4', reason: 'its capacities are more than kernel.msgmnb, which takes a privilege' },
    ],
  });
}

const suites = [suiteOf(sysvRaw), suiteOf(sysv), suiteOf(sysv, EMULATED)];
for (const { cases } of suites) {
  for (const { name, skip, run } of cases) test.skipIf(skip !== undefined || !hasAddon)(name, run);
}

test.skipIf(!hasAddon)(`no queue is left in the kernel (${nativeProblem() ?? 'addon loaded'})`, () => {
  const keys = readFileSync('/proc/sysvipc/msg', 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => Number(line.trim().split(/\s+/)[0]));
  expect(keys.filter((key) => made.has(key))).toEqual([]);
});

afterAll(async () => {
  await Promise.all(suites.map((suite) => suite.close()));
  rmSync(folder, { recursive: true, force: true });
});
