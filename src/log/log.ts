// The log: an append-only file of records that belong to streams, cut into segments. Records get a sequence, live until every stream
// they belong to has removed them, and are found again after a crash. It knows no queue and no message.

import { NaruError } from '../errors/index.ts';
import { Active } from './active.ts';
import { Columns } from './columns.ts';
import { Committer } from './committer.ts';
import type { Disk, Level, LogClock } from './disk.ts';
import { storageError } from './failures.ts';
import { seedOf } from './file-header.ts';
import { EXTRA_STREAMS_MAX, FIRST_RECORD_AT, KIND, LOG_ID_BYTES } from './format.ts';
import { Housekeeping } from './housekeeping.ts';
import type { LogRecord } from './record.ts';
import { strideOf } from './record.ts';
import { type ReadRecord, Reader } from './reader.ts';
import { Folder, isUnborn, type Recovered, Recovery, type RecoveryReport } from './recovery.ts';
import { Segment } from './segment.ts';
import { readSnapshot, SNAPSHOT_BYTES_MAX, writeEnd, writeSnapshot } from './snapshot.ts';
import { makeSegment } from './spares.ts';
import { type LogHooks, type LogSettings, LogState } from './state.ts';

export interface LogOptions extends LogHooks {
  /** Bytes of a segment, a multiple of 4096; segments that exist keep theirs. Default: 32 MiB, at least 64 KiB. */
  readonly segmentBytes?: number | undefined;
  /** Longest time until removals and records of level `memory` are written. Default: 20 ms. */
  readonly lazyMs?: number | undefined;
  /** An idle log notes after so long that everything was synced. Default: 100 ms. */
  readonly idleMarkMs?: number | undefined;
  /** How often a full disk is tried again. Default: 500 ms. */
  readonly fullRetryMs?: number | undefined;
  /** Bytes that may wait to be written before `append()` refuses more. Default: 256 MiB. */
  readonly pendingBytesMax?: number | undefined;
  /**
   * What a record with a damaged body is when the log is opened: an error (`refuse`), or told in the report and by `damaged`
   * (`report`). Damage to anything else is always an error. Default: refuse.
   */
  readonly damage?: 'refuse' | 'report' | undefined;
  /** Called while the log opens, for every record and every stream that needs it, in the order of the sequences. */
  readonly live?: (sequence: number, stream: number, note: number, stamp: number, bodyBytes: number) => void;
  /** Fills the bytes with random ones: the log's identity. */
  readonly random: (bytes: Uint8Array) => void;
  readonly clock: LogClock;
}

/** Figures of a log. */
export interface LogStats {
  readonly segments: number;
  /** Records that live and are in a segment. */
  readonly records: number;
  /** In segments, without room that is only preallocated. */
  readonly usedBytes: number;
  /** Of these, what a new writing of all segments would leave. */
  readonly liveBytes: number;
  readonly pendingBytes: number;
  /** Segments written anew to free room, and what that wrote. */
  readonly rewrites: number;
  readonly rewrittenBytes: number;
}

const DEFAULTS = { segmentBytes: 32 << 20, lazyMs: 20, idleMarkMs: 100, fullRetryMs: 500 } as const;
const SEGMENT_BYTES_MIN = 64 << 10;
const PENDING_BYTES_MAX = 256 << 20;
/** A batch and what surrounds it must fit into one segment. */
const BATCH_BYTES_MAX = 1 << 30;

export class Log {
  readonly #state: LogState;
  readonly #committer: Committer;
  readonly #housekeeping: Housekeeping;
  readonly #reader: Reader;
  readonly #unlock: () => Promise<void>;
  readonly #pendingBytesMax: number;
  #next: number;
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #snapshots: Promise<unknown> = Promise.resolve();
  /** What opening found. */
  readonly report: RecoveryReport;

  private constructor(
    state: LogState,
    recovered: Omit<Recovered, 'eachLive'>,
    elapsedMs: number,
    unlock: () => Promise<void>,
    pendingBytesMax: number,
  ) {
    const { active, synced, told, report } = recovered;
    this.#state = state;
    this.#unlock = unlock;
    this.#pendingBytesMax = pendingBytesMax;
    this.#housekeeping = new Housekeeping(state, () => this.#committer);
    this.#committer = new Committer(state, active, synced, told, (sealed) =>
      this.#housekeeping.finished(sealed),
    );
    this.#reader = new Reader(state);
    this.#next = active.segment.last + 1;
    this.report = { ...report, elapsedMs };
  }

  /**
   * Opens the log in a folder, and makes it when the folder has none.
   *
   * @throws NARU_EXISTS  another process writes to it; NARU_CORRUPT  damage, with file and offset; NARU_STORAGE  the disk failed;
   *   NARU_INVALID_ARGUMENT; NARU_DENIED
   */
  static async open(disk: Disk, options: LogOptions): Promise<Log> {
    const { clock, random, live, damage = 'refuse', pendingBytesMax = PENDING_BYTES_MAX } = options;
    const settings = settingsOf(disk, options);
    const startMs = clock.now();
    const unlock = await lockOf(disk);
    const folder = new Folder(disk);
    try {
      await folder.read();
      const isNew = folder.logId === undefined || (await isUnborn(folder, seedOf(folder.logId)));
      const logId = isNew ? randomId(random) : (folder.logId as Uint8Array);
      const state = new LogState(disk, clock, options, settings, logId);
      const recovery = new Recovery(state, folder, damage === 'report');
      const recovered = isNew ? await begin(state, folder) : await recovery.run();
      if (live !== undefined) recovered.eachLive(live);
      const log = new Log(state, recovered, clock.now() - startMs, unlock, pendingBytesMax);
      if (isNew) await log.commit('disk');
      log.#housekeeping.look();
      return log;
    } catch (error) {
      await folder.close();
      await unlock();
      if (error instanceof NaruError) throw error;
      throw storageError(disk.folder, 'opening it', error);
    }
  }

  /** The sequence that the next record gets. The first of a log is 1. */
  get next(): number {
    return this.#next;
  }

  /** Every record up to this sequence is in the operating system's hands: it survives a kill of this process. */
  get written(): number {
    return this.#committer.written;
  }

  /** Every record up to this sequence is on the disk: it survives a loss of power. */
  get synced(): number {
    return this.#committer.synced;
  }

  /** The disk is full: what is appended waits in memory, until there is room. `full` tells when that changes. */
  get isFull(): boolean {
    return this.#committer.isFull;
  }

  /** Bytes that wait to be written. */
  get pendingBytes(): number {
    return this.#committer.pendingBytes;
  }

  /** Bytes that `append()` takes before it refuses more. */
  get roomBytes(): number {
    const { pendingBytes } = this;
    return pendingBytes === 0 ? BATCH_BYTES_MAX : Math.max(0, this.#pendingBytesMax - pendingBytes);
  }

  /** Set when the log has stopped for good. */
  get failure(): NaruError | undefined {
    return this.#state.failure;
  }

  /**
   * Appends records. They stay together: after a crash all of them are there, or none. The bodies are copied.
   *
   * @param level  how far they must get, and `progress` be called, as soon as possible. `memory`: no hurry
   * @returns the sequence of the first; the others follow by ones
   * @throws NARU_STORAGE  the log has stopped; NARU_CLOSED; NARU_TOO_LARGE; NARU_FULL  too much waits already (a full disk);
   *   NARU_INVALID_ARGUMENT
   */
  append(records: readonly LogRecord[], level: Level = 'disk'): number {
    this.#check();
    if (records.length === 0) return this.#next;
    this.#checkRecords(records);
    const first = this.#next;
    this.#next += records.length;
    this.#committer.append(records, first, level);
    return first;
  }

  #checkRecords(records: readonly LogRecord[]): void {
    let bytes = 0;
    for (const record of records) {
      if ((record.extraStreams?.length ?? 0) > EXTRA_STREAMS_MAX) {
        const count = record.extraStreams?.length;
        throw new NaruError(
          'NARU_INVALID_ARGUMENT',
          `${count} extra streams of a record, at most ${EXTRA_STREAMS_MAX}`,
        );
      }
      bytes += strideOf(record);
    }
    const { folder } = this.#state.disk;
    if (bytes > BATCH_BYTES_MAX) {
      const text = `the log in ${folder} takes at most ${BATCH_BYTES_MAX} bytes at once, not ${bytes}: append less`;
      throw new NaruError('NARU_TOO_LARGE', text);
    }
    const { pendingBytes } = this.#committer;
    if (pendingBytes > 0 && pendingBytes + bytes > this.#pendingBytesMax) {
      const text = `${pendingBytes} bytes wait for the disk of the log in ${folder}, at most ${this.#pendingBytesMax}`;
      throw new NaruError('NARU_FULL', `${text}: append when progress is told`);
    }
  }

  /**
   * A stream needs a record no more. When no stream does, its room is freed some time. Written within `lazyMs`; `commit()`
   * waits for it. What a crash forgets is there again. Unknown records are ignored.
   */
  remove(stream: number, sequence: number): void {
    this.#check();
    this.#state.remove(stream, sequence);
    this.#committer.lazily();
    if (this.#state.hasDead) this.#housekeeping.look();
  }

  /**
   * Resolves when everything so far, removals included, is written (`os`), or on the disk (`disk`). Waits while the disk is full.
   * @throws NARU_STORAGE  the log has stopped; NARU_CLOSED
   */
  async commit(level: 'os' | 'disk' = 'disk'): Promise<void> {
    this.#check();
    await this.#committer.commit(level);
  }

  /**
   * A record that is in memory already. Otherwise call `fetch()` and ask again, more than once if need be: its segment may have
   * been written anew in between.
   * @throws NARU_CORRUPT  it is damaged; names file and offset
   */
  peek(sequence: number): ReadRecord | undefined {
    return this.#reader.peek(sequence);
  }

  /**
   * Reads a record and about a megabyte of what follows it into memory, for `peek()`. Waits until the record is written.
   * @throws NARU_STORAGE  the disk failed, or the log has stopped
   */
  async fetch(sequence: number): Promise<void> {
    if (sequence > this.written && sequence < this.#next) await this.commit('os');
    await this.#reader.fetch(sequence);
  }

  /**
   * Reads one record. @returns undefined when the log does not have it
   * @throws NARU_CORRUPT  it is damaged; NARU_STORAGE
   */
  async read(sequence: number): Promise<ReadRecord | undefined> {
    for (;;) {
      const known = this.peek(sequence);
      if (known !== undefined) return known;
      await this.fetch(sequence);
      // Its segment may have been written anew meanwhile: then it is read from there.
      if (!this.#reader.has(sequence)) return undefined;
    }
  }

  /**
   * Replaces a small file beside the log as a whole: definitions, cursors. It is on the disk when this resolves.
   *
   * @param name  1 to 64 of a-z, 0-9 and -
   * @throws NARU_INVALID_ARGUMENT; NARU_TOO_LARGE  more than 256 MiB; NARU_STORAGE  the disk failed (one that is full: nothing has
   *   changed, call again); NARU_CLOSED
   */
  async writeSnapshot(name: string, contents: Uint8Array): Promise<void> {
    this.#check();
    checkSnapshotName(name);
    if (contents.length > SNAPSHOT_BYTES_MAX) {
      const text = `a snapshot has at most ${SNAPSHOT_BYTES_MAX} bytes, not ${contents.length}`;
      throw new NaruError('NARU_TOO_LARGE', text);
    }
    const { disk, logId } = this.#state;
    const write = this.#snapshots.then(() => writeSnapshot(disk, logId, name, contents));
    this.#snapshots = write.catch(() => undefined);
    try {
      await write;
    } catch (error) {
      throw storageError(disk.folder, `writing the snapshot ${name}`, error);
    }
  }

  /**
   * @returns undefined when it was never written
   * @throws NARU_CORRUPT  naming the file; NARU_STORAGE; NARU_INVALID_ARGUMENT
   */
  async readSnapshot(name: string): Promise<Uint8Array | undefined> {
    checkSnapshotName(name);
    const { disk, logId } = this.#state;
    try {
      return await readSnapshot(disk, logId, name);
    } catch (error) {
      if (error instanceof NaruError) throw error;
      throw storageError(disk.folder, `reading the snapshot ${name}`, error);
    }
  }

  get stats(): LogStats {
    const { segments } = this.#state;
    const { rewrites, rewrittenBytes } = this.#housekeeping;
    return {
      segments: segments.all.length,
      records: segments.all.reduce((sum, { live }) => sum + live, 0),
      usedBytes: segments.usedBytes,
      liveBytes: segments.liveBytes,
      pendingBytes: this.pendingBytes,
      rewrites,
      rewrittenBytes,
    };
  }

  #check(): void {
    if (this.#state.failure !== undefined) throw this.#state.failure;
    if (this.#isClosed) throw new NaruError('NARU_CLOSED', `the log in ${this.#state.disk.folder} is closed`);
  }

  /**
   * Syncs everything, notes that it was, and lets go of the folder. A second call waits for the first.
   * @throws NARU_STORAGE  the log has stopped before, or the disk is full and something waits for room
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    try {
      await this.#housekeeping.close();
      await this.#committer.close();
      await this.#snapshots;
      if (this.#state.failure !== undefined) throw this.#state.failure;
      const { disk, logId } = this.#state;
      await writeEnd(disk, logId, this.#committer.syncedEnd);
    } finally {
      for (const segment of this.#state.segments.all) await segment.retire().catch(() => undefined);
      await this.#unlock();
    }
  }
}

async function lockOf(disk: Disk): Promise<() => Promise<void>> {
  try {
    return await disk.lock();
  } catch (error) {
    if (error instanceof NaruError) throw error;
    throw storageError(disk.folder, 'locking it', error);
  }
}

function randomId(random: (bytes: Uint8Array) => void): Uint8Array {
  const id = new Uint8Array(LOG_ID_BYTES);
  random(id);
  return id;
}

/** A log without records: its first segment, of which nothing is committed yet. */
async function begin(state: LogState, folder: Folder): Promise<Recovered> {
  await folder.close();
  for (const name of [...folder.found.map((found) => found.name), ...folder.unfinished]) {
    await state.disk.unlink(name);
  }
  folder.found = [];
  const { file, bytes } = await makeSegment(state, 1, state.settings.segmentBytes);
  const segment = new Segment(file, { number: 1, generation: 0 }, 1);
  state.segments.add(segment);
  const active = new Active(state, segment, { columns: new Columns(), removals: [] }, bytes);
  active.placeEntries(KIND.manifest, new Uint8Array(), 0);
  const synced = { number: 1, bytes: FIRST_RECORD_AT };
  const nothing = {
    isClean: true,
    segments: 1,
    records: 0,
    tornRecords: 0,
    tornBytes: 0,
    scannedSegments: 0,
    damaged: [],
  };
  return { active, synced, told: synced, report: nothing, eachLive: () => undefined };
}

function settingsOf({ folder }: Disk, options: LogOptions): LogSettings {
  const { segmentBytes = DEFAULTS.segmentBytes, lazyMs = DEFAULTS.lazyMs } = options;
  const { idleMarkMs = DEFAULTS.idleMarkMs, fullRetryMs = DEFAULTS.fullRetryMs } = options;
  const isGood = segmentBytes % 4096 === 0 && segmentBytes >= SEGMENT_BYTES_MIN && segmentBytes <= 1 << 30;
  if (!isGood) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `segmentBytes of the log in ${folder} must be a multiple of 4096 from ${SEGMENT_BYTES_MIN} to ${1 << 30}, got ${segmentBytes}`,
    );
  }
  return { segmentBytes, lazyMs, idleMarkMs, fullRetryMs };
}

function checkSnapshotName(name: string): void {
  if (/^[a-z0-9-]{1,64}$/.test(name)) return;
  const shown = name.slice(0, 80);
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `a snapshot's name is 1 to 64 of a-z, 0-9 and -, got ${shown}`,
  );
}
