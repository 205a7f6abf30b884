// What must be true of a log, kept beside it: what was appended, confirmed and removed. Drives a log with a script of random steps, and
// judges what a recovery finds.

import { seeded, type SimDisk } from './sim-disk.fixture.ts';
import { settled, SimClock } from './clock.fixture.ts';
import type { Level } from './disk.ts';
import { Log, type LogOptions, type LogRecord } from './index.ts';

/** One step of a script. */
export type Step =
  | {
      readonly do: 'append';
      readonly count: number;
      readonly bytes: number;
      readonly level: Level;
      readonly streams: number;
    }
  | { readonly do: 'remove'; readonly part: number; readonly newest: boolean }
  | { readonly do: 'commit'; readonly level: 'os' | 'disk' }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'snapshot' }
  | { readonly do: 'restart' };

interface Known {
  readonly streams: readonly number[];
  readonly body: Uint8Array;
  readonly note: number;
  /** Batch it was appended in: its first sequence. */
  readonly batch: number;
  readonly removedBy: Set<number>;
}

export class Model {
  readonly known: Map<number, Known> = new Map();
  /** Everything up to here was told to be on the disk. */
  synced = 0;
  /** Removals that `commit('disk')` has confirmed: `stream/sequence`. */
  readonly settled: Set<string> = new Set();
  #removed: string[] = [];
  snapshot: string | undefined;
  snapshotBegun: string | undefined;
  readonly #random: () => number;
  log: Log | undefined;
  clock: SimClock = new SimClock();
  failures: Error[] = [];

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  options(disk: SimDisk): LogOptions {
    const random = seeded(disk.operations + 1);
    return {
      clock: this.clock,
      random: (bytes) => {
        for (let at = 0; at < bytes.length; at += 1) bytes[at] = Math.floor(random() * 256);
      },
      segmentBytes: 1 << 16,
      progress: (_written, synced) => {
        if (!disk.isOff) this.synced = Math.max(this.synced, synced);
      },
      failed: (error) => this.failures.push(error),
    };
  }

  /** What the log says is only believed while the power is on. */
  #look(disk: SimDisk): void {
    if (!disk.isOff && this.log !== undefined) this.synced = Math.max(this.synced, this.log.synced);
  }

  /** Runs a script; never resolves when the power goes off meanwhile. */
  async run(disk: SimDisk, steps: readonly Step[]): Promise<void> {
    this.log ??= await Log.open(disk, this.options(disk));
    for (const step of steps) {
      // The program ended with the power: nothing of it goes on.
      if (disk.isOff) await new Promise<never>(() => undefined);
      await this.#step(disk, step);
    }
  }

  async #step(disk: SimDisk, step: Step): Promise<void> {
    const log = this.log as Log;
    if (step.do === 'append') this.#append(log, step);
    else if (step.do === 'remove') this.#remove(log, step);
    else if (step.do === 'commit') await this.#commit(disk, log, step.level);
    else if (step.do === 'pass') {
      this.clock.advance(step.ms);
      await settled();
    } else if (step.do === 'snapshot') await this.#snapshot(disk, log);
    else {
      await log.close();
      this.#look(disk);
      for (const key of this.#removed) this.settled.add(key);
      this.log = undefined;
      this.log = await Log.open(disk, this.options(disk));
    }
  }

  #append(log: Log, { count, bytes, level, streams }: Step & { do: 'append' }): void {
    const records: LogRecord[] = [];
    for (let index = 0; index < count; index += 1) {
      const body = new Uint8Array(Math.floor(this.#random() * bytes));
      body.fill(Math.floor(this.#random() * 256));
      body.set(Array.from({ length: Math.min(8, body.length) }, () => Math.floor(this.#random() * 256)));
      const stream = Math.floor(this.#random() * 4);
      const extraStreams = Array.from({ length: streams - 1 }, (_, extra) => 10 + extra);
      records.push({ stream, extraStreams, body, note: Math.floor(this.#random() * 1000), stamp: index });
    }
    const batch = log.append(records, level);
    records.forEach(({ stream, extraStreams = [], body, note = 0 }, index) => {
      const known = {
        streams: [stream, ...extraStreams],
        body: body as Uint8Array,
        note,
        batch,
        removedBy: new Set<number>(),
      };
      this.known.set(batch + index, known);
    });
  }

  #remove(log: Log, { part, newest }: Step & { do: 'remove' }): void {
    const live = [...this.known].filter(([, { streams, removedBy }]) => removedBy.size < streams.length);
    const count = Math.ceil(live.length * part);
    for (const [sequence, { streams, removedBy }] of newest ? live.slice(-count) : live.slice(0, count)) {
      for (const stream of streams) {
        if (removedBy.has(stream) || (streams.length > 1 && this.#random() < 0.3)) continue;
        log.remove(stream, sequence);
        removedBy.add(stream);
        this.#removed.push(`${stream}/${sequence}`);
      }
    }
  }

  async #commit(disk: SimDisk, log: Log, level: 'os' | 'disk'): Promise<void> {
    const removed = [...this.#removed];
    await log.commit(level);
    this.#look(disk);
    if (level === 'disk' && !disk.isOff) for (const key of removed) this.settled.add(key);
  }

  async #snapshot(disk: SimDisk, log: Log): Promise<void> {
    const text = `snapshot ${Math.floor(this.#random() * 1e9)}`;
    this.snapshotBegun = text;
    await log.writeSnapshot('state', new TextEncoder().encode(text));
    if (!disk.isOff) this.snapshot = text;
  }

  /** Opens what a crash has left, says everything that is wrong with it, and goes on with that. */
  async recover(disk: SimDisk): Promise<string[]> {
    const wrong: string[] = [];
    const found = new Map<string, number>();
    this.clock = new SimClock();
    this.log = undefined;
    let log: Log;
    try {
      log = await Log.open(disk, {
        ...this.options(disk),
        live: (sequence, stream, note) => {
          if (found.has(`${stream}/${sequence}`)) wrong.push(`${stream}/${sequence} is told twice`);
          found.set(`${stream}/${sequence}`, note);
        },
      });
    } catch (error) {
      return [`it does not open: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
    }
    this.log = log;
    if (log.next <= this.synced)
      wrong.push(`up to ${this.synced} was confirmed, the log goes on at ${log.next}`);
    this.#judge(log, found, wrong);
    await this.#judgeBodies(log, found, wrong);
    const bytes = await log.readSnapshot('state');
    const text = bytes === undefined ? undefined : new TextDecoder().decode(bytes);
    if (text !== this.snapshot && text !== this.snapshotBegun)
      wrong.push(`snapshot: ${text}, not ${this.snapshot}`);
    this.snapshot = text;
    this.#adopt(log, found);
    return wrong;
  }

  #judge(log: Log, found: ReadonlyMap<string, number>, wrong: string[]): void {
    for (const [sequence, { streams, removedBy, batch, note }] of this.known) {
      if (sequence >= log.next) {
        if (batch < log.next) wrong.push(`the batch of ${batch} was torn at ${log.next}`);
        continue;
      }
      for (const stream of streams) {
        const key = `${stream}/${sequence}`;
        const isThere = found.has(key);
        if (!isThere && !removedBy.has(stream))
          wrong.push(`${key} is lost (confirmed: ${sequence <= this.synced})`);
        if (isThere && this.settled.has(key)) wrong.push(`${key} is back, its removal was confirmed`);
        if (isThere && found.get(key) !== note)
          wrong.push(`${key} has the note ${found.get(key)}, not ${note}`);
      }
    }
    for (const key of found.keys()) {
      const [stream, sequence] = key.split('/').map(Number) as [number, number];
      if (this.known.get(sequence)?.streams.includes(stream) !== true)
        wrong.push(`${key} comes from nowhere`);
    }
  }

  async #judgeBodies(log: Log, found: ReadonlyMap<string, number>, wrong: string[]): Promise<void> {
    for (const sequence of new Set([...found.keys()].map((key) => Number(key.split('/')[1])))) {
      const record = await log.read(sequence);
      const known = this.known.get(sequence);
      if (record === undefined) wrong.push(`${sequence} cannot be read`);
      else if (known !== undefined && Buffer.compare(record.body, known.body) !== 0)
        wrong.push(`${sequence} has another body`);
    }
  }

  /** What recovery found is what is so from now on. */
  #adopt(log: Log, found: ReadonlyMap<string, number>): void {
    this.synced = log.next - 1;
    this.#removed = [];
    this.settled.clear();
    for (const [sequence, known] of this.known) {
      const left = known.streams.filter((stream) => found.has(`${stream}/${sequence}`));
      if (sequence >= log.next || left.length === 0) {
        this.known.delete(sequence);
        continue;
      }
      for (const stream of known.streams) {
        if (left.includes(stream)) known.removedBy.delete(stream);
        else known.removedBy.add(stream);
      }
    }
  }
}

/** A script that ends in many segments, some of them written anew. */
export function longScript(seed: number, length: number): Step[] {
  const random = seeded(seed);
  const steps: Step[] = [];
  const levels = ['memory', 'os', 'disk', 'disk'] as const;
  for (let index = 0; index < length; index += 1) {
    const choice = random();
    if (choice < 0.5) {
      steps.push({
        do: 'append',
        count: 1 + Math.floor(random() * 12),
        bytes: random() < 0.05 ? 90_000 : 2_000,
        level: levels[Math.floor(random() * 4)] as Level,
        streams: random() < 0.2 ? 3 : 1,
      });
    } else if (choice < 0.7) steps.push({ do: 'remove', part: random(), newest: random() < 0.2 });
    else if (choice < 0.85) steps.push({ do: 'commit', level: random() < 0.3 ? 'os' : 'disk' });
    else if (choice < 0.95) steps.push({ do: 'pass', ms: 150 });
    else if (choice < 0.98) steps.push({ do: 'snapshot' });
    else steps.push({ do: 'restart' });
  }
  return steps;
}
