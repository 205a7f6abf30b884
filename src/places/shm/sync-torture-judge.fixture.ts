// The judgement of what processes under torture wrote down: never more holders than there may be, nobody refused while it was free, the one after
// a death is told; and how long that one waited.

import { readFileSync } from 'node:fs';
import type { TortureLine } from './sync-torture-peer.fixture.ts';

/** A wait that got nothing may have seen what a microsecond's clock cannot tell apart. */
const CLOCK_US = 5;

/** What is known of one process's life. */
export interface History {
  readonly log: string;
  readonly bornAt: number;
  /** When it was killed; undefined when it left by itself. */
  killedAt: number | undefined;
  /** When the kernel said that it was dead: nobody can prove it earlier. */
  goneAt: number | undefined;
}

/** A stretch of time, in microseconds. */
export interface Span {
  readonly from: number;
  readonly to: number;
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

export function linesOf(log: string): TortureLine[] {
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

/** What the killed may have had and did not live to write down; of some it is all they ever did. */
function unwritten(lives: readonly History[]): { earliest: number; to: number }[] {
  return lives.flatMap(({ log, bornAt, killedAt }) => {
    const last = linesOf(log).at(-1);
    if (killedAt === undefined || last?.what === 'wrong') return [];
    const earliest = last === undefined ? bornAt : 'to' in last ? last.to : last.at;
    return [{ earliest, to: killedAt }];
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

/**
 * From each death in it, while somebody waited, until somebody else had it, in milliseconds; 0 when that was before we had heard of the death.
 * Where anybody was stopped meanwhile nothing can be said.
 */
export function waitsAfterDeaths(lives: readonly History[], stops: readonly Span[]): number[] {
  const logs = lives.map(({ log, killedAt, goneAt }) => ({ lines: linesOf(log), killedAt, goneAt }));
  const holds = logs.flatMap(({ lines, killedAt, goneAt }) =>
    holdsOf(lines, killedAt).map((hold) => ({ ...hold, goneAt })),
  );
  holds.sort((a, b) => a.from - b.from);
  const attempts = logs.flatMap(({ lines }) => lines).filter((line) => 'from' in line);
  const overlaps = (from: number, to: number) => (span: Span) => span.from <= to && span.to >= from;
  return holds.flatMap((hold, i) => {
    const next = holds[i + 1];
    if (!hold.isDeath || next === undefined) return [];
    const isAwaited = attempts.some(overlaps(hold.to, hold.to));
    const isUnsure = stops.some(overlaps(hold.to, next.from));
    if (!isAwaited || isUnsure) return [];
    return [Math.max(0, next.from - (hold.goneAt ?? hold.to)) / 1_000];
  });
}
