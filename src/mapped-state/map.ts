// The driver of a map in mapped memory: the table, what a busy lock means (wait, and ask whether its holder lives), what a full table
// means (remove what has expired, count anew after a death), and waking those who watch.

import { NaruError } from '../errors/index.ts';
import { LockWord } from '../ring/lock-word.ts';
import type { MapCapabilities } from '../state/map-capabilities.ts';
import type {
  MapCondition,
  MapDriver,
  MapFacts,
  MapItem,
  MapSetOptions,
  MapVersion,
} from '../state/map-driver.ts';
import { SHARD, SHARD_BYTES, TABLE } from '../table/layout.ts';
import { ABSENT, ANY, type ShardLocks, Table, WROTE, type Wrote } from '../table/table.ts';
import { destroy, leave, type StatePart } from './attach.ts';
import { Health } from './health.ts';
import { isWhole } from '../mapped-ring/object-file.ts';
import { probeLock } from './probe.ts';

/** Attempts at a busy lock without and with giving the processor away, before it sleeps. */
const SPINS = 40;
const YIELDS = 60;
/** How long it sleeps, and after how many sleeps it asks whether the holder lives. */
const SLEEP_MS = 1;
const SLEEPS_BETWEEN_PROBES = 16;
/** A holder is at work for microseconds: whoever blocks a thread longer than this is stopped. */
const BLOCKED_MS_MAX = 5_000;
/** How often a watcher looks for itself: it finds what a writer changed and died before waking. */
const SAFETY_MS = 500;
/** Entries given at a time. */
const BATCH = 128;
const TAKES = ['busy', 'taken', 'recovered'] as const;

export class MappedMap implements MapDriver {
  readonly facts: MapFacts;
  readonly #part: StatePart;
  readonly #health: Health;
  readonly #table: Table;
  readonly #words: Int32Array;
  readonly #parkedAt: number;
  readonly #changesAt: number;
  readonly #watchers = new Set<(key: string | undefined) => void>();
  #pulse = 0;
  #watching: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(part: StatePart, capabilities: MapCapabilities) {
    const { object, request } = part;
    const { table } = object.memory.geometry;
    if (table === undefined) throw new Error('not a map');
    this.#part = part;
    this.#health = new Health(part);
    this.#words = object.memory.words;
    this.#parkedAt = table.headerAt + TABLE.parked;
    this.#changesAt = table.headerAt + TABLE.changes;
    this.#table = new Table(object.buffer, table, {
      locks: shardLocks(part),
      now: () => Date.now(),
      failpoint: part.edges.failpoint,
      needsFence: process.arch !== 'x64',
      where: request.text,
    });
    this.facts = {
      capabilities,
      text: request.text,
      address: request.address,
      maxKeyBytes: table.maxKeyBytes,
      maxValueBytes: table.maxValueBytes,
      created: part.created,
    };
  }

  get(key: string): MapItem | undefined {
    if (!this.#health.isFresh) this.#health.look();
    return this.#table.get(key);
  }

  set(key: string, value: Uint8Array, options: MapSetOptions): boolean | Promise<boolean> {
    const [only, expiresMs] = [conditionOf(options.only), expiryOf(options.ttlMs)];
    const attempt = (): Wrote => this.#set(key, value, only, expiresMs);
    const wrote = attempt();
    return wrote === WROTE.busy ? this.#answerLater(attempt, key) : this.#answer(wrote, key);
  }

  setSync(key: string, value: Uint8Array, options: MapSetOptions): boolean {
    const [only, expiresMs] = [conditionOf(options.only), expiryOf(options.ttlMs)];
    let wrote = this.#set(key, value, only, expiresMs);
    if (wrote === WROTE.busy) wrote = this.#block(() => this.#set(key, value, only, expiresMs));
    return this.#answer(wrote, key);
  }

  delete(key: string, version: MapVersion | undefined): boolean | Promise<boolean> {
    const attempt = (): Wrote => this.#delete(key, version);
    const wrote = attempt();
    return wrote === WROTE.busy ? this.#answerLater(attempt, key) : this.#answer(wrote, key);
  }

  deleteSync(key: string, version: MapVersion | undefined): boolean {
    return this.#answer(
      this.#block(() => this.#delete(key, version)),
      key,
    );
  }

  *entries(): Generator<readonly MapItem[]> {
    let batch: MapItem[] = [];
    for (let bucket = 0; bucket < this.#table.geometry.buckets; bucket += 1) {
      if (!this.#health.isFresh) this.#health.look();
      for (const item of this.#table.bucket(bucket)) batch.push(item);
      if (batch.length < BATCH) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  async clear(): Promise<void> {
    for (let shard = 0; shard < this.#table.geometry.shards; shard += 1) {
      const attempt = (): Wrote => {
        if (!this.#health.isFresh) this.#health.look();
        return this.#table.removeFrom(shard, false) ? WROTE.done : WROTE.busy;
      };
      if (attempt() === WROTE.busy) await this.#later(attempt);
    }
    this.#wakeWatchers();
  }

  size(): number {
    if (!this.#health.isFresh) this.#health.look();
    if (!this.#table.hasExpiring) return this.#table.count();
    let count = 0;
    for (const batch of this.entries()) count += batch.length;
    return count;
  }

  watch(changed: (key: string | undefined) => void): () => void {
    this.#health.look();
    if (this.#watchers.size === 0) this.#pulse = this.#table.pulse();
    this.#watchers.add(changed);
    this.#watching ??= this.#watch().finally(() => {
      this.#watching = undefined;
    });
    return () => {
      this.#watchers.delete(changed);
      if (this.#watchers.size === 0) this.#rouse();
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async unlink(): Promise<void> {
    this.#health.look();
    await destroy(this.#part);
    this.#rouse();
  }

  async #close(): Promise<void> {
    this.#health.close();
    this.#watchers.clear();
    this.#rouse();
    // No thread may sleep on memory that is not there any more.
    await this.#watching;
    await leave(this.#part);
  }

  #set(key: string, value: Uint8Array, only: number, expiresMs: number): Wrote {
    if (!this.#health.isFresh) this.#health.look();
    let wrote = this.#table.set(key, value, only, expiresMs);
    if (wrote === WROTE.full)
      wrote = this.#makeRoom() ? this.#table.set(key, value, only, expiresMs) : WROTE.busy;
    if (wrote === WROTE.done) this.#wakeWatchers();
    return wrote;
  }

  #delete(key: string, version: MapVersion | undefined): Wrote {
    if (!this.#health.isFresh) this.#health.look();
    const wrote = this.#table.delete(key, version === undefined ? ANY : versionOf(version));
    if (wrote === WROTE.done) this.#wakeWatchers();
    return wrote;
  }

  /** Frees what has expired, and finds out how many entries there are after a death. @returns false when a lock is busy */
  #makeRoom(): boolean {
    const table = this.#table;
    if (table.hasExpiring)
      for (let shard = 0; shard < table.geometry.shards; shard += 1)
        if (!table.removeFrom(shard, true)) return false;
    return !table.isCountUnsure || table.recount();
  }

  /** @throws NARU_FULL */
  #answer(wrote: Wrote, key: string): boolean {
    if (wrote !== WROTE.full) return wrote === WROTE.done;
    const { maxEntries, blocks } = this.#table.geometry;
    const { text } = this.facts;
    throw new NaruError(
      'NARU_FULL',
      `${text}: no room for "${key.slice(0, 40)}": ${this.#table.count()} entries of ${maxEntries}, ` +
        `${this.#table.countFreeBlocks()} blocks of 128 bytes free of ${blocks}; delete some, or make the map larger`,
      { place: this.#part.site.place, mailbox: text },
    );
  }

  async #answerLater(attempt: () => Wrote, key: string): Promise<boolean> {
    return this.#answer(await this.#later(attempt), key);
  }

  /** Tries until the lock is to be had, blocking the thread. @throws NARU_TIMEOUT */
  #block(attempt: () => Wrote): Wrote {
    const { native } = this.#part.edges;
    for (let tries = 0; ; tries += 1) {
      const wrote = attempt();
      if (wrote !== WROTE.busy) return wrote;
      if (tries < SPINS) continue;
      if (tries < SPINS + YIELDS) native.yieldThread();
      else {
        const at = this.#table.busyLockAt;
        native.futexWait(this.#part.object.buffer, at * 4, Atomics.load(this.#words, at), SLEEP_MS);
        this.#probe(tries);
      }
      if (tries > BLOCKED_MS_MAX / SLEEP_MS) throw this.#stuck();
    }
  }

  /** The same without blocking: the event loop turns meanwhile. */
  async #later(attempt: () => Wrote): Promise<Wrote> {
    for (let tries = 0; ; tries += 1) {
      await new Promise((resolve) => {
        if (tries < SPINS) setImmediate(resolve);
        else setTimeout(resolve, SLEEP_MS);
      });
      const wrote = attempt();
      if (wrote !== WROTE.busy) return wrote;
      this.#probe(tries);
    }
  }

  #probe(tries: number): void {
    if (tries % SLEEPS_BETWEEN_PROBES !== 0 || tries < SPINS) return;
    probeLock(this.#part, this.#table.busyLockAt);
  }

  #stuck(): NaruError {
    const { text } = this.facts;
    return new NaruError(
      'NARU_TIMEOUT',
      `${text}: a stopped process has had a lock of the map for ${BLOCKED_MS_MAX} ms; let it go on, or end it`,
      { place: this.#part.site.place, mailbox: text },
    );
  }

  /** SYNC: watch/change. The change is stored before this load; a watcher says that it sleeps before it looks for the last time. */
  #wakeWatchers(): void {
    const words = this.#words;
    if (Atomics.load(words, this.#parkedAt) === 0) return;
    this.#part.edges.failpoint('watch:before-wake');
    if (Atomics.exchange(words, this.#parkedAt, 0) !== 0) this.#rouse();
  }

  /** Wakes everybody who watches, here and elsewhere. */
  #rouse(): void {
    const { object, edges } = this.#part;
    if (!isWhole(object, edges)) return;
    Atomics.add(this.#words, this.#changesAt, 1);
    edges.native.futexWake(object.buffer, this.#changesAt * 4, 2 ** 31 - 1);
  }

  async #watch(): Promise<void> {
    const words = this.#words;
    const { object, edges } = this.#part;
    while (this.#watchers.size > 0 && this.#mayWatch()) {
      const changes = Atomics.load(words, this.#changesAt);
      Atomics.store(words, this.#parkedAt, 1);
      const pulse = this.#table.pulse();
      if (pulse === this.#pulse)
        await edges.native.futexWaitAsync(object.buffer, this.#changesAt * 4, changes, SAFETY_MS, false);
      else {
        this.#pulse = pulse;
        for (const changed of this.#watchers) changed(undefined);
        // Others get their turn, also when there is always something new.
        await new Promise(setImmediate);
      }
    }
  }

  /** False once the map is gone; those who watch find out by their next look. */
  #mayWatch(): boolean {
    try {
      this.#health.look();
      return true;
    } catch {
      for (const changed of this.#watchers) changed(undefined);
      return false;
    }
  }
}

function shardLocks({ object, mark, edges }: StatePart): ShardLocks {
  const { words, geometry } = object.memory;
  const { table } = geometry;
  const locks = Array.from(
    { length: table?.shards ?? 0 },
    (_, shard) =>
      new LockWord(
        words,
        (table?.shardsAt ?? 0) + (shard * SHARD_BYTES) / 4 + SHARD.lock,
        mark,
        edges.failpoint,
      ),
  );
  return {
    tryTake: (shard) => TAKES[(locks[shard] as LockWord).tryTake()],
    release: (shard) => {
      (locks[shard] as LockWord).unlock();
    },
  };
}

function conditionOf(only: MapCondition | undefined): number {
  if (only === undefined) return ANY;
  if ('absent' in only) return ABSENT;
  return versionOf(only.version);
}

/** A version of another kind was never one of this map. */
function versionOf(version: MapVersion): number {
  return typeof version === 'number' && version > 0 ? version : -2;
}

function expiryOf(ttlMs: number | undefined): number {
  return ttlMs === undefined ? 0 : Date.now() + ttlMs;
}
