// Group commit: while one group is written and synced everything that arrives meanwhile becomes the next. One write and one sync
// at a time; no timer, except for what nobody waits for. A segment is synced before anything is written to the next.

import { Active } from './active.ts';
import { Columns } from './columns.ts';
import { isFull, type Level } from './disk.ts';
import { type Change, encodeChange, encodeEntries } from './entries.ts';
import { storageError } from './failures.ts';
import { KIND, SEGMENT_ENTRY_BYTES } from './format.ts';
import { Pending, safer, type Slab } from './pending.ts';
import type { SyncedClaim } from './scan.ts';
import { Segment } from './segment.ts';
import { type Spare, Spares } from './spares.ts';
import type { LogState } from './state.ts';

interface Waiter {
  readonly level: Level;
  /** The first group that has everything this one waits for. */
  readonly group: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A change of the segments. `apply` is called when its record has its place: from then on manifests tell of it. */
interface PendingChange {
  readonly change: Change;
  readonly apply: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Committer {
  readonly #state: LogState;
  readonly #pending: Pending;
  readonly #spares: Spares;
  readonly #sealed: (active: Active) => void;
  #active: Active;
  /** Everything before it is on the disk. */
  #synced: SyncedClaim;
  /** What the last mark told of that. */
  #told: SyncedClaim;
  #writtenSequence: number;
  #syncedSequence: number;
  #changes: PendingChange[] = [];
  /** Placed, and not on the disk yet. */
  #placedChanges: PendingChange[] = [];
  /** Something but marks was written and not synced. */
  #isDirty = false;
  #toldWritten: number;
  #toldSynced: number;
  #waiters: Waiter[] = [];
  /** Number of the last group that was begun. */
  #group = 0;
  #run: Promise<void> | undefined;
  #isKicked = false;
  #isFull = false;
  #isWriteFull = false;
  /** The last group could not place everything, and there is no next segment yet. */
  #isBlocked = false;
  /** The last group went on to a new segment. */
  #hasMoved = false;
  #isClosing = false;
  #isClosed = false;
  #cancelLazy: (() => void) | undefined;
  #cancelIdle: (() => void) | undefined;

  /**
   * @param synced  everything of the segment before it is on the disk
   * @param told  what the last mark in the segment says of that
   * @param sealed  called with every segment that is finished and synced
   */
  constructor(
    state: LogState,
    active: Active,
    synced: SyncedClaim,
    told: SyncedClaim,
    sealed: (active: Active) => void,
  ) {
    this.#state = state;
    this.#active = active;
    this.#synced = synced;
    this.#told = told;
    this.#sealed = sealed;
    this.#writtenSequence = active.segment.last;
    this.#syncedSequence = active.segment.last;
    this.#toldWritten = active.segment.last;
    this.#toldSynced = active.segment.last;
    this.#pending = new Pending(state.seed);
    this.#spares = new Spares(state, () => this.#unblock());
    this.#spares.prepare(active.segment.number + 1, state.settings.segmentBytes);
  }

  /** Sequence of the last record that the operating system has. */
  get written(): number {
    return this.#writtenSequence;
  }

  /** Sequence of the last record that is on the disk, with all before it. */
  get synced(): number {
    return this.#syncedSequence;
  }

  /** Everything before it is on the disk. */
  get syncedEnd(): SyncedClaim {
    return this.#synced;
  }

  /** Bytes that were appended and are not being written yet. */
  get pendingBytes(): number {
    return this.#pending.bytes;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  append(records: Parameters<Pending['append']>[0], sequence: number, level: Level): void {
    this.#pending.append(records, sequence, level);
    this.#want(level);
  }

  /** Resolves when everything so far is written, or synced. Rejects with the failure of the log. */
  commit(level: Level): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ level, group: this.#group + 1, resolve, reject });
      this.#want(level);
    });
  }

  /** Resolves when a change of the segments is on the disk. */
  change(change: Change, apply: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#changes.push({ change, apply, resolve, reject });
      this.#kick();
    });
  }

  /** There may be room on the disk now. */
  retryFull(): void {
    if (!this.#isFull) return;
    this.#spares.retry(this.#active.segment.number + 1, this.#state.settings.segmentBytes);
    this.#unblock();
  }

  /** What found no room may find some now; also when a group is being written. */
  #unblock(): void {
    this.#isBlocked = false;
    this.#kick();
  }

  /** What waits is written at the latest in a while. */
  lazily(): void {
    if (this.#isKicked || this.#cancelLazy !== undefined) return;
    this.#cancelLazy = this.#state.clock.after(this.#state.settings.lazyMs, () => {
      this.#cancelLazy = undefined;
      this.#kick();
    });
  }

  #want(level: Level): void {
    if (level === 'memory') this.lazily();
    else this.#kick();
  }

  #kick(): void {
    if (this.#isKicked || this.#isClosed) return;
    this.#isKicked = true;
    // After the work of this turn: all of it is one group.
    queueMicrotask(() => {
      this.#isKicked = false;
      this.#run ??= this.#commitGroups();
    });
  }

  async #commitGroups(): Promise<void> {
    this.#cancelLazy?.();
    this.#cancelLazy = undefined;
    this.#cancelIdle?.();
    this.#cancelIdle = undefined;
    try {
      while (this.#state.failure === undefined) {
        await this.#commitGroup();
        if (!this.#canGoOn) break;
      }
    } catch (error) {
      this.#state.fail(storageError(this.#state.disk.folder, 'a write', error));
    }
    this.#run = undefined;
    if (this.#state.failure !== undefined) {
      this.#rejectAll(this.#state.failure);
      return;
    }
    if (this.#state.hasRemovals) this.lazily();
    this.#tellWhenIdle();
  }

  /** Whether another group would get anything done. */
  get #canGoOn(): boolean {
    if (this.#hasMoved) return true;
    const hasWork = this.#pending.first !== undefined || this.#changes.length > 0 || this.#waiters.length > 0;
    return hasWork && !this.#isBlocked;
  }

  async #commitGroup(): Promise<void> {
    const active = this.#active;
    this.#group += 1;
    const group = this.#group;
    const slabs = this.#placeSlabs(active);
    const isComplete = this.#placeRest(active) && this.#pending.first === undefined;
    const spare = isComplete ? undefined : this.#nextSpare();
    this.#isBlocked = !isComplete && spare === undefined;
    this.#hasMoved = spare !== undefined;
    this.#showFull();
    let level = slabs.reduce<Level>((safest, slab) => safer(safest, slab.level), 'memory');
    if (isComplete) level = this.#waiters.reduce((safest, waiter) => safer(safest, waiter.level), level);
    if (this.#placedChanges.length > 0) level = 'disk';
    const isSynced = spare !== undefined || (level === 'disk' && (active.hasParts || this.#isDirty));
    if (active.hasParts || isSynced) {
      active.placeMark(this.#synced, isSynced);
      this.#told = this.#synced;
      if (spare !== undefined) active.placeSeal(spare.number);
      await this.#write(active);
      this.#isDirty = true;
      for (const slab of slabs) this.#pending.giveBack(slab);
    }
    const { last, number } = active.segment;
    this.#writtenSequence = last;
    if (isSynced) {
      this.#tellProgress();
      await this.#sync(active);
      this.#isDirty = false;
      this.#synced = { number, bytes: active.segment.writtenBytes };
      this.#syncedSequence = last;
      for (const { resolve } of this.#placedChanges.splice(0)) resolve();
    }
    if (spare !== undefined) this.#goOnIn(spare);
    this.#tellProgress();
    if (isComplete) this.#resolve(group, level);
  }

  #tellProgress(): void {
    if (this.#toldWritten === this.#writtenSequence && this.#toldSynced === this.#syncedSequence) return;
    this.#toldWritten = this.#writtenSequence;
    this.#toldSynced = this.#syncedSequence;
    this.#state.hooks.progress?.(this.#toldWritten, this.#toldSynced);
  }

  #placeSlabs(active: Active): Slab[] {
    const slabs: Slab[] = [];
    for (let slab = this.#pending.first; slab !== undefined; slab = this.#pending.first) {
      if (!active.hasRoomFor(slab.usedBytes)) break;
      active.place(this.#pending.take());
      slabs.push(slab);
    }
    if (slabs.length > 0) this.#state.removeEarly();
    return slabs;
  }

  /** Changes and removals. @returns whether all found room */
  #placeRest(active: Active): boolean {
    for (let next = this.#changes[0]; next !== undefined; next = this.#changes[0]) {
      const { change, apply } = next;
      if (!active.placeEntries(KIND.change, encodeChange(change), change.gone.length)) return false;
      this.#changes.shift();
      this.#placedChanges.push(next);
      apply();
    }
    return active.placeRemovals();
  }

  /** The segment for what found no room here, if it is ready. */
  #nextSpare(): Spare | undefined {
    const { segments, settings } = this.#state;
    const manifestBytes = (segments.all.length + 1) * SEGMENT_ENTRY_BYTES + 64;
    const bytes = Active.bytesFor(settings.segmentBytes, this.#pending.first?.usedBytes ?? 0, manifestBytes);
    return this.#spares.take(this.#active.segment.number + 1, bytes);
  }

  /** The segment is finished and synced; what follows goes into the next. */
  #goOnIn({ number, bytes, file }: Spare): void {
    const { segments, settings } = this.#state;
    const before = this.#active;
    before.segment.seal();
    const segment = new Segment(file, { number, generation: 0 }, before.segment.last + 1);
    const manifest = encodeEntries(segments.all.map((each) => each.toEntry()));
    segments.add(segment);
    this.#active = new Active(this.#state, segment, { columns: new Columns(), removals: [] }, bytes);
    this.#active.placeEntries(KIND.manifest, manifest, 0);
    this.#spares.prepare(number + 1, settings.segmentBytes);
    this.#sealed(before);
  }

  /** Writes what was placed; while the disk is full it waits and tries again. */
  async #write(active: Active): Promise<void> {
    const { parts, offset } = active.takeParts();
    for (;;) {
      try {
        await active.segment.file.write(parts, offset);
        break;
      } catch (error) {
        if (!isFull(error)) {
          throw this.#state.fail(
            storageError(this.#state.disk.folder, `writing ${active.segment.name}`, error),
          );
        }
        this.#isWriteFull = true;
        this.#showFull();
        if (this.#state.failure !== undefined) throw this.#state.failure;
        await new Promise<void>((resolve) => {
          this.#state.clock.after(this.#state.settings.fullRetryMs, resolve);
        });
      }
    }
    active.segment.writtenBytes = active.segment.usedBytes;
    this.#isWriteFull = false;
    this.#showFull();
  }

  /** Never tried again: after a failure the system may call pages clean that never reached the disk. */
  async #sync(active: Active): Promise<void> {
    try {
      await active.segment.file.sync();
    } catch (error) {
      throw this.#state.fail(
        storageError(this.#state.disk.folder, `the sync of ${active.segment.name}`, error),
      );
    }
  }

  #showFull(): void {
    const isNowFull = this.#isWriteFull || this.#spares.isFull;
    if (isNowFull && this.#isClosing && (this.#isBlocked || this.#isWriteFull)) {
      this.#state.fail(
        storageError(this.#state.disk.folder, 'closing', new Error('ENOSPC: what waits has no room')),
      );
    }
    if (isNowFull === this.#isFull) return;
    this.#isFull = isNowFull;
    this.#state.hooks.full?.(isNowFull);
  }

  #resolve(group: number, level: Level): void {
    const done = (waiter: Waiter): boolean => waiter.group <= group && safer(waiter.level, level) === level;
    const resolved = this.#waiters.filter(done);
    this.#waiters = this.#waiters.filter((waiter) => !done(waiter));
    for (const { resolve } of resolved) resolve();
  }

  #rejectAll(error: unknown): void {
    const all = [...this.#waiters, ...this.#placedChanges, ...this.#changes];
    this.#waiters = [];
    this.#placedChanges = [];
    this.#changes = [];
    for (const { reject } of all) reject(error);
  }

  /** The last group's mark could not tell that it was synced itself: a later one does, so that damage to it is known as damage. */
  #tellWhenIdle(): void {
    if (this.#isClosed || this.#isTold || this.#cancelIdle !== undefined) return;
    this.#cancelIdle = this.#state.clock.after(this.#state.settings.idleMarkMs, () => {
      this.#cancelIdle = undefined;
      if (this.#run === undefined) this.#run = this.#writeMark();
    });
  }

  get #isTold(): boolean {
    return this.#told.number === this.#synced.number && this.#told.bytes === this.#synced.bytes;
  }

  async #writeMark(): Promise<void> {
    this.#active.placeMark(this.#synced, false);
    this.#told = this.#synced;
    try {
      await this.#write(this.#active);
    } catch {
      // The state knows.
    }
    this.#run = undefined;
    if (this.#canGoOn || this.#state.hasRemovals) this.#kick();
  }

  /** Everything that was accepted is synced, and a last mark tells so. Nothing may be appended any more. Waits for no room. */
  async close(): Promise<void> {
    this.#isClosing = true;
    try {
      if (this.#state.failure === undefined) await this.commit('disk');
      this.#isClosed = true;
      this.#cancelIdle?.();
      this.#cancelLazy?.();
      await this.#run;
      if (this.#state.failure === undefined && !this.#isTold) {
        await this.#writeMark();
        await this.#sync(this.#active);
      }
    } finally {
      this.#isClosed = true;
      await this.#spares.close();
    }
  }
}
