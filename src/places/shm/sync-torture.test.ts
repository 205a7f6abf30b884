// Random kills and stops of whoever has or wants a lock or a permit, for a few seconds; `npm run torture -- --mode lock` does it for as long as one
// likes.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { forget, SYNC_TORTURE_MODES, syncTorture } from './sync-torture.fixture.ts';
import { judge, waitsAfterDeaths } from './sync-torture-judge.fixture.ts';
import type { TortureLine } from './sync-torture-peer.fixture.ts';

const SECONDS = Number(process.env['NARU_TORTURE_SECONDS'] ?? 4);
const DEATHS = Number(process.env['NARU_TORTURE_DEATHS'] ?? 2_000);

test.each(SYNC_TORTURE_MODES)(
  'a %s survives random kills: never too many holders, nobody refused for nothing, the next one told',
  { timeout: 60_000 + SECONDS * 3_000 },
  async (mode) => {
    const seed = Date.now() % 100_000;
    const report = await syncTorture({ mode, seed, seconds: SECONDS, deaths: DEATHS });
    expect(report.violations, `seed ${seed}, logs in ${report.folder}`).toEqual([]);
    expect(report.deaths).toBeGreaterThan(0);
    expect(report.taken).toBeGreaterThan(10);
    // The best of them: the machine may be busy. `npm run torture` prints all.
    if (report.waitsMs.length > 0) expect(Math.min(...report.waitsMs)).toBeLessThan(100);
    forget(report);
  },
);

test('the judge finds two holders, a death that nobody is told of, and a refusal for nothing', () => {
  const folder = mkdtempSync('/dev/shm/naru-judge-');
  const take = (from: number, to: number, recovered = false): TortureLine => ({
    what: 'take',
    from,
    to,
    recovered,
  });
  const give = (at: number): TortureLine[] => [
    { what: 'give', at },
    { what: 'gave', at: at + 10 },
  ];
  const verdict = (most: number, ...logs: readonly (readonly TortureLine[])[]): string[] => {
    const histories = logs.map((lines, i) => {
      const log = join(folder, String(i));
      writeFileSync(log, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const hasDied = lines.length === 0 || lines.at(-1)?.what === 'take';
      return { log, bornAt: 0, killedAt: hasDied ? 900 : undefined, goneAt: undefined };
    });
    return [...judge(histories, most)].map((text) => text.replace(/^.*: | at .*| from .*/g, ''));
  };
  try {
    const busy = (from: number, to: number): TortureLine => ({ what: 'busy', from, to });
    const first = [take(100, 110), ...give(300)];
    expect(verdict(1, first, [take(200, 310), ...give(400)])).toEqual([]);
    expect(verdict(1, first, [take(200, 290), ...give(400)])).toEqual(['2 have it']);
    expect(verdict(2, first, [take(200, 290), ...give(400)])).toEqual([]);
    expect(verdict(1, [take(100, 110)], [take(800, 990, true), ...give(999)])).toEqual([]);
    expect(verdict(1, [take(100, 110)], [take(800, 990), ...give(999)])).toEqual(['nobody told']);
    expect(verdict(1, first, [busy(305, 340)])).toEqual([]);
    expect(verdict(1, first, [busy(330, 340)])).toEqual(['refused']);
    // Somebody may have died with it before it wrote its first line.
    expect(verdict(1, first, [busy(330, 340)], [])).toEqual([]);
    const lives = [[take(100, 110)], [take(800, 2_900, true), ...give(3_000)]].map((lines, i) => {
      const log = join(folder, `w${i}`);
      writeFileSync(log, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const killedAt = i === 0 ? 900 : undefined;
      return { log, bornAt: 0, killedAt, goneAt: killedAt };
    });
    expect(waitsAfterDeaths(lives, [])).toEqual([2]);
    expect(waitsAfterDeaths(lives, [{ from: 2_000, to: 2_100 }])).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
