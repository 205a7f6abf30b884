// Opening a folder: which segments belong to the log, what lives in them, where writing goes on. A torn tail is cut off and counted;
// damage to what was synced is an error that names file and offset. Nothing is removed before the log is known to be whole.

import { Active } from './active.ts';
import { type Contents, readIndex } from './segment-index.ts';
import { isFurther, readSegment, type ScanRequest, type SegmentScan } from './contents.ts';
import { type Disk, type DiskFile, isFull } from './disk.ts';
import { applyChange } from './entries.ts';
import { corrupt, type Damage } from './failures.ts';
import { readHeader } from './file-header.ts';
import {
  FILE_HEADER_BYTES,
  FILE_KIND,
  FIRST_RECORD_AT,
  type FileName,
  fileName,
  MARK_BODY_BYTES,
  parseFileName,
  RECORD_HEADER_BYTES,
} from './format.ts';
import { markBytes } from './mark.ts';
import { newMemory } from './memory.ts';
import { eachRun } from './runs.ts';
import type { SyncedClaim } from './scan.ts';
import { chained, Segment, type SegmentEntry } from './segment.ts';
import { readEnd, SNAPSHOT_ENDING } from './snapshot.ts';
import { UNFINISHED } from './spares.ts';
import type { LogState } from './state.ts';

/** What opening found. */
export interface RecoveryReport {
  /** Whether the log was closed properly: then nothing had to be looked at twice. */
  readonly isClean: boolean;
  readonly segments: number;
  /** Records that live. */
  readonly records: number;
  /** Cut off: what was being written when it was killed. Never anything that was confirmed at level `disk`. */
  readonly tornRecords: number;
  readonly tornBytes: number;
  /** Segments that had to be read in full because their index was missing or damaged, the newest not included. */
  readonly scannedSegments: number;
  /** Damaged records, with `damage: 'report'`. */
  readonly damaged: readonly Damage[];
  readonly elapsedMs: number;
}

/** What a check of a log found. */
export interface CheckReport {
  /** Whether it was closed properly. */
  readonly isClean: boolean;
  readonly segments: number;
  /** Records that are stored, removed ones included until their room is freed. */
  readonly storedRecords: number;
  readonly usedBytes: number;
  /** What the next opening will cut off: see `RecoveryReport`. */
  readonly tornRecords: number;
  readonly tornBytes: number;
  /** Every damaged body, snapshot and index. */
  readonly damaged: readonly Damage[];
}

/** A file of a segment that is there. */
interface Found extends FileName {
  readonly file: DiskFile;
  readonly name: string;
}

/** A segment of the log with what is in it. */
interface Loaded {
  readonly found: Found;
  readonly entry: SegmentEntry;
  readonly contents: Contents;
}

export interface Recovered {
  readonly active: Active;
  /** Everything before it is on the disk. */
  readonly synced: SyncedClaim;
  /** What the marks tell of that. */
  readonly told: SyncedClaim;
  readonly report: Omit<RecoveryReport, 'elapsedMs'>;
  /** Tells every live record, in the order of the sequences. */
  readonly eachLive: (
    tell: (sequence: number, stream: number, note: number, stamp: number, bodyBytes: number) => void,
  ) => void;
}

/** Opens every segment that is there and checks its header. Closes none. */
export class Folder {
  readonly disk: Disk;
  /** By number, then generation. */
  found: Found[] = [];
  unfinished: string[] = [];
  indices: string[] = [];
  hasSnapshots = false;
  logId: Uint8Array | undefined;

  constructor(disk: Disk) {
    this.disk = disk;
  }

  async read(): Promise<void> {
    const names = await this.disk.list();
    this.unfinished = names.filter((name) => name.endsWith(UNFINISHED));
    this.indices = names.filter((name) => parseFileName(name, 'idx') !== undefined);
    this.hasSnapshots = names.some((name) => name.endsWith(SNAPSHOT_ENDING));
    for (const name of names.filter((each) => parseFileName(each, 'seg') !== undefined).sort()) {
      const parsed = parseFileName(name, 'seg') as FileName;
      const file = await this.disk.open(name);
      this.found.push({ ...parsed, file, name });
      await this.#check(name, parsed, file);
    }
    this.found.sort((a, b) => a.number - b.number || a.generation - b.generation);
  }

  /** A segment gets its name only when its header is on the disk: a wrong header is damage. */
  async #check(name: string, parsed: FileName, file: DiskFile): Promise<void> {
    const memory = newMemory(FILE_HEADER_BYTES);
    const length = await file.read(memory.bytes, 0);
    const header = readHeader(memory, length, FILE_KIND.segment);
    const damage = (offset: number, what: string): Error =>
      corrupt(this.disk.folder, { file: name, offset, what });
    if ('problem' in header) throw damage(header.offset, header.problem);
    if (header.number !== parsed.number || header.generation !== parsed.generation) {
      throw damage(48, `the header is of segment ${fileName(header, 'seg')}`);
    }
    this.logId ??= header.logId;
    const { logId } = this;
    if (!header.logId.every((byte, index) => byte === logId[index])) {
      throw damage(32, 'the segment belongs to another log');
    }
  }

  async close(): Promise<void> {
    for (const { file } of this.found) await file.close().catch(() => undefined);
  }
}

/**
 * Whether nothing was ever committed to what is there: the maker of the log was killed, or its disk failed. Beside the first segment
 * there may be one that was made ahead; a snapshot is written to a log that was born.
 */
export async function isUnborn(folder: Folder, seed: number): Promise<boolean> {
  const { found, hasSnapshots } = folder;
  if (hasSnapshots || found.length > 2) return false;
  for (const [index, { file, name, number, generation }] of found.entries()) {
    if (number !== index + 1 || generation !== 0) return false;
    const { manifest, claim } = await readSegment({ file, name, seed, isDense: true, skipBodiesBefore: 0 });
    if (manifest !== undefined || isFurther(claim, { number: 1, bytes: FIRST_RECORD_AT })) return false;
  }
  return true;
}

export class Recovery {
  readonly #state: LogState;
  readonly #folder: Folder;
  readonly #tolerant: boolean;
  readonly #damaged: Damage[] = [];
  #scanned = 0;

  /** @param tolerant  records with a damaged body are reported, not an error */
  constructor(state: LogState, folder: Folder, tolerant: boolean) {
    this.#state = state;
    this.#folder = folder;
    this.#tolerant = tolerant;
  }

  /** Reads what is there, every segment in full unless `usesIndices`; changes nothing. */
  async #inspect(usesIndices: boolean): Promise<{ found: Found; newest: SegmentScan; loaded: Loaded[] }> {
    const { found, scan: newest } = await this.#findNewest();
    const entries = (newest.changes.reduce(applyChange, newest.manifest ?? []) as SegmentEntry[]).filter(
      ({ number }) => number !== found.number,
    );
    const loaded: Loaded[] = [];
    for (const entry of entries) loaded.push(await this.#load(entry, usesIndices));
    this.#damaged.push(...newest.damaged);
    return { found, newest, loaded };
  }

  /** Judges the log as it lies there, and changes nothing. Of a log that is not tolerant the first damage is an error. */
  async check(): Promise<CheckReport> {
    const { found, newest, loaded } = await this.#inspect(false);
    const all = [...loaded.map(({ contents }) => contents), newest];
    return {
      isClean: this.#isSettled(found, newest),
      segments: all.length,
      storedRecords: all.reduce((sum, { columns }) => sum + columns.count, 0),
      usedBytes: loaded.reduce((sum, { entry }) => sum + entry.usedBytes, newest.usedBytes),
      tornRecords: newest.tornRecords,
      tornBytes: newest.tornBytes,
      damaged: this.#damaged,
    };
  }

  async run(): Promise<Recovered> {
    const { found, newest: scanned, loaded } = await this.#inspect(true);
    let newest = scanned;
    const isClean = this.#isSettled(found, newest);
    // What a mark tells already; not the mark itself, whose sector is written to next.
    let synced = newest.claim;
    if (!isClean) {
      newest = await this.#settleTail(found, newest);
      synced = { number: found.number, bytes: newest.usedBytes };
    }
    await this.#removeStrangers([...loaded.map(({ entry }) => entry), found]);
    const { active, segments } = await this.#assemble(loaded, found, newest);
    this.#applyRemovals([...loaded.map(({ contents }) => contents), newest], segments);
    const { tornRecords, tornBytes } = newest;
    const records = segments.reduce((sum, { live }) => sum + live, 0);
    return {
      active,
      synced,
      told: newest.claim,
      report: {
        isClean,
        segments: segments.length,
        records,
        tornRecords,
        tornBytes,
        scannedSegments: this.#scanned,
        damaged: this.#damaged,
      },
      eachLive: (tell) => this.#eachLive([...loaded.map(({ contents }) => contents), newest], segments, tell),
    };
  }

  /** The last segment that anything was committed to. Later ones are spares, or torn before their first commit. */
  async #findNewest(): Promise<{ found: Found; scan: SegmentScan }> {
    const originals = this.#folder.found.filter(({ generation }) => generation === 0);
    let claim = await readEnd(this.#state.disk, this.#state.logId);
    for (let at = originals.length - 1; at >= 0; at -= 1) {
      const found = originals[at] as Found;
      const scanned = await this.#scanTail(found, claim);
      if (isFurther(scanned.claim, claim)) ({ claim } = scanned);
      // What a mark says was synced and is not valid is damage, in this segment or in one before.
      if (found.number <= claim.number) this.#checkSettled(found, scanned, claim);
      if (scanned.manifest === undefined) continue;
      if (scanned.sealedFor !== undefined && originals[at + 1]?.number !== scanned.sealedFor) {
        throw this.#damage(
          found.name,
          scanned.usedBytes,
          `segment ${scanned.sealedFor}, which follows it, is missing`,
        );
      }
      return { found, scan: scanned };
    }
    const [first] = this.#folder.found;
    throw this.#damage(
      first?.name ?? this.#folder.disk.folder,
      FIRST_RECORD_AT,
      'no segment begins with a manifest',
    );
  }

  #request({ file, name, generation }: Found): Omit<ScanRequest, 'skipBodiesBefore'> {
    return { file, name, seed: this.#state.seed, isDense: generation === 0 };
  }

  async #scanTail(found: Found, claim: SyncedClaim): Promise<SegmentScan> {
    const scanned = await readSegment({ ...this.#request(found), skipBodiesBefore: 0 });
    const known = isFurther(scanned.claim, claim) ? scanned.claim : claim;
    const settledBytes =
      known.number > found.number ? Infinity : known.number === found.number ? known.bytes : 0;
    if (!this.#tolerant || scanned.why !== 'body' || scanned.end >= settledBytes) return scanned;
    return readSegment({ ...this.#request(found), skipBodiesBefore: settledBytes });
  }

  #checkSettled({ name, number }: Found, { sealedFor, end, why }: SegmentScan, claim: SyncedClaim): void {
    const isSettled = claim.number > number ? sealedFor !== undefined : end >= claim.bytes;
    if (!isSettled) throw this.#damage(name, end, WHY[why]);
  }

  #damage(file: string, offset: number, what: string): Error {
    return corrupt(this.#folder.disk.folder, { file, offset, what });
  }

  /** A segment before the newest: from its index, or read in full. Everything in it was synced. */
  async #load(entry: SegmentEntry, usesIndices: boolean): Promise<Loaded> {
    const { disk, logId } = this.#state;
    const name = fileName(entry, 'seg');
    const found = this.#folder.found.find((each) => each.name === name);
    if (found === undefined) throw this.#damage(name, 0, 'the segment is missing');
    const size = await found.file.size();
    if (size < entry.usedBytes)
      throw this.#damage(name, size, `it ends here, and should have ${entry.usedBytes} bytes`);
    const indexed = usesIndices ? await readIndex(disk, logId, entry) : undefined;
    if (indexed !== undefined) return { found, entry, contents: indexed };
    this.#scanned += 1;
    const skipBodiesBefore = this.#tolerant ? Infinity : 0;
    const scanned = await readSegment({
      ...this.#request(found),
      knownEnd: entry.usedBytes,
      skipBodiesBefore,
    });
    if (scanned.end !== entry.usedBytes) throw this.#damage(name, scanned.end, WHY[scanned.why]);
    const isSame = scanned.chain === entry.chain && (entry.generation > 0 || scanned.first === entry.first);
    if (!isSame)
      throw this.#damage(
        name,
        FIRST_RECORD_AT,
        'it is not the segment that the log was closed with: an older one?',
      );
    this.#damaged.push(...scanned.damaged);
    return { found, entry, contents: scanned };
  }

  /** Whether nothing but the mark that tells so follows what was synced. */
  #isSettled({ number }: Found, { claim, usedBytes, tornBytes }: SegmentScan): boolean {
    const bytes = RECORD_HEADER_BYTES + MARK_BODY_BYTES;
    return tornBytes === 0 && claim.number === number && usedBytes - claim.bytes === bytes;
  }

  /**
   * After a kill the newest records may be in the system's memory alone, and after a failed sync the system may take them for
   * written: they are written again, what is torn is cut off, and all of it is synced before anybody sees it.
   */
  async #settleTail({ file, number }: Found, scanned: SegmentScan): Promise<SegmentScan> {
    const { claim, usedBytes } = scanned;
    const from = claim.number === number ? Math.min(claim.bytes, usedBytes) : FIRST_RECORD_AT;
    const size = await file.size();
    const chunk = newMemory(Math.min(1 << 20, Math.max(0, usedBytes - from))).bytes;
    for (let at = from; at < usedBytes; at += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, usedBytes - at));
      await file.read(part, at);
      await file.write([part], at);
    }
    await file.truncate(usedBytes);
    try {
      await file.allocate(Math.max(size, this.#state.settings.segmentBytes));
    } catch (error) {
      // A full disk: the log opens, and waits for room.
      if (!isFull(error)) throw error;
    }
    const mark = markBytes(
      { claim, records: 0, chain: scanned.chain, sequence: scanned.last, offset: usedBytes, isPadded: true },
      this.#state.seed,
    );
    await file.write([mark.bytes], usedBytes);
    await file.sync();
    return {
      ...scanned,
      usedBytes: usedBytes + mark.bytes.length,
      chain: chained(scanned.chain, mark.words[0] as number),
    };
  }

  /** Files that belong to no segment of the log: unfinished ones, spares, what was dropped or replaced. */
  async #removeStrangers(mine: readonly FileName[]): Promise<void> {
    const { disk } = this.#folder;
    const names = new Set(mine.flatMap((name) => [fileName(name, 'seg'), fileName(name, 'idx')]));
    const strangers = this.#folder.found.filter(({ name }) => !names.has(name));
    for (const { file, name } of strangers) {
      await file.close();
      await disk.unlink(name);
    }
    this.#folder.found = this.#folder.found.filter(({ name }) => names.has(name));
    const files = [...this.#folder.unfinished, ...this.#folder.indices.filter((name) => !names.has(name))];
    for (const name of files) await disk.unlink(name);
    if (strangers.length > 0 || files.length > 0) await disk.syncFolder();
  }

  async #assemble(
    loaded: readonly Loaded[],
    found: Found,
    newest: SegmentScan,
  ): Promise<{ active: Active; segments: Segment[] }> {
    const { segments } = this.#state;
    for (const {
      found: { file },
      entry,
      contents,
    } of loaded) {
      const segment = new Segment(file, entry, entry.first);
      segment.usedBytes = entry.usedBytes;
      segment.writtenBytes = entry.usedBytes;
      segment.chain = entry.chain;
      segment.fill(contents.columns, entry.generation === 0);
      segment.last = entry.last;
      segments.add(segment);
    }
    const segment = new Segment(found.file, found, newest.first);
    segment.usedBytes = newest.usedBytes;
    segment.writtenBytes = newest.usedBytes;
    segment.chain = newest.chain;
    segment.fill(newest.columns, true);
    segments.add(segment);
    for (const { columns } of [...loaded.map(({ contents }) => contents), newest]) {
      for (const [row, streams] of columns.shared) {
        this.#state.shared.set(columns.sequences[row] as number, [...streams]);
      }
    }
    const contents = { columns: newest.columns, removals: [...newest.removals] };
    const active = new Active(this.#state, segment, contents, await found.file.size());
    return { active, segments: segments.all };
  }

  #applyRemovals(contents: readonly Contents[], segments: readonly Segment[]): void {
    const { last } = segments.at(-1) as Segment;
    contents.forEach(({ removals }, index) => {
      const owner = segments[index] as Segment;
      for (const { stream, runs } of removals) {
        const isGood = eachRun(runs, last, (first, length) => {
          for (let sequence = first; sequence < first + length; sequence += 1) {
            this.#applyRemoval(owner, stream, sequence);
          }
        });
        if (!isGood) throw this.#damage(owner.name, FIRST_RECORD_AT, 'a removal is not well formed');
      }
    });
  }

  #applyRemoval(owner: Segment, stream: number, sequence: number): void {
    const target = this.#state.segments.of(sequence);
    if (target === undefined || target.rowOf(sequence) < 0) return;
    this.#state.settle(stream, sequence);
    if (target !== owner) owner.removesFrom.add(target.number);
  }

  #eachLive(
    contents: readonly Contents[],
    segments: readonly Segment[],
    tell: (sequence: number, stream: number, note: number, stamp: number, bodyBytes: number) => void,
  ): void {
    contents.forEach(({ columns }, index) => {
      const segment = segments[index] as Segment;
      const { sequences, streams, notes, stamps, bodyBytes } = columns;
      for (let row = 0; row < columns.count; row += 1) {
        if (!segment.isLive(row)) continue;
        const sequence = sequences[row] as number;
        const owners = columns.shared.has(row) ? this.#state.shared.get(sequence) : undefined;
        for (const stream of owners ?? [streams[row] as number]) {
          tell(sequence, stream, notes[row] as number, stamps[row] as number, bodyBytes[row] as number);
        }
      }
    });
  }
}

const WHY = {
  zeros: 'nothing is written here, and records that were synced follow',
  limit: 'the file ends here, and records that were synced should follow',
  head: 'the head of a record is not what was written',
  body: 'the body of a record is not what was written',
  length: 'a record is longer than its segment',
} as const;
