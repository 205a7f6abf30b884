// What happens beside the writing, one thing at a time: indices of finished segments, segments that nobody needs, segments worth
// writing anew. Keeps the log below about twice what lives in it.

import type { Active } from './active.ts';
import type { Committer } from './committer.ts';
import { isFull } from './disk.ts';
import { storageError } from './failures.ts';
import { fileName } from './format.ts';
import { chooseSources, DamagedSource, replacement, rewrite } from './rewrite.ts';
import type { Segment, SegmentEntry } from './segment.ts';
import { type Contents, writeIndex } from './segment-index.ts';
import type { LogState } from './state.ts';

export class Housekeeping {
  readonly #state: LogState;
  readonly #committer: () => Committer;
  readonly #finished: { readonly segment: Segment; readonly contents: Contents }[] = [];
  /** Damaged, or there was no room to write them anew. */
  readonly #spared: Set<Segment> = new Set();
  #work: Promise<void> | undefined;
  #isClosed = false;
  #cancelRetry: (() => void) | undefined;
  /** How often segments were written anew, and how many bytes that wrote. */
  rewrites = 0;
  rewrittenBytes = 0;

  constructor(state: LogState, committer: () => Committer) {
    this.#state = state;
    this.#committer = committer;
  }

  /** A segment is finished and synced. */
  finished({ segment, contents }: Active): void {
    this.#finished.push({ segment, contents });
    this.#state.hasDead = true;
    this.look();
  }

  /** Does what there is to do, if anything. */
  look(): void {
    if (this.#work !== undefined || this.#isClosed || this.#state.failure !== undefined) return;
    if (this.#finished.length === 0 && !this.#state.hasDead) return;
    this.#work = this.#do().finally(() => {
      this.#work = undefined;
      if (this.#finished.length > 0) this.look();
    });
  }

  async #do(): Promise<void> {
    const { disk } = this.#state;
    try {
      while (!this.#isClosed && this.#state.failure === undefined) {
        const finished = this.#finished.shift();
        if (finished !== undefined) {
          await this.#writeIndex(finished.segment, finished.contents);
          continue;
        }
        this.#state.hasDead = false;
        if (!(await this.#drop()) && !(await this.#rewrite())) break;
      }
    } catch (error) {
      // A log that has stopped told why; a damaged source stays.
      if (this.#state.failure === undefined)
        this.#state.fail(storageError(disk.folder, 'housekeeping', error));
    }
  }

  /** Without room for an index recovery scans: no reason to stop. */
  async #writeIndex(segment: Segment, contents: Contents): Promise<void> {
    if (!this.#state.segments.all.includes(segment)) return;
    await this.#writeIndexOf(segment.toEntry(), contents);
  }

  async #writeIndexOf(entry: SegmentEntry, contents: Contents): Promise<void> {
    try {
      await writeIndex(this.#state.disk, this.#state.logId, entry, contents);
    } catch (error) {
      if (!isFull(error)) throw error;
    }
  }

  /** Drops segments without live records, unless removals in them are still needed. */
  async #drop(): Promise<boolean> {
    const { segments, disk } = this.#state;
    const remaining = new Set(segments.all.map(({ number }) => number));
    const gone: Segment[] = [];
    for (const segment of segments.all.slice(0, -1)) {
      if (segment.live > 0 || [...segment.removesFrom].some((number) => remaining.has(number))) continue;
      gone.push(segment);
      remaining.delete(segment.number);
    }
    if (gone.length === 0) return false;
    await this.#committer().change(
      { gone: gone.map(({ number, generation }) => ({ number, generation })), come: [] },
      () => {
        for (const segment of gone) segments.replace([segment], []);
        this.#forget(gone.map(({ number }) => number));
      },
    );
    await this.#remove(gone);
    await disk.syncFolder();
    this.#committer().retryFull();
    return true;
  }

  /** Their records are gone: nobody needs the removals of them. */
  #forget(numbers: readonly number[], instead?: number): void {
    for (const { removesFrom, number: own } of this.#state.segments.all) {
      let had = false;
      for (const number of numbers) had = removesFrom.delete(number) || had;
      if (had && instead !== undefined && own !== instead) removesFrom.add(instead);
    }
  }

  async #remove(segments: readonly Segment[]): Promise<void> {
    for (const segment of segments) {
      await segment.retire();
      await this.#state.disk.unlink(segment.name);
      await this.#state.disk.unlink(fileName(segment, 'idx')).catch(() => undefined);
    }
  }

  async #rewrite(): Promise<boolean> {
    const { segments, disk } = this.#state;
    const sources = chooseSources(this.#state, (segment) => this.#spared.has(segment));
    if (sources.length === 0) return false;
    try {
      const rewritten = await rewrite(this.#state, sources);
      const { entry, contents } = rewritten;
      await this.#writeIndexOf(entry, contents);
      const gone = sources.map(({ number, generation }) => ({ number, generation }));
      await this.#committer().change({ gone, come: [entry] }, () => {
        const next = replacement(this.#state, sources, rewritten);
        segments.replace(sources, [next]);
        // Removals made meanwhile, and those of records with other streams left, belong to the new one.
        const keepsDead = next.live < next.count || contents.columns.shared.size > 0;
        this.#forget(
          gone.map(({ number }) => number),
          keepsDead ? next.number : undefined,
        );
        for (const { number } of gone)
          if (this.#state.removesFrom.delete(number)) this.#state.removesFrom.add(next.number);
      });
      this.rewrites += 1;
      this.rewrittenBytes += entry.usedBytes;
      await this.#remove(sources);
      await disk.syncFolder();
      this.#committer().retryFull();
    } catch (error) {
      if (!this.#isHarmless(error, sources)) throw error;
    }
    return true;
  }

  /** Nothing was lost: the sources are as they were. */
  #isHarmless(error: unknown, sources: readonly Segment[]): boolean {
    if (error instanceof DamagedSource) {
      this.#spared.add(error.segment);
      const what = 'a record is not what was written';
      this.#state.hooks.damaged?.({ file: error.segment.name, offset: error.offset, what });
      return true;
    }
    if (!isFull(error)) return false;
    for (const source of sources) this.#spared.add(source);
    this.#cancelRetry ??= this.#state.clock.after(this.#state.settings.fullRetryMs, () => {
      this.#cancelRetry = undefined;
      for (const source of sources) this.#spared.delete(source);
      this.#state.hasDead = true;
      this.look();
    });
    return true;
  }

  /** Ends after what is under way; only indices are still written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry?.();
    await this.#work;
    if (this.#state.failure !== undefined) return;
    for (const { segment, contents } of this.#finished) await this.#writeIndex(segment, contents);
  }
}
