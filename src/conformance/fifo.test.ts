// fifo:// against the suite, raw and with envelopes. Nothing may be left over: the last test looks.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Capabilities, Shape } from '../mailbox/capabilities.ts';
import { nativeProblem, tryNative } from '../native/index.ts';
import { fifo, fifoRaw } from '../places/fifo/capabilities.ts';
import { type ConformanceSkip, type ConformanceSuite, conformanceSuite } from './index.ts';
import { PIPE_SKIPS, SEVERAL_RAW_SKIPS } from './pipes.fixture.ts';

const UNLINKED = 'unlink(2) takes the name away; who has the FIFO open goes on with it';
const FORGOTTEN =
  'what lies in a FIFO is forgotten when the last one who has it open has gone: nobody "keep" holds it';
const hasAddon = tryNative() !== undefined;
const folder = mkdtempSync(join(tmpdir(), 'naru-fifo-'));
/** A frame of this length takes four bytes of what stays together; the capabilities speak of lines. */
const lengthRaw: Capabilities = { ...fifoRaw, limits: { ...fifoRaw.limits, maxMessageBytes: 4_092 } };

interface Variant {
  readonly name: string;
  readonly capabilities: Capabilities;
  readonly nobody?: 'keep';
  readonly shapes?: readonly Shape[];
  readonly skip: readonly ConformanceSkip[];
}

function suiteOf({ name: variant, capabilities, nobody, shapes, skip }: Variant): ConformanceSuite {
  const query = capabilities.mode === 'raw' ? 'frame=length' : 'format=envelope';
  return conformanceSuite({
    url: (name) => `fifo://${folder}/${variant}-${name}?${query}`,
    capabilities,
    ...(nobody === undefined ? {} : { open: { nobody } }),
    ...(shapes === undefined ? {} : { shapes }),
    small: { capacityBytes: 16_384 },
    skip: [
      ...PIPE_SKIPS,
      ...(capabilities.mode === 'raw' ? SEVERAL_RAW_SKIPS : []),
      ...skip,
      ...['life.9', 'life.18'].map((rule) => ({ rule, reason: UNLINKED })),
    ],
  });
}

/** Every handle holds the FIFO open, so that it keeps what a mailbox keeps. */
const KEPT: readonly ConformanceSkip[] = [
  { rule: 'nobody.3', reason: 'the consumer that leaves goes on holding the FIFO open: nobody "keep"' },
  { rule: 'nobody.6', reason: 'who holds the FIFO open counts as a reader' },
];

/** As it is when nothing is said. */
const PLAIN: readonly ConformanceSkip[] = [
  {
    rule: 'life.12',
    reason:
      'a producer’s seat is a lock on the end that writes, which cannot be opened before somebody reads',
  },
  ...['death.5', 'exit.5'].map((rule) => ({ rule, reason: FORGOTTEN })),
];

const suites = [
  suiteOf({ name: 'raw', capabilities: lengthRaw, nobody: 'keep', skip: KEPT }),
  suiteOf({ name: 'envelope', capabilities: fifo, nobody: 'keep', skip: KEPT }),
  suiteOf({ name: 'plain', capabilities: lengthRaw, shapes: ['child'], skip: PLAIN }),
];
for (const { cases } of suites) {
  for (const { name, skip, run } of cases) test.skipIf(skip !== undefined || !hasAddon)(name, run);
}

test.skipIf(!hasAddon)(`no FIFO is left (${nativeProblem() ?? 'addon loaded'})`, () => {
  expect(readdirSync(folder)).toEqual([]);
});

afterAll(async () => {
  await Promise.all(suites.map((suite) => suite.close()));
  rmSync(folder, { recursive: true, force: true });
});
