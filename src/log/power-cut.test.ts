// A loss of power, or a kill, at any moment: what was confirmed is there, nothing comes from nowhere, no hole, no torn batch. On a
// simulated disk that drops, keeps, tears and trashes what was not synced. And the proof that this harness notices a missing sync.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { settled, SimClock } from './clock.fixture.ts';
import { optionsFor } from './filled.fixture.ts';
import { Log } from './index.ts';
import { longScript, Model, type Step } from './model.fixture.ts';
import { seeded, SimDisk, SimError } from './sim-disk.fixture.ts';

/** Runs a script until the power goes off at the n-th operation; `undefined` when it ends before. */
async function runUntil(
  disk: SimDisk,
  model: Model,
  steps: readonly Step[],
  operation: number,
): Promise<boolean> {
  const isCut = new Promise<boolean>((resolve) => {
    disk.faults.after = () => {
      if (disk.operations < operation) return;
      disk.isOff = true;
      resolve(true);
    };
  });
  const isDone = model.run(disk, steps).then(async () => {
    await settled();
    return false;
  });
  return Promise.race([isCut, isDone]);
}

interface Crash {
  readonly how: 'power' | 'kill';
  readonly seed: number;
  readonly prepare?: (disk: SimDisk) => void;
}

/** One crash at one operation. @returns what is wrong, and whether the script got that far */
async function crashAt(
  steps: readonly Step[],
  operation: number,
  crash: Crash,
): Promise<[string[], boolean]> {
  const disk = new SimDisk();
  crash.prepare?.(disk);
  const model = new Model(crash.seed);
  const isCut = await runUntil(disk, model, steps, operation);
  const left = crash.how === 'power' ? disk.cut(seeded(crash.seed * 7919 + operation)) : disk.kill();
  const wrong = await model.recover(left);
  if (wrong.length === 0) {
    // The log goes on: and what it has then is there after a clean stop too.
    await model.run(left, [...longScript(crash.seed + 1, 8), { do: 'commit', level: 'disk' }]);
    await model.log?.close();
    wrong.push(...(await model.recover(left)));
  }
  await model.log?.close();
  return [wrong.map((text) => `operation ${operation}, seed ${crash.seed}, ${crash.how}: ${text}`), isCut];
}

describe('at every operation of a script', () => {
  test.each(['power', 'kill'] as const)(
    'a loss by %s loses nothing that was confirmed',
    async (how) => {
      for (let seed = 1; seed <= 2; seed += 1) {
        const steps = longScript(seed, 25);
        for (let operation = 1; ; operation += 1) {
          const [wrong, isCut] = await crashAt(steps, operation, { how, seed });
          expect(wrong).toEqual([]);
          if (!isCut) break;
        }
      }
    },
    300_000,
  );
});

describe('a log that is being made', () => {
  test('an error at any operation, then a loss of power: the folder opens', async () => {
    for (let at = 1; at <= 40; at += 1) {
      for (let seed = 1; seed <= 20; seed += 1) {
        const disk = new SimDisk();
        disk.faults.before = (operation, name) => {
          if (disk.operations !== at) return;
          // What fsync(2) does: the pages are clean, and not on the disk.
          if (operation === 'sync') for (const file of disk.names) disk.forgetDirty(file);
          throw new SimError('EIO', name);
        };
        await Log.open(disk, optionsFor(new SimClock()))
          .then((log) => settled().then(() => log.close()))
          .catch(() => undefined);
        const log = await Log.open(disk.cut(seeded(seed * 7919 + at)), optionsFor(new SimClock(), seed));
        expect([at, seed, log.report.records]).toEqual([at, seed, 0]);
        await log.close();
      }
    }
  });
});

describe('at random operations of random scripts', () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('append' as const),
        count: fc.integer({ min: 1, max: 20 }),
        bytes: fc.constantFrom(1, 300, 3000, 80_000),
        level: fc.constantFrom('memory' as const, 'os' as const, 'disk' as const),
        streams: fc.integer({ min: 1, max: 3 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('remove' as const),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
        newest: fc.boolean(),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('commit' as const),
        level: fc.constantFrom('os' as const, 'disk' as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(30, 150) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('snapshot' as const, 'restart' as const) }) },
  );

  test('several losses one after the other lose nothing that was confirmed', async () => {
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 50 }),
      fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 0, max: 1_000_000 }),
      async (steps, cuts, seed) => {
        const model = new Model(seed);
        let disk = new SimDisk();
        for (const [round, cut] of cuts.entries()) {
          await runUntil(disk, model, steps, cut);
          const random = seeded(seed + round);
          disk = random() < 0.7 ? disk.cut(random) : disk.kill();
          expect(await model.recover(disk)).toEqual([]);
        }
        await model.log?.close();
      },
    );
    await fc.assert(property, {
      seed: Number(process.env['NARU_SEED'] ?? 20261129),
      numRuns: Number(process.env['NARU_RUNS'] ?? 120),
    });
  }, 300_000);
});

describe('the harness', () => {
  const mistakes: readonly [string, (disk: SimDisk) => void][] = [
    ['sync does nothing', (disk) => Object.assign(disk, { ignoresSync: true })],
    ['folders are not synced', (disk) => Object.assign(disk, { ignoresFolderSync: true })],
  ];

  test.each(mistakes)(
    'it notices when %s',
    async (_what, prepare) => {
      const found: string[] = [];
      for (let seed = 1; seed <= 3 && found.length === 0; seed += 1) {
        for (let operation = 20; operation < 300 && found.length === 0; operation += 1) {
          const [wrong] = await crashAt(longScript(seed, 40), operation, { how: 'power', seed, prepare });
          found.push(...wrong);
        }
      }
      expect(found.length).toBeGreaterThan(0);
    },
    60_000,
  );
});
