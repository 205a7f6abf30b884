// Reading a whole segment for recovery: everything up to the last mark, and what lies behind it. Judges nothing.

import { Columns } from './columns.ts';
import type { DiskFile } from './disk.ts';
import { type Change, decodeChange, decodeEntries } from './entries.ts';
import type { Damage } from './failures.ts';
import { FIRST_RECORD_AT, KIND, RECORD } from './format.ts';
import { type Memory, readWord } from './memory.ts';
import { bodyOf, extraStreamsAt, kindAt, sequenceAt, streamsAt } from './record.ts';
import { claimAt, findMarks, type ScanEnd, scan, type SyncedClaim } from './scan.ts';
import { chained, type SegmentEntry } from './segment.ts';
import type { Contents } from './segment-index.ts';

/** A moment in a segment: how much of everything there was. */
interface Point {
  readonly rows: number;
  readonly removals: number;
  readonly changes: number;
  readonly damaged: number;
  readonly usedBytes: number;
  readonly chain: number;
  readonly last: number;
}

/** A segment as it was read. */
export interface SegmentScan extends Contents {
  /** What its first record says; undefined when that is no manifest. */
  readonly manifest: readonly SegmentEntry[] | undefined;
  /** First sequence it has room for. */
  readonly first: number;
  readonly changes: readonly Change[];
  /** Records with a good head and a bad body. */
  readonly damaged: readonly Damage[];
  /** Behind the last mark, or of a segment that is read up to a known end, there. */
  readonly usedBytes: number;
  readonly chain: number;
  /** Sequence of the last record before that. */
  readonly last: number;
  /** Where the first byte is that was not accepted, and why. */
  readonly end: number;
  readonly why: ScanEnd;
  /** Number of the next segment, when this one is finished; the seal lies behind `usedBytes`. */
  readonly sealedFor: number | undefined;
  /** The most that any mark says of what was synced, those behind `end` included. */
  readonly claim: SyncedClaim;
  /** Valid records behind the last mark, and bytes up to the last that is not zero. */
  readonly tornRecords: number;
  readonly tornBytes: number;
}

/** Whether `a` tells of more than `b`. */
export function isFurther(a: SyncedClaim, b: SyncedClaim): boolean {
  return a.number > b.number || (a.number === b.number && a.bytes > b.bytes);
}

class Collector {
  readonly columns = new Columns();
  readonly removals: Contents['removals'] = [];
  readonly changes: Change[] = [];
  readonly damaged: Damage[] = [];
  manifest: readonly SegmentEntry[] | undefined;
  first = 0;
  chain = 0;
  claim: SyncedClaim = { number: 0, bytes: 0 };
  sealedFor: number | undefined;
  /** Set when a record is valid in itself and wrong here. */
  problem: number | undefined;
  point: Point | undefined;
  records = 0;
  readonly #file: string;
  readonly #isDense: boolean;
  #last = -1;
  #isFirst = true;

  constructor(file: string, isDense: boolean) {
    this.#file = file;
    this.#isDense = isDense;
  }

  get last(): number {
    return this.#last;
  }

  record(memory: Memory, at: number, offset: number, stride: number): void {
    if (this.problem !== undefined) return;
    const kind = kindAt(memory, at);
    const sequence = sequenceAt(memory, at);
    if (this.#isFirst) this.#begin(memory, at, kind, sequence);
    this.#isFirst = false;
    if (!this.#follows(kind, sequence)) {
      this.problem = offset;
      return;
    }
    if (kind === KIND.mark && (readWord(memory, at + RECORD.note) | 0) !== this.chain) {
      this.problem = offset;
      return;
    }
    if (kind === KIND.data) this.#data(memory, at, offset, sequence);
    else this.#control(memory, at, kind);
    this.chain = chained(this.chain, readWord(memory, at) | 0);
    if (kind !== KIND.seal) this.records += 1;
    // Not at a seal: when nothing was committed to the next segment, this one goes on, and the seal is cut off.
    if (kind === KIND.mark) this.#setPoint(offset + stride);
  }

  #begin(memory: Memory, at: number, kind: number, sequence: number): void {
    if (kind === KIND.manifest) {
      this.manifest = decodeEntries(bodyOf(memory, at));
      this.first = sequence + 1;
      this.#last = sequence;
    } else if (!this.#isDense) {
      this.#last = -1;
    }
  }

  /** Sequences go up, in a segment that was not written anew by one; what has none of its own repeats the last. */
  #follows(kind: number, sequence: number): boolean {
    if (this.sealedFor !== undefined) return false;
    if (this.#isDense)
      return this.manifest !== undefined && sequence === (kind === KIND.data ? this.#last + 1 : this.#last);
    return kind === KIND.data ? sequence > this.#last : kind === KIND.removal;
  }

  #data(memory: Memory, at: number, offset: number, sequence: number): void {
    this.#last = sequence;
    this.columns.add(
      sequence,
      offset,
      readWord(memory, at + RECORD.bodyBytes),
      readWord(memory, at + RECORD.stream),
      readWord(memory, at + RECORD.note),
      memory.floats[(at + RECORD.stamp) >>> 3] as number,
      extraStreamsAt(memory, at) === 0 ? undefined : streamsAt(memory, at),
    );
  }

  #control(memory: Memory, at: number, kind: number): void {
    if (kind === KIND.removal) {
      this.removals.push({ stream: readWord(memory, at + RECORD.stream), runs: bodyOf(memory, at).slice() });
    } else if (kind === KIND.change) {
      this.changes.push(decodeChange(bodyOf(memory, at), readWord(memory, at + RECORD.note)));
    } else if (kind === KIND.mark) {
      this.claims(claimAt(memory, at));
    } else if (kind === KIND.seal) {
      this.sealedFor = readWord(memory, at + RECORD.stream);
    }
  }

  claims(claim: SyncedClaim): void {
    if (isFurther(claim, this.claim)) this.claim = claim;
  }

  damage(memory: Memory, at: number, offset: number): boolean {
    const kind = kindAt(memory, at);
    if (kind !== KIND.data && kind !== KIND.removal) return false;
    const streams = streamsAt(memory, at);
    const sequence = sequenceAt(memory, at);
    const what = `the body of a ${kind === KIND.data ? 'record' : 'removal'} is not what was written`;
    this.damaged.push({ file: this.#file, offset, what, sequence, streams });
    if (!this.#follows(kind, sequence)) return false;
    // The record keeps its place, so that what follows is in order; whoever reads it learns of the damage.
    if (kind === KIND.data) this.#data(memory, at, offset, sequence);
    this.chain = chained(this.chain, readWord(memory, at) | 0);
    return true;
  }

  #setPoint(usedBytes: number): void {
    this.point = {
      rows: this.columns.count,
      removals: this.removals.length,
      changes: this.changes.length,
      damaged: this.damaged.length,
      usedBytes,
      chain: this.chain,
      last: this.#last,
    };
    this.records = 0;
  }

  /** Forgets everything behind a moment. */
  cut({ rows, removals, changes, damaged }: Point): void {
    this.columns.cut(rows);
    this.removals.length = removals;
    this.changes.length = changes;
    this.damaged.length = damaged;
  }
}

export interface ScanRequest {
  readonly file: DiskFile;
  readonly name: string;
  readonly seed: number;
  /** Of a segment whose end is known: `usedBytes` of its entry. Otherwise everything up to the last mark is taken. */
  readonly knownEnd?: number | undefined;
  /** Written from sequence to sequence, not anew. */
  readonly isDense: boolean;
  /** Before this offset, go on behind a record of which only the body is damaged. */
  readonly skipBodiesBefore: number;
}

export async function readSegment(request: ScanRequest): Promise<SegmentScan> {
  const { file, name, seed, knownEnd, isDense, skipBodiesBefore } = request;
  const collector = new Collector(name, isDense);
  const size = await file.size();
  const limit = Math.min(size, knownEnd ?? size);
  const result = await scan(file, seed, FIRST_RECORD_AT, limit, {
    record: (memory, at, offset, stride) => collector.record(memory, at, offset, stride),
    damaged: (memory, at, offset) => offset < skipBodiesBefore && collector.damage(memory, at, offset),
  });
  const end = collector.problem ?? result.end;
  const why = collector.problem === undefined ? result.why : 'head';
  let lastUsed = end;
  if (knownEnd === undefined) {
    // Zeros too may be damage: a mark behind them tells.
    ({ lastUsed } = await findMarks(file, seed, end, size, (claim) => collector.claims(claim)));
  }
  const start: Point = {
    rows: 0,
    removals: 0,
    changes: 0,
    damaged: 0,
    usedBytes: FIRST_RECORD_AT,
    chain: 0,
    last: collector.first - 1,
  };
  const { chain, last } = collector;
  const point =
    knownEnd === undefined ? (collector.point ?? start) : { ...start, usedBytes: end, chain, last };
  const tornRecords = knownEnd === undefined ? collector.records : 0;
  if (knownEnd === undefined) collector.cut(point);
  const { columns, removals, changes, damaged, manifest, first, claim, sealedFor } = collector;
  return {
    columns,
    removals,
    changes,
    damaged,
    manifest: collector.point === undefined && knownEnd === undefined ? undefined : manifest,
    first,
    usedBytes: point.usedBytes,
    chain: point.chain,
    last: point.last,
    end,
    why,
    sealedFor,
    claim,
    tornRecords,
    tornBytes: Math.max(0, lastUsed - point.usedBytes),
  };
}
