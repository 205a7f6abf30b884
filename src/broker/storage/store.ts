// The broker's side of the segment log: which stream is whose, how safe something must be before it is confirmed, and who waits
// for that. Pure: the log, and with it the disk and the clock, is given. Knows no queue and no message.

import { NaruError } from '../../errors/index.ts';
import type { Damage, Level, Log, LogOptions, LogRecord, LogStats, ReadRecord } from '../../log/index.ts';
import { grow } from '../typed.ts';
import { packRemoved, type Removed } from './message-record.ts';

/** Streams that belong to no queue; a queue's, or a delaying exchange's, are from `first` on. */
export const STREAM = { definitions: 0, returns: 1, transactions: 2, first: 16 } as const;

/** What a record of the log takes beside its body, at most; see docs/internals/log.md. */
const RECORD_BYTES = 64;

/** What the store asks of a log while it opens. */
export type StoreLogOptions = Required<
  Pick<LogOptions, 'damage' | 'live' | 'progress' | 'full' | 'damaged' | 'failed'>
>;

/** Opens the log of a folder, real or simulated. */
export type OpenLog = (options: StoreLogOptions) => Promise<Log>;

/** What the store tells its broker. */
export interface StoreHooks {
  /** The disk is full, or not any more. */
  full(): void;
  /** Something got as far as it must: whoever waited was told. */
  progressed(): void;
  /** A record cannot be read. */
  damaged(damage: Damage): void;
  /** The log has stopped for good: nothing is confirmed any more. */
  failed(error: NaruError): void;
}

/** Waits until what it appended is safe. */
export interface StoreWaiter {
  /** Everything up to this sequence is. @returns whether it waits for more */
  reach(sequence: number): boolean;
}

/** Calls for each record that was found; see `Store.eachFound()`. */
export type FoundRecord = (
  sequence: number,
  stream: number,
  note: number,
  stamp: number,
  bodyBytes: number,
) => void;

/** Removal of what was moved, when the copy is safe. */
interface Move {
  readonly copy: number;
  readonly stream: number;
  readonly sequence: number;
}

/** Records as they are found: five numbers each, no object. */
class FoundRecords {
  #numbers = new Float64Array(5 * 256);
  #size = 0;

  add(sequence: number, stream: number, note: number, stamp: number, bodyBytes: number): void {
    if (this.#size === this.#numbers.length) {
      this.#numbers = grow(this.#numbers, new Float64Array(this.#numbers.length * 2));
    }
    const numbers = this.#numbers;
    const at = this.#size;
    numbers[at] = sequence;
    numbers[at + 1] = stream;
    numbers[at + 2] = note;
    numbers[at + 3] = stamp;
    numbers[at + 4] = bodyBytes;
    this.#size = at + 5;
  }

  each(tell: FoundRecord): void {
    const numbers = this.#numbers;
    for (let at = 0; at < this.#size; at += 5) {
      tell(
        numbers[at] as number,
        numbers[at + 1] as number,
        numbers[at + 2] as number,
        numbers[at + 3] as number,
        numbers[at + 4] as number,
      );
    }
  }
}

/** What is appended and removed together. */
interface Batch {
  /** Sequence that the first of its records gets. */
  readonly first: number;
  readonly records: LogRecord[];
  readonly removed: Removed[];
  level: Level;
  bytes: number;
  /** Everything found room so far. */
  isWhole: boolean;
}

const QUIET: StoreHooks = {
  full: () => undefined,
  progressed: () => undefined,
  damaged: () => undefined,
  failed: () => undefined,
};

export class Store {
  /** How safe something is when it is confirmed. */
  readonly level: Level;
  hooks: StoreHooks = QUIET;
  #log: Log | undefined;
  #found: FoundRecords | undefined = new FoundRecords();
  #nextStream: number = STREAM.first;
  #waiters = new Set<StoreWaiter>();
  #moves: Move[] = [];
  #isClosed = false;
  /** Sequences from … to were asked to be on the disk, whatever `level` says, and are not all yet; 0: there are none. */
  #strictFrom = 0;
  #strictTo = 0;
  #batch: Batch | undefined;

  private constructor(level: Level) {
    this.level = level;
  }

  /**
   * Opens the log, and makes it when there is none.
   * @throws NARU_EXISTS  another broker has the folder; NARU_CORRUPT  damage to anything but messages, with file and offset;
   *   NARU_STORAGE; NARU_DENIED
   */
  static async open(open: OpenLog, level: Level): Promise<Store> {
    const store = new Store(level);
    store.#log = await open({
      damage: 'report',
      live: (sequence, stream, note, stamp, bodyBytes) =>
        store.#found?.add(sequence, stream, note, stamp, bodyBytes),
      progress: () => store.#progress(),
      full: () => store.hooks.full(),
      damaged: (damage) => store.hooks.damaged(damage),
      failed: (error) => store.hooks.failed(error),
    });
    return store;
  }

  get log(): Log {
    return this.#log as Log;
  }

  get isFull(): boolean {
    return this.log.isFull;
  }

  get failure(): NaruError | undefined {
    return this.log.failure;
  }

  get stats(): LogStats {
    return this.log.stats;
  }

  /** Bytes that wait for the disk. */
  get pendingBytes(): number {
    return this.log.pendingBytes;
  }

  /**
   * Everything up to this sequence is as safe as it must be to be confirmed. What must be on the disk, whatever `level` says, holds
   * up what comes after it.
   */
  get reached(): number {
    if (this.level === 'disk') return this.log.synced;
    const usual = this.level === 'memory' ? Infinity : this.log.written;
    return this.#strictTo === 0 ? usual : Math.min(usual, this.#strictFrom - 1);
  }

  /** How safe everything so far must become before it is answered. */
  get answersAt(): Level {
    return this.#strictTo === 0 ? this.level : 'disk';
  }

  /** Bytes that can be appended before the disk is too far behind. */
  get roomBytes(): number {
    return this.log.roomBytes;
  }

  /** A number for a stream that none has had. */
  takeStream(): number {
    this.#nextStream += 1;
    return this.#nextStream - 1;
  }

  /** Streams up to this one are, or were, somebody's. */
  knowStream(stream: number): void {
    this.#nextStream = Math.max(this.#nextStream, stream + 1);
  }

  get nextStream(): number {
    return this.#nextStream;
  }

  /** Tells every record that was found when the log was opened, in order, until forgetFound(). */
  eachFound(tell: FoundRecord): void {
    this.#found?.each(tell);
  }

  forgetFound(): void {
    this.#found = undefined;
  }

  /**
   * Appends one record. @returns its sequence
   * @param level  `disk`: it must be there before it is confirmed, whatever the level of the store is
   * @throws NARU_FULL  too much waits for a full disk; NARU_STORAGE
   */
  append(
    streams: readonly number[],
    note: number,
    stamp: number,
    body: Uint8Array,
    level: Level = this.level,
  ): number {
    const [stream = 0] = streams;
    const extraStreams = streams.length > 1 ? streams.slice(1) : undefined;
    if (this.#batch !== undefined) {
      // Its memory may be another's before it is written.
      const kept = Uint8Array.from(body);
      return this.#addTo(this.#batch, { stream, extraStreams, note, stamp, body: kept }, kept.length, level);
    }
    const sequence = this.log.append([{ stream, extraStreams, note, stamp, body }], level);
    if (level === 'disk' && this.level !== 'disk') this.#expectSync(sequence);
    return sequence;
  }

  #expectSync(sequence: number): void {
    if (this.#strictTo === 0) this.#strictFrom = sequence;
    this.#strictTo = sequence;
  }

  /**
   * What `work` appends and removes is there as a whole after a crash, or not at all.
   * @returns false when some of it found no room: whatever was asked for must not be confirmed
   * @throws NARU_STORAGE
   */
  atomically(work: () => void): boolean {
    const batch: Batch = {
      first: this.log.next,
      records: [],
      removed: [],
      level: this.level,
      bytes: 0,
      isWhole: true,
    };
    this.#batch = batch;
    try {
      work();
    } finally {
      this.#batch = undefined;
      this.#write(batch);
    }
    return batch.isWhole;
  }

  /** Its sequence is known before it is written. @throws NARU_FULL */
  #addTo(batch: Batch, record: LogRecord, bodyBytes: number, level: Level): number {
    const bytes = batch.bytes + bodyBytes + RECORD_BYTES;
    if (bytes > this.roomBytes) {
      batch.isWhole = false;
      throw new NaruError(
        'NARU_FULL',
        `${batch.bytes} bytes of one transaction wait for the disk: that is too much`,
      );
    }
    batch.bytes = bytes;
    batch.records.push(record);
    if (level === 'disk') batch.level = 'disk';
    return batch.first + batch.records.length - 1;
  }

  /**
   * Its records are one batch of the log. Removals are not part of a batch: one more record tells of them, and they are made when that
   * is safe. Made at once they might be written before it, when it goes into another segment.
   */
  #write({ first, records, removed, level }: Batch): void {
    const older = removed.filter(({ sequence }) => sequence < first);
    const isNoted = older.length > 1 || (older.length > 0 && records.length > 0);
    if (isNoted) records.push({ stream: STREAM.transactions, note: 0, stamp: 0, body: packRemoved(older) });
    const last = first + records.length - 1;
    if (records.length > 0) {
      this.log.append(records, level);
      if (level === 'disk' && this.level !== 'disk') this.#expectSync(last);
    }
    for (const { stream, sequence } of removed) {
      if (isNoted) this.removeAfter(last, stream, sequence);
      else this.remove(stream, sequence);
    }
    if (isNoted) this.removeAfter(last, STREAM.transactions, last);
  }

  /** The removals that a record tells of were made: it goes when they are written. */
  forgetTransaction(record: number): void {
    const forget = (): void => this.remove(STREAM.transactions, record);
    // A log that has stopped keeps it: the next start does the same again.
    void this.log.commit('os').then(forget, () => undefined);
  }

  /** A stream needs a record no more. Written some time soon; a crash may bring it back. */
  remove(stream: number, sequence: number): void {
    if (this.failure !== undefined || this.#isClosed) return;
    if (this.#batch === undefined) this.log.remove(stream, sequence);
    else this.#batch.removed.push({ stream, sequence });
  }

  /** The same, when the record that took its place is safe: a crash may leave both, never none. */
  removeAfter(copy: number, stream: number, sequence: number): void {
    this.#moves.push({ copy, stream, sequence });
  }

  /** Resolves when everything so far, removals included, is as safe as it must be. Waits while the disk is full. */
  async settled(): Promise<void> {
    const level = this.answersAt;
    if (level !== 'memory') await this.log.commit(level);
  }

  /** Tells `waiter` how far it is, whenever that changes, until it waits no more. */
  wait(waiter: StoreWaiter): void {
    this.#waiters.add(waiter);
  }

  /** A record that is in memory. @throws NARU_CORRUPT */
  peek(sequence: number): ReadRecord | undefined {
    return this.log.peek(sequence);
  }

  /** Reads a record, and a megabyte of what follows it. @throws NARU_CORRUPT; NARU_STORAGE */
  read(sequence: number): Promise<ReadRecord | undefined> {
    return this.log.read(sequence);
  }

  /** @throws NARU_STORAGE  the log has stopped, or the disk is full and something waits for room */
  async close(): Promise<void> {
    // Copies first, then what was moved goes from where it was.
    if (this.#moves.length > 0) await this.log.commit(this.answersAt === 'disk' ? 'disk' : 'os');
    this.#isClosed = true;
    await this.log.close();
  }

  #progress(): void {
    // The log tells of its first progress while it opens.
    if (this.#log === undefined) return;
    const { synced } = this.log;
    if (synced >= this.#strictTo) this.#strictTo = 0;
    else if (synced >= this.#strictFrom) this.#strictFrom = synced + 1;
    this.#move();
    const { reached } = this;
    for (const waiter of this.#waiters) if (!waiter.reach(reached)) this.#waiters.delete(waiter);
    this.hooks.progressed();
  }

  #move(): void {
    if (this.#moves.length === 0) return;
    const safe = Math.min(this.reached, this.log.written);
    const done = this.#moves.findIndex(({ copy }) => copy > safe);
    const moved = this.#moves.splice(0, done < 0 ? this.#moves.length : done);
    for (const { stream, sequence } of moved) {
      if (stream === STREAM.transactions) this.forgetTransaction(sequence);
      else this.remove(stream, sequence);
    }
  }
}
