// What the parts of one log share: the segments, what lives in them, the removals that no record tells of yet, and whether the log
// still works.

import type { NaruError } from '../errors/index.ts';
import type { Disk, LogClock } from './disk.ts';
import type { Damage } from './failures.ts';
import { seedOf } from './file-header.ts';
import { Runs } from './runs.ts';
import { type Segment, Segments } from './segment.ts';

/** What the owner of a log is told. None of them may throw. */
export interface LogHooks {
  /** One of the two has moved: sequences of the last record that is written, and that is on the disk. */
  progress?(written: number, synced: number): void;
  /** The disk is full: what is appended waits. And later: it goes on by itself. */
  full?(isFull: boolean): void;
  /** A record that is not deleted cannot be read any more. The log goes on without it. */
  damaged?(damage: Damage): void;
  /** The log has stopped for good: NARU_STORAGE or NARU_CORRUPT. */
  failed?(error: NaruError): void;
}

export interface LogSettings {
  /** Size of a segment. */
  readonly segmentBytes: number;
  /** Removals, and records of level `memory`, are written at the latest after so long. */
  readonly lazyMs: number;
  /** So long after the last group, a mark tells that it was synced. */
  readonly idleMarkMs: number;
  /** A full disk is tried again so often. */
  readonly fullRetryMs: number;
}

export class LogState {
  readonly disk: Disk;
  readonly clock: LogClock;
  readonly hooks: LogHooks;
  readonly settings: LogSettings;
  readonly logId: Uint8Array;
  readonly seed: number;
  readonly segments: Segments = new Segments();
  /** The streams that still need a record, where there is more than one. */
  readonly shared: Map<number, number[]> = new Map();
  /** Removals by stream that stand in no removal record. */
  readonly removals: Map<number, Runs> = new Map();
  /** The segments those removals belong to. */
  readonly removesFrom: Set<number> = new Set();
  /** Some segment may be dropped or written anew. */
  hasDead = false;
  /** Removals of records that are in no segment yet: stream and sequence by turns. */
  #early: number[] = [];
  failure: NaruError | undefined;

  constructor(disk: Disk, clock: LogClock, hooks: LogHooks, settings: LogSettings, logId: Uint8Array) {
    this.disk = disk;
    this.clock = clock;
    this.hooks = hooks;
    this.settings = settings;
    this.logId = logId;
    this.seed = seedOf(logId);
  }

  /** A stream needs a record no more. @returns the segment, or undefined when that was known */
  settle(stream: number, sequence: number): Segment | undefined {
    const segment = this.segments.of(sequence);
    if (segment === undefined) return undefined;
    const row = segment.rowOf(sequence);
    if (row < 0 || !segment.isLive(row)) return undefined;
    const streams = this.shared.size === 0 ? undefined : this.shared.get(sequence);
    if (streams !== undefined) {
      const at = streams.indexOf(stream);
      if (at < 0) return undefined;
      streams.splice(at, 1);
      if (streams.length > 0) return segment;
      this.shared.delete(sequence);
    }
    segment.kill(row);
    if (segment.live === 0 || isWasteful(segment)) this.hasDead = true;
    return segment;
  }

  /** The same, and a removal record will tell of it. */
  remove(stream: number, sequence: number): void {
    if (sequence > this.segments.newest.last) {
      this.#early.push(stream, sequence);
      return;
    }
    const segment = this.settle(stream, sequence);
    if (segment === undefined) return;
    let runs = this.removals.get(stream);
    if (runs === undefined) {
      runs = new Runs();
      this.removals.set(stream, runs);
    }
    runs.add(sequence);
    this.removesFrom.add(segment.number);
  }

  /** Records have come into segments: what was removed before that is now removed there. */
  removeEarly(): void {
    if (this.#early.length === 0) return;
    const early = this.#early;
    this.#early = [];
    for (let at = 0; at < early.length; at += 2) this.remove(early[at] as number, early[at + 1] as number);
  }

  get hasRemovals(): boolean {
    return this.removals.size > 0;
  }

  /** Stops the log for good. The first error counts. */
  fail(error: NaruError): NaruError {
    if (this.failure !== undefined) return this.failure;
    this.failure = error;
    this.hooks.failed?.(error);
    return error;
  }
}

/** Whether writing a segment anew would free at least half of it. */
export function isWasteful(segment: Segment): boolean {
  return segment.deadBytes * 2 > segment.usedBytes;
}
