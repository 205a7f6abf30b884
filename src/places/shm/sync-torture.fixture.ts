// Processes that fight for a lock or for permits while they are killed and stopped at random; in the end all of it must be there. Their histories
// are judged by sync-torture-judge.fixture.ts.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomOf } from '../../ring/random.fixture.ts';
import { cleanLeftovers, listSyncs } from './leftovers.ts';
import { type History, judge, linesOf, type Span, waitsAfterDeaths } from './sync-torture-judge.fixture.ts';
import {
  now,
  openTortured,
  type SyncTortureMode,
  type Tortured,
  type TorturePeerOrders,
} from './sync-torture-peer.fixture.ts';

const PEER = fileURLToPath(new URL('./sync-torture-peer.fixture.js', import.meta.url));
export const SYNC_TORTURE_MODES: readonly SyncTortureMode[] = ['lock', 'semaphore', 'value-lock'];
const PERMITS = 2;

export interface SyncTortureOptions {
  readonly mode: SyncTortureMode;
  readonly seed: number;
  readonly seconds: number;
  /** Ends after so many. */
  readonly deaths: number;
  readonly processes?: number;
}

export interface SyncTortureReport {
  readonly deaths: number;
  readonly stops: number;
  readonly taken: number;
  readonly recovered: number;
  /** Of each death in a lock that somebody waited for: from when it was known until the next one had it, in milliseconds. Empty for semaphores. */
  readonly waitsMs: readonly number[];
  readonly violations: readonly string[];
  /** Where the logs are. */
  readonly folder: string;
}

interface Life extends History {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

export async function syncTorture(options: SyncTortureOptions): Promise<SyncTortureReport> {
  const { mode, seed, processes = 4 } = options;
  const folder = mkdtempSync('/dev/shm/naru-sync-torture-');
  const before = process.env['NARU_RUNTIME_DIR'];
  process.env['NARU_RUNTIME_DIR'] = join(folder, 'run');
  const random = randomOf(seed);
  const guarded = join(folder, 'guarded');
  writeFileSync(guarded, new Float64Array(2));
  const keeper = await openTortured(mode, PERMITS);
  const lives: Life[] = [];
  let born = 0;
  const bear = (): Life => {
    born += 1;
    const log = join(folder, `log-${born}`);
    writeFileSync(log, '');
    const life = start({ mode, permits: PERMITS, seed: seed * 1_000 + born, log, guarded });
    lives.push(life);
    return life;
  };
  const living = Array.from({ length: processes }, bear);
  const stops: Span[] = [];
  let deaths = 0;
  try {
    await allAtWork(living);
    const end = performance.now() + options.seconds * 1_000;
    while (performance.now() < end && deaths < options.deaths) {
      await pause(2 + random(60));
      const at = victimOf(living, keeper.shared, random);
      if (at === undefined) continue;
      const life = living[at] as Life;
      if (random(4) === 0) {
        const from = now();
        life.child.kill('SIGSTOP');
        await pause(random(150));
        life.child.kill('SIGCONT');
        stops.push({ from, to: now() });
        continue;
      }
      life.killedAt = now();
      life.child.kill('SIGKILL');
      deaths += 1;
      await life.ended;
      living[at] = bear();
    }
    for (const { child } of living) child.kill('SIGTERM');
    await Promise.all(living.map(({ ended }) => ended));
    const violations = [...judge(lives, mode === 'semaphore' ? PERMITS : 1)];
    violations.push(...(await leftOver(keeper.shared)));
    const lines = lives.flatMap(({ log }) => linesOf(log)).filter(({ what }) => what === 'take');
    const recovered = lines.filter((line) => line.what === 'take' && line.recovered).length;
    const waitsMs = mode === 'semaphore' ? [] : waitsAfterDeaths(lives, stops);
    return { deaths, stops: stops.length, taken: lines.length, recovered, waitsMs, violations, folder };
  } finally {
    for (const { child } of living) child.kill('SIGKILL');
    await keeper.close();
    cleanLeftovers();
    if (before === undefined) delete process.env['NARU_RUNTIME_DIR'];
    else process.env['NARU_RUNTIME_DIR'] = before;
  }
}

/** Removes what a round without violations left. */
export function forget({ folder }: SyncTortureReport): void {
  rmSync(folder, { recursive: true });
}

/** The clock starts when all have begun: on a busy machine that takes its time. */
async function allAtWork(living: readonly Life[]): Promise<void> {
  const end = performance.now() + 30_000;
  while (living.some(({ log }) => statSync(log).size === 0) && performance.now() < end) await pause(10);
}

/**
 * Mostly who has the lock at this moment, else somebody who is at work, now and then anybody: those who begin, too.
 * @returns its place among those who live; undefined: too few are at work yet
 */
function victimOf(
  living: readonly Life[],
  shared: Tortured['shared'],
  random: (below: number) => number,
): number | undefined {
  const anybody = random(living.length);
  if (random(8) === 0) return anybody;
  const working = [...living.keys()].filter((at) => statSync((living[at] as Life).log).size > 0);
  if (working.length < 2) return undefined;
  if ('holder' in shared && random(4) > 0) {
    const { holder } = shared;
    const at = living.findIndex(({ child }) => holder?.startsWith(`${child.pid}.`) === true);
    if (at >= 0) return at;
  }
  return working[anybody % working.length];
}

function start(orders: TorturePeerOrders): Life {
  const child = spawn(process.execPath, [PEER, JSON.stringify(orders)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => resolve());
  });
  const life: Life = {
    child,
    log: orders.log,
    bornAt: now(),
    ended,
    killedAt: undefined,
    goneAt: undefined,
  };
  child.on('exit', () => {
    life.goneAt = now();
  });
  return life;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** With nobody left but us, all of it must be there, and be ours. */
async function leftOver(keeper: Tortured['shared']): Promise<string[]> {
  const wrong: string[] = [];
  const held = [];
  const expected = 'value' in keeper ? PERMITS : 1;
  for (let i = 0; i < expected; i += 1) {
    try {
      held.push(await keeper.acquire({ timeoutMs: 5_000 }));
    } catch (error) {
      wrong.push(`in the end: ${(error as Error).message}`);
    }
  }
  if ('value' in keeper && keeper.tryAcquire() !== undefined)
    wrong.push('in the end there is a permit too many');
  for (const one of held) one.release();
  // Who died while everybody left is found at the keeper's next look around.
  const others = (): string[] =>
    listSyncs().flatMap((one) =>
      one.handles.slice(1).map((two) => `${two.identity} ${two.isAlive ? 'lives' : 'is dead'}`),
    );
  const end = performance.now() + 3_000;
  while (others().length > 0 && performance.now() < end) await pause(10);
  wrong.push(...others().map((one) => `in the end there still is ${one}`));
  return wrong;
}
