// The short form of `npm run torture`: a few seconds of each mode with a fixed seed, judged by the same rules; and ten thousand
// deaths (in CI a few hundred) after which the mailbox holds as much as ever.

import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { manyDeaths } from './many-deaths.fixture.ts';
import { TORTURE_MODES, torture } from './torture.fixture.ts';

test.each(TORTURE_MODES)(
  '%s: killed and stopped at random, nothing happens that must not',
  { timeout: 60_000 },
  async (mode) => {
    const report = await torture({ mode, seed: 7, seconds: 2.5, deaths: 1_000 });
    expect(report.violations).toEqual([]);
    expect(report.received).toBeGreaterThan(0);
    rmSync(report.folder, { recursive: true });
  },
);

test.each(TORTURE_MODES)(
  '%s: hundreds of deaths with messages in hand leave the capacity as it was',
  { timeout: 60_000 },
  async (mode) => {
    expect(await manyDeaths(mode, 300, 7)).toEqual([]);
  },
);
