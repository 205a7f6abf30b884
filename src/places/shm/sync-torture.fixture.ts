// Processes that fight for a lock or for permits while they are killed and stopped at random, and the judgement of their histories: never more
// holders than there may be, nobody refused while it was free, the one after a death is told, and in the end all of it is there.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openLock, openSemaphore } from '../../open-sync.ts';
import { randomOf } from '../../ring/random.fixture.ts';
import { cleanLeftovers, listSyncs } from './leftovers.ts';
import { now, type TortureLine, type TorturePeerOrders } from './sync-torture-peer.fixture.ts';

const PEER = fileURLToPath(new URL('./sync-torture-peer.fixture.js', import.meta.url));
export type SyncTortureMode = 'lock' | 'semaphore';
export const SYNC_TORTURE_MODES: readonly SyncTortureMode[] = ['lock', 'semaphore'];
const PERMITS = 2;
/** A wait that got nothing may have seen what a microsecond's clock cannot tell apart. */
const CLOCK_US = 5;

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
  readonly violations: readonly string[];
  /** Where the logs are. */
  readonly folder: string;
}

/** What is known of one process's life. */
export interface History {
  readonly log: string;
  /** When it was killed; undefined when it left by itself. */
  killedAt: number | undefined;
}

interface Life extends History {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

/** A time for which somebody had it: surely from `from` to `to`, and at most from `earliest` to `latest`. */
interface Hold {
  readonly from: number;
  readonly to: number;
  readonly earliest: number;
  readonly latest: number;
  readonly recovered: boolean;
  /** Its holder died with it. */
  readonly isDeath: boolean;
}

export async function syncTorture(options: SyncTortureOptions): Promise<SyncTortureReport> {
  const { mode, seed, processes = 4 } = options;
  const folder = mkdtempSync('/dev/shm/naru-sync-torture-');
  const before = process.env['NARU_RUNTIME_DIR'];
  process.env['NARU_RUNTIME_DIR'] = join(folder, 'run');
  const random = randomOf(seed);
  const guarded = join(folder, 'guarded');
  writeFileSync(guarded, new Float64Array(2));
  const keeper =
    mode === 'lock'
      ? await openLock('shm://torture')
      : await openSemaphore('shm://torture', { count: PERMITS });
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
  const end = performance.now() + options.seconds * 1_000;
  let [deaths, stops] = [0, 0];
  try {
    while (performance.now() < end && deaths < options.deaths) {
      await pause(2 + random(60));
      const at = random(living.length);
      const life = living[at] as Life;
      if (random(4) === 0) {
        stops += 1;
        life.child.kill('SIGSTOP');
        await pause(random(150));
        life.child.kill('SIGCONT');
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
    const violations = [...judge(lives, mode === 'lock' ? 1 : PERMITS)];
    violations.push(...(await leftOver(keeper)));
    const lines = lives.flatMap(({ log }) => linesOf(log)).filter(({ what }) => what === 'take');
    const recovered = lines.filter((line) => line.what === 'take' && line.recovered).length;
    return { deaths, stops, taken: lines.length, recovered, violations, folder };
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

function start(orders: TorturePeerOrders): Life {
  const child = spawn(process.execPath, [PEER, JSON.stringify(orders)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => resolve());
  });
  return { child, log: orders.log, ended, killedAt: undefined };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** With nobody left but us, all of it must be there, and be ours. */
async function leftOver(
  keeper: Awaited<ReturnType<typeof openLock | typeof openSemaphore>>,
): Promise<string[]> {
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

function linesOf(log: string): TortureLine[] {
  const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as TortureLine);
}

/** @param most  how many may have it  @returns what must not have happened */
export function* judge(lives: readonly History[], most: number): Generator<string> {
  const holds: Hold[] = [];
  for (const life of lives) {
    const lines = linesOf(life.log);
    holds.push(...holdsOf(lines, life.killedAt));
    for (const line of lines) {
      if (line.what === 'wrong') yield `${life.log}: ${line.text}`;
    }
  }
  holds.sort((a, b) => a.from - b.from);
  yield* tooMany(holds, most);
  if (most > 1) return;
  yield* untold(holds);
  yield* refusedForNothing(lives, holds);
}

function holdsOf(lines: readonly TortureLine[], killedAt: number | undefined): Hold[] {
  return lines.flatMap((line, i) => {
    if (line.what !== 'take') return [];
    const rest = lines.slice(i + 1, i + 4);
    const give = rest.find(({ what }) => what === 'give') as { at: number } | undefined;
    const gave = rest.find(({ what }) => what === 'gave') as { at: number } | undefined;
    return {
      from: line.to,
      to: give?.at ?? killedAt ?? line.to,
      earliest: line.from,
      latest: gave?.at ?? Number.POSITIVE_INFINITY,
      recovered: line.recovered,
      isDeath: give === undefined,
    };
  });
}

/** At no moment do more hold it for sure than may. */
function* tooMany(holds: readonly Hold[], most: number): Generator<string> {
  const inside: Hold[] = [];
  for (const hold of holds) {
    for (let i = inside.length - 1; i >= 0; i -= 1)
      if ((inside[i] as Hold).to < hold.from) inside.splice(i, 1);
    inside.push(hold);
    if (inside.length > most) yield `${inside.length} have it at ${hold.from}, of ${most}`;
  }
}

/** Whoever is next after somebody died in it is told. */
function* untold(holds: readonly Hold[]): Generator<string> {
  for (const [i, hold] of holds.entries()) {
    const next = holds[i + 1];
    if (hold.isDeath && next !== undefined && !next.recovered)
      yield `nobody told at ${next.from} of the death after ${hold.from}`;
  }
}

/** Whoever was refused a lock was so while somebody had it, perhaps: at some moment of its attempt. */
function* refusedForNothing(lives: readonly History[], holds: readonly Hold[]): Generator<string> {
  const perhaps = [...holds.filter(({ isDeath }) => isDeath), ...unwritten(lives)].map((one) => ({
    earliest: one.earliest,
    // Nobody's death kept it longer than until somebody else had it.
    latest: holds[firstAfter(holds, one.to)]?.from ?? Number.POSITIVE_INFINITY,
  }));
  const overlaps = (
    one: { earliest: number; latest: number } | undefined,
    from: number,
    to: number,
  ): boolean => one !== undefined && one.earliest <= to + CLOCK_US && one.latest >= from - CLOCK_US;
  for (const { log } of lives) {
    for (const line of linesOf(log)) {
      if (line.what !== 'busy') continue;
      const at = firstAfter(holds, line.from);
      const near = [at - 2, at - 1, at, at + 1].map((i) => holds[i]);
      if ([...near, ...perhaps].some((one) => overlaps(one, line.from, line.to))) continue;
      yield `${log}: refused from ${line.from} to ${line.to} though it was free`;
    }
  }
}

/** What the killed may have had and did not live to write down. */
function unwritten(lives: readonly History[]): { earliest: number; to: number }[] {
  return lives.flatMap(({ log, killedAt }) => {
    const last = linesOf(log).at(-1);
    if (killedAt === undefined || last === undefined || last.what === 'wrong') return [];
    return [{ earliest: 'to' in last ? last.to : last.at, to: killedAt }];
  });
}

function firstAfter(holds: readonly Hold[], time: number): number {
  let [low, high] = [0, holds.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((holds[middle] as Hold).from < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
