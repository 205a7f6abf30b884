// Histories of several processes that use one value or one map at the same time, and the check whether they are linearisable: whether the
// operations can be put in one order that keeps to real time and in which each answer is right. (Wing and Gong, with Lowe's memory.)

import { openMap, openValue, type SharedValue } from 'naru/state';

/** One operation on one register: a value, or a key of a map. Numbers; null = no entry. */
export interface Operation {
  readonly register: string;
  readonly act: 'set' | 'get' | 'cas' | 'add' | 'delete';
  readonly argument: number | null;
  /** Of cas: what was expected. */
  readonly expected: number | null;
  /** get: what it was; add: what was there before; cas and delete: 1 when done. */
  readonly answer: number | null;
  /** Nanoseconds of the machine's monotonic clock. */
  readonly from: number;
  readonly to: number;
}

/** What an operation does to a register; undefined: its answer is impossible then. */
function apply(
  state: number | null,
  { act, argument, expected, answer }: Operation,
): number | null | undefined {
  if (act === 'set') return argument;
  if (act === 'get') return answer === state ? state : undefined;
  if (act === 'add') return answer === state ? (state ?? 0) + (argument ?? 0) : undefined;
  if (act === 'delete') return (state !== null) === (answer === 1) ? null : undefined;
  const holds = state === expected;
  return holds === (answer === 1) ? (holds ? argument : state) : undefined;
}

/** @returns the register whose history cannot be put in order; undefined: all can */
export function findDisorder(operations: readonly Operation[], first: number | null): string | undefined {
  const registers = new Map<string, Operation[]>();
  for (const one of operations) registers.set(one.register, [...(registers.get(one.register) ?? []), one]);
  for (const [register, history] of registers) if (!isLinearisable(history, first)) return register;
  return undefined;
}

function isLinearisable(history: readonly Operation[], first: number | null): boolean {
  const ops = history.toSorted((a, b) => a.from - b.from);
  const done = new Uint8Array(ops.length);
  const seen = new Set<string>();
  /** States from which to go on: operations before `start` are done, those in `extra` too. */
  const stack: { start: number; extra: readonly number[]; state: number | null }[] = [
    { start: 0, extra: [], state: first },
  ];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (next.start === ops.length) return true;
    done.fill(0, next.start);
    for (const index of next.extra) done[index] = 1;
    let horizon = Number.POSITIVE_INFINITY;
    for (let index = next.start; index < ops.length; index += 1) {
      const op = ops[index] as Operation;
      if (op.from > horizon) break;
      if (done[index] === 1) continue;
      horizon = Math.min(horizon, op.to);
      const state = apply(next.state, op);
      if (state === undefined) continue;
      const extra = [...next.extra, index].toSorted((a, b) => a - b);
      let start = next.start;
      while (extra[0] === start) {
        extra.shift();
        start += 1;
      }
      const key = `${start}|${extra.join()}|${state}`;
      if (seen.has(key)) continue;
      seen.add(key);
      stack.push({ start, extra, state });
    }
  }
  return false;
}

const now = (): number => Number(process.hrtime.bigint());

/** Plays `count` random operations and says what came of them. @param url  of a value (…-value), or of a map */
export async function readHistory({
  url,
  id = 0,
  count = 0,
  seed: first = 1,
}: {
  readonly url: string;
  readonly id?: number;
  readonly count?: number;
  readonly seed?: number;
}): Promise<Operation[]> {
  const isValue = url.endsWith('-value');
  const value = isValue ? await openValue(url as 'shm://', 'i32') : undefined;
  const map = isValue ? undefined : await openMap(url as 'shm://x');
  const history: Operation[] = [];
  let seed = id * 7919 + first;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return (seed >>> 8) % below;
  };
  const record: Recorder = (register, act, argument, expected, run) => {
    const from = now();
    const answer = run();
    history.push({ register, act, argument, expected, answer, from, to: now() });
  };
  for (let n = 0; n < count; n += 1) {
    // Values that nobody else writes: a wrong one shows where it came from.
    const fresh = id * 1_000_000 + n;
    if (value !== undefined) playOnValue(value, record, random(4), fresh);
    else if (map !== undefined) playOnMap(map, record, `k${random(3)}`, random(5), fresh);
    if (n % 50 === 0) await new Promise(setImmediate);
  }
  await value?.close();
  await map?.close();
  return history;
}

type Recorder = (
  register: string,
  act: Operation['act'],
  argument: number | null,
  expected: number | null,
  run: () => number | null,
) => void;
type Value = SharedValue<'i32'>;
type Keyed = Awaited<ReturnType<typeof openMap<'shm://x'>>>;

function playOnValue(value: Value, record: Recorder, which: number, fresh: number): void {
  if (which === 0)
    record('value', 'set', fresh, null, () => {
      value.set(fresh);
      return null;
    });
  else if (which === 1) record('value', 'get', null, null, () => value.get());
  else if (which === 2) record('value', 'add', 3, null, () => value.add(3));
  else {
    const expected = value.get();
    record('value', 'cas', fresh, expected, () =>
      value.compareExchange(expected, fresh) === expected ? 1 : 0,
    );
  }
}

function playOnMap(map: Keyed, record: Recorder, key: string, which: number, fresh: number): void {
  if (which === 0)
    record(key, 'set', fresh, null, () => {
      map.setSync(key, fresh);
      return null;
    });
  else if (which < 3) record(key, 'get', null, null, () => (map.getSync(key) as number | undefined) ?? null);
  else if (which === 3) record(key, 'delete', null, null, () => (map.deleteSync(key) ? 1 : 0));
  else record(key, 'cas', fresh, null, () => (map.setSync(key, fresh, { ifAbsent: true }) ? 1 : 0));
}
