// A process under torture: takes a lock or a permit in every way there is, works on what it guards, gives it back, and writes down when. Its
// log is a file, each line written before the next step: a SIGKILL takes at most the line that was not needed yet. Times are the machine's
// monotonic clock in microseconds, which all processes share.

import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { isNaruError } from '../../errors/index.ts';
import { openValue } from '../../open-state.ts';
import { openLock, openSemaphore } from '../../open-sync.ts';
import { randomOf } from '../../ring/random.fixture.ts';
import type { Lock, LockGuard } from '../../sync/lock.ts';
import type { Permit, Semaphore } from '../../sync/semaphore.ts';

/** What is fought for: a lock, permits, or the lock beside a value. */
export type SyncTortureMode = 'lock' | 'semaphore' | 'value-lock';

/** What is fought for, and how to let go of it in the end. */
export interface Tortured {
  readonly shared: Lock | Semaphore;
  close(): Promise<void>;
}

export interface TorturePeerOrders {
  readonly mode: SyncTortureMode;
  readonly permits: number;
  readonly seed: number;
  readonly log: string;
  /** What the lock guards: who is in it (0: nobody), and how often somebody was. */
  readonly guarded: string;
}

/** A line of a log. `take`: began and ended at, told. `busy`: a try or a wait that got nothing. `give`: began; `gave`: ended. */
export type TortureLine =
  | { readonly what: 'take'; readonly from: number; readonly to: number; readonly recovered: boolean }
  | { readonly what: 'busy'; readonly from: number; readonly to: number }
  | { readonly what: 'give' | 'gave'; readonly at: number }
  | { readonly what: 'wrong'; readonly text: string };

/** Microseconds of the machine's monotonic clock: exact enough, and small enough for a number. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1_000;
}

export async function openTortured(mode: SyncTortureMode, permits: number): Promise<Tortured> {
  if (mode === 'value-lock') {
    const value = await openValue('shm://torture', 'i32');
    return { shared: value.lock, close: () => value.close() };
  }
  const shared =
    mode === 'lock'
      ? await openLock('shm://torture')
      : await openSemaphore('shm://torture', { count: permits });
  return { shared, close: () => shared.close() };
}

class Victim {
  readonly #orders: TorturePeerOrders;
  readonly #random: (below: number) => number;
  readonly #log: number;
  readonly #guarded: number;
  readonly #state = new Float64Array(2);
  #isOver = false;

  constructor(orders: TorturePeerOrders) {
    this.#orders = orders;
    this.#random = randomOf(orders.seed);
    this.#log = openSync(orders.log, 'a');
    this.#guarded = openSync(orders.guarded, 'r+');
    process.on('SIGTERM', () => {
      this.#isOver = true;
    });
  }

  async run(): Promise<void> {
    const { mode, permits } = this.#orders;
    const tortured = await openTortured(mode, permits);
    const { shared } = tortured;
    writeSync(1, 'open\n');
    for (let round = 0; !this.#isOver; round += 1) {
      const held = await this.#take(shared);
      if (held !== undefined) {
        if (mode === 'semaphore') this.#pass(this.#random(2_000));
        else this.#work(held.recovered);
        this.#write({ what: 'give', at: now() });
        held.release();
        this.#write({ what: 'gave', at: now() });
      }
      if (round % 32 === 0) await turn();
    }
    await tortured.close();
    closeSync(this.#log);
  }

  async #take(shared: Lock | Semaphore): Promise<LockGuard | Permit | undefined> {
    const from = now();
    const held = await this.#attempt(shared);
    const to = now();
    if (held === undefined && this.#isOver) return undefined;
    this.#write(
      held === undefined ? { what: 'busy', from, to } : { what: 'take', from, to, recovered: held.recovered },
    );
    return held;
  }

  async #attempt(shared: Lock | Semaphore): Promise<LockGuard | Permit | undefined> {
    try {
      switch (this.#random(5)) {
        case 0:
          return shared.tryAcquire();
        case 1:
          return await shared.acquire();
        case 2:
          return await shared.acquire({ timeoutMs: this.#random(3) });
        case 3:
          return shared.acquireSync({ timeoutMs: 1 + this.#random(3) });
        default:
          return shared.acquireSync();
      }
    } catch (error) {
      if (isNaruError(error, 'NARU_TIMEOUT')) return undefined;
      // The signal that ends it came while its thread was blocked.
      if (isNaruError(error, 'NARU_INTERRUPTED')) this.#isOver = true;
      if (this.#isOver) return undefined;
      throw error;
    }
  }

  /** Signs in, passes some time, counts, signs out; a death in between leaves its name. */
  #work(recovered: boolean): void {
    const state = this.#state;
    readSync(this.#guarded, state, 0, 16, 0);
    if (state[0] !== 0 && !recovered)
      this.#write({ what: 'wrong', text: `${state[0]} is in it, or died there and nobody told` });
    state[0] = process.pid;
    writeSync(this.#guarded, state, 0, 8, 0);
    // Now and then long enough to be killed in it.
    this.#pass(this.#random(8) === 0 ? 400_000 : this.#random(2_000));
    readSync(this.#guarded, state, 0, 16, 0);
    if (state[0] !== process.pid) this.#write({ what: 'wrong', text: `${state[0]} came in, too` });
    state[0] = 0;
    state[1] = (state[1] as number) + 1;
    writeSync(this.#guarded, state, 0, 16, 0);
  }

  #pass(spins: number): void {
    for (let i = 0; i < spins; i += 1) this.#state[1] = (this.#state[1] as number) + 0;
  }

  #write(line: TortureLine): void {
    writeSync(this.#log, `${JSON.stringify(line)}\n`);
  }
}

if (process.argv[1]?.endsWith('sync-torture-peer.fixture.js') === true)
  await new Victim(JSON.parse(process.argv[2] ?? '') as TorturePeerOrders).run();
