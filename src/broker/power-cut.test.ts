// The broker on a simulated disk that loses power, or is killed, at any operation: no confirmed message is lost, none comes from
// nowhere, none comes a second time without the mark. And the proof that this harness notices a missing sync.
// Longer: NARU_POWER_SEEDS (scripts), NARU_POWER_FIRST (the first seed).

import { describe, expect, test } from 'vitest';
import { seeded, SimDisk } from '../log/sim-disk.fixture.ts';
import { History, scriptOf, type Step } from './history.fixture.ts';
import { StoredLab } from './stored-lab.fixture.ts';

interface Crash {
  readonly how: 'power' | 'kill';
  readonly seed: number;
  readonly sync?: 'memory' | 'os' | 'disk';
  readonly isSafe?: (queue: string) => boolean;
  readonly prepare?: (disk: SimDisk) => void;
}

/** Runs a script until the n-th operation of the disk. @returns whether it came to that */
async function runUntil(
  disk: SimDisk,
  history: History,
  steps: readonly Step[],
  operation: number,
  sync: 'memory' | 'os' | 'disk',
): Promise<boolean> {
  const isCut = new Promise<boolean>((resolve) => {
    disk.faults.after = () => {
      if (disk.operations < operation) return;
      disk.isOff = true;
      resolve(true);
    };
  });
  const run = async (): Promise<boolean> => {
    const stored = await StoredLab.start(disk, { sync });
    await history.run(stored, steps, () => disk.isOff);
    return false;
  };
  return Promise.race([isCut, run()]);
}

/** One crash at one operation, and what is there afterwards. @returns what is wrong, and whether the script got that far */
async function crashAt(
  steps: readonly Step[],
  operation: number,
  crash: Crash,
): Promise<[string[], boolean]> {
  const { how, seed, sync = 'disk', isSafe, prepare } = crash;
  const disk = new SimDisk();
  prepare?.(disk);
  const history = new History(isSafe === undefined ? {} : { isSafe });
  const isCut = await runUntil(disk, history, steps, operation, sync);
  const left = how === 'power' ? disk.cut(seeded(seed * 7919 + operation)) : disk.kill();
  const after = await StoredLab.start(left, { sync });
  await history.check(after);
  const drained = await after.stop([]).then(() => StoredLab.start(left, { sync }));
  if (drained.report.messages > 0)
    history.wrong.push(`${drained.report.messages} messages after all were taken`);
  await drained.stop([]);
  return [history.wrong.map((text) => `operation ${operation}, seed ${seed}, ${how}: ${text}`), isCut];
}

const SEEDS = Number(process.env['NARU_POWER_SEEDS'] ?? 1);
const FIRST = Number(process.env['NARU_POWER_FIRST'] ?? 1);

describe('at every operation of a script', () => {
  test.each(['power', 'kill'] as const)(
    'a loss by %s loses nothing that was confirmed',
    async (how) => {
      for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
        const steps = scriptOf(seed, 40);
        for (let operation = 1; ; operation += 1) {
          const [wrong, isCut] = await crashAt(steps, operation, { how, seed });
          expect(wrong).toEqual([]);
          if (!isCut) break;
        }
      }
    },
    600_000,
  );

  test('at level os a kill loses nothing that was confirmed', async () => {
    const steps = scriptOf(FIRST, 40);
    for (let operation = 1; ; operation += 1) {
      const [wrong, isCut] = await crashAt(steps, operation, { how: 'kill', seed: FIRST, sync: 'os' });
      expect(wrong).toEqual([]);
      if (!isCut) break;
    }
  }, 600_000);
});

describe('what goes through a quorum queue', () => {
  test.each(['memory', 'os'] as const)(
    'at level %s a loss of power loses nothing that was confirmed',
    async (sync) => {
      const isSafe = (queue: string): boolean => queue === 'limited';
      const steps = scriptOf(FIRST, 40);
      for (let operation = 1; ; operation += 1) {
        const [wrong, isCut] = await crashAt(steps, operation, { how: 'power', seed: FIRST, sync, isSafe });
        expect(wrong).toEqual([]);
        if (!isCut) break;
      }
    },
    600_000,
  );
});

describe('over several restarts', () => {
  test.each(['power', 'kill'] as const)(
    'clean ones, then a loss by %s: what was delivered is marked',
    async (how) => {
      for (let seed = FIRST; seed < FIRST + SEEDS * 20; seed += 1) {
        const random = seeded(seed);
        const history = new History();
        let disk = new SimDisk();
        for (let stops = Math.floor(random() * 3); stops >= 0; stops -= 1) {
          const stored = await StoredLab.start(disk);
          await history.run(stored, scriptOf(seed * 31 + stops, 25));
          await history.stop(stored);
        }
        const last = await StoredLab.start(disk);
        // Deliveries alone write nothing: the broker must know that it ran.
        const steps = random() < 0.5 ? scriptOf(seed + 1, 15) : ONLY_GET;
        await history.run(last, steps);
        disk = how === 'power' ? disk.cut(random) : disk.kill();
        const after = await StoredLab.start(disk);
        await history.check(after);
        expect([seed, history.wrong]).toEqual([seed, []]);
        await after.stop([]);
      }
    },
    600_000,
  );
});

const ONLY_GET: readonly Step[] = [
  { do: 'get', queue: 'a', count: 3 },
  { do: 'get', queue: 'b', count: 3 },
  { do: 'get', queue: 'limited', count: 3 },
];

describe('the harness', () => {
  const mistakes: readonly [string, (disk: SimDisk) => void][] = [
    ['sync does nothing', (disk) => Object.assign(disk, { ignoresSync: true })],
    ['folders are not synced', (disk) => Object.assign(disk, { ignoresFolderSync: true })],
  ];

  test.each(mistakes)(
    'it notices when %s',
    async (_what, prepare) => {
      const found: unknown[] = [];
      for (let seed = 1; seed <= 3 && found.length === 0; seed += 1) {
        const steps = scriptOf(seed, 40);
        for (let operation = 20; operation < 400 && found.length === 0; operation += 1) {
          // What is left of such a disk may not even open: that is noticed too.
          const [wrong] = await crashAt(steps, operation, { how: 'power', seed, prepare }).catch(
            (error: unknown): [unknown[], boolean] => [[error], true],
          );
          found.push(...wrong);
        }
      }
      expect(found.length).toBeGreaterThan(0);
    },
    120_000,
  );
});
