// Writing segments anew: a run of them, of which at least half is not needed any more, becomes one that holds only what lives. Records
// keep their sequence, so whoever remembers one finds it again.

import { Columns } from './columns.ts';
import type { Disk, DiskFile } from './disk.ts';
import { writeHeader } from './file-header.ts';
import { FILE_HEADER_BYTES, FILE_KIND, fileName, FIRST_RECORD_AT, KIND, RECORD } from './format.ts';
import { type Memory, newMemory, readWord } from './memory.ts';
import { bodyOf, extraStreamsAt, kindAt, sequenceAt, strideOf, streamsAt, writeRecord } from './record.ts';
import { eachRun, Runs } from './runs.ts';
import { scan } from './scan.ts';
import { chained, Segment, type SegmentEntry } from './segment.ts';
import type { Contents } from './segment-index.ts';
import { UNFINISHED } from './spares.ts';
import { isWasteful, type LogState } from './state.ts';

export interface Rewritten {
  readonly entry: SegmentEntry;
  readonly contents: Contents;
  readonly file: DiskFile;
  /** Segments whose records the kept removals belong to. */
  readonly removesFrom: ReadonlySet<number>;
}

/** Thrown when a source is damaged: it stays as it is. */
export class DamagedSource extends Error {
  readonly segment: Segment;
  readonly offset: number;

  constructor(segment: Segment, offset: number) {
    super(`${segment.name} is damaged at byte ${offset}`);
    this.segment = segment;
    this.offset = offset;
  }
}

/** The next segments worth writing anew, or none: neighbours, so that few files remain. The newest is never among them. */
export function chooseSources(
  { segments, settings }: LogState,
  isSpared: (segment: Segment) => boolean,
): Segment[] {
  const sealed = segments.all.slice(0, -1);
  const isSmall = (segment: Segment): boolean => segment.usedBytes * 4 < settings.segmentBytes;
  const victim = sealed.findIndex((segment) => isWasteful(segment) && !isSpared(segment));
  if (victim < 0) return [];
  const sources: Segment[] = [];
  let bytes = 0;
  let at = victim;
  while (at > 0 && isSmall(sealed[at - 1] as Segment)) at -= 1;
  for (; at < sealed.length; at += 1) {
    const segment = sealed[at] as Segment;
    const isWanted = isWasteful(segment) || isSmall(segment);
    const fits = bytes + segment.liveBytes <= settings.segmentBytes;
    const isNear = segment.last - (sources[0] ?? segment).first < 2 ** 31;
    if (!isWanted || isSpared(segment) || !fits || !isNear) {
      if (at > victim) break;
      // Too much before the victim: begin behind it.
      sources.length = 0;
      bytes = 0;
      if (!isWanted || isSpared(segment)) continue;
    }
    sources.push(segment);
    bytes += segment.liveBytes;
  }
  return sources;
}

/** What the new segment will consist of, gathered in memory. */
class Output {
  readonly contents: Contents = { columns: new Columns(), removals: [] };
  readonly removesFrom: Set<number> = new Set();
  readonly parts: Uint8Array[] = [];
  usedBytes: number = FIRST_RECORD_AT;
  chain = 0;
  readonly #state: LogState;
  readonly #sources: ReadonlySet<Segment>;

  constructor(state: LogState, sources: readonly Segment[]) {
    this.#state = state;
    this.#sources = new Set(sources);
  }

  keep(memory: Memory, at: number, stride: number): void {
    const streams = extraStreamsAt(memory, at) === 0 ? undefined : streamsAt(memory, at);
    this.contents.columns.add(
      sequenceAt(memory, at),
      this.usedBytes,
      readWord(memory, at + RECORD.bodyBytes),
      readWord(memory, at + RECORD.stream),
      readWord(memory, at + RECORD.note),
      memory.floats[(at + RECORD.stamp) >>> 3] as number,
      streams,
    );
    this.#put(memory.bytes.slice(at, at + stride), readWord(memory, at) | 0);
  }

  /** Of a removal record only those runs whose records are still in some segment. */
  keepRemovals(memory: Memory, at: number): void {
    const stream = readWord(memory, at + RECORD.stream);
    const runs = new Runs();
    eachRun(bodyOf(memory, at), this.#state.segments.newest.last, (first, length) => {
      for (let sequence = first; sequence < first + length; sequence += 1) {
        const target = this.#targetOf(sequence);
        if (target === undefined) continue;
        runs.add(sequence);
        if (!this.#sources.has(target)) this.removesFrom.add(target.number);
      }
    });
    while (!runs.isEmpty) {
      const body = runs.take(1 << 16);
      const record = { stream, body };
      const copy = newMemory(strideOf(record));
      writeRecord(copy, 0, KIND.removal, sequenceAt(memory, at), record, this.#state.seed);
      this.contents.removals.push({ stream, runs: body });
      this.#put(copy.bytes, readWord(copy, 0) | 0);
    }
  }

  #targetOf(sequence: number): Segment | undefined {
    const target = this.#state.segments.of(sequence);
    const row = target?.rowOf(sequence) ?? -1;
    if (target === undefined || row < 0) return undefined;
    return this.#sources.has(target) && !target.isLive(row) ? undefined : target;
  }

  #put(bytes: Uint8Array, headCrc: number): void {
    this.parts.push(bytes);
    this.usedBytes += bytes.length;
    this.chain = chained(this.chain, headCrc);
  }
}

/** Writes a new segment of what lives in the sources; it is complete and synced, and belongs to nothing yet. */
export async function rewrite(state: LogState, sources: readonly Segment[]): Promise<Rewritten> {
  const output = new Output(state, sources);
  for (const source of sources) {
    const { end, why } = await scan(source.file, state.seed, FIRST_RECORD_AT, source.usedBytes, {
      record(memory, at, _offset, stride) {
        const kind = kindAt(memory, at);
        if (kind === KIND.removal) output.keepRemovals(memory, at);
        if (kind !== KIND.data) return;
        const row = source.rowOf(sequenceAt(memory, at));
        if (row >= 0 && source.isLive(row)) output.keep(memory, at, stride);
      },
    });
    if (why !== 'limit' || end !== source.usedBytes) throw new DamagedSource(source, end);
  }
  const { usedBytes, chain, contents, removesFrom } = output;
  const first = sources[0] as Segment;
  const generation = Math.max(...sources.map((source) => source.generation)) + 1;
  const entry = {
    number: first.number,
    generation,
    first: first.first,
    last: (sources.at(-1) as Segment).last,
    usedBytes,
    chain,
  };
  const file = await writeSegment(state.disk, state.logId, entry, output.parts);
  return { entry, contents, file, removesFrom };
}

async function writeSegment(
  disk: Disk,
  logId: Uint8Array,
  entry: SegmentEntry,
  parts: readonly Uint8Array[],
): Promise<DiskFile> {
  const { number, generation } = entry;
  const name = fileName(entry, 'seg');
  await disk.unlink(name + UNFINISHED).catch(() => undefined);
  const file = await disk.create(name + UNFINISHED);
  try {
    const header = newMemory(FILE_HEADER_BYTES);
    writeHeader(header, { kind: FILE_KIND.segment, number, generation, bodyBytes: 0, bodyCrc: 0, logId });
    await file.allocate(entry.usedBytes);
    await file.write([header.bytes], 0);
    await file.write(parts, FIRST_RECORD_AT);
    await file.sync();
    await disk.rename(name + UNFINISHED, name);
    await disk.syncFolder();
    return file;
  } catch (error) {
    await file.close().catch(() => undefined);
    await disk.unlink(name + UNFINISHED).catch(() => undefined);
    throw error;
  }
}

/** The new segment as it is now: what was removed while it was written is dead in it. */
export function replacement(state: LogState, sources: readonly Segment[], rewritten: Rewritten): Segment {
  const { entry, contents, file } = rewritten;
  const segment = new Segment(file, entry, entry.first);
  segment.last = entry.last;
  segment.usedBytes = entry.usedBytes;
  segment.writtenBytes = entry.usedBytes;
  segment.chain = entry.chain;
  segment.fill(contents.columns, false);
  for (const number of rewritten.removesFrom) segment.removesFrom.add(number);
  for (let row = 0; row < contents.columns.count; row += 1) {
    const sequence = contents.columns.sequences[row] as number;
    const source = state.segments.of(sequence);
    const sourceRow = source?.rowOf(sequence) ?? -1;
    if (source === undefined || !sources.includes(source) || !source.isLive(sourceRow)) segment.kill(row);
  }
  return segment;
}
