// The segment log in one thread: appending at each level with many that wait for their confirmation, opening after a clean stop and
// after a kill, reading everything back; and the bare calls of the file system beside it.

import { cpSync, openSync, closeSync, fdatasync, rmSync, writev } from 'node:fs';
import { join } from 'node:path';
import { openLog } from '#naru/disk/index';
import type { Level, Log } from '#naru/log/index';
import { Bodies } from '../harness/bodies.ts';
import type { Duel, NearEnd, Sample } from '../harness/duel.ts';

/** Records whose confirmation is waited for at once: many connections, a few messages each. */
const WAITING = 4096;
/** Records of a folder that is opened: so many that what every opening costs counts for little. */
const STORED = 100_000;
/** Bytes of a record beside its body. */
const HEAD_BYTES = 40;

export function sampleOf(messages: number, started: bigint): Sample {
  return { kind: 'throughput', messages, nanoseconds: Number(process.hrtime.bigint() - started) };
}

export function duelOf(
  id: string,
  label: string,
  bodyBytes: number,
  isNaru: boolean,
  open: (folder: string) => Promise<NearEnd>,
): Duel {
  return {
    id,
    label,
    bodyBytes,
    isNaru,
    kind: 'throughput',
    far: 'same',
    serialization: 'json',
    openNear: ({ folder, name }) => open(join(folder, name)),
    openFar: async () => ({ run: async () => undefined, close: async () => undefined }),
  };
}

/** Appends `count` records, one at a time, never more than `WAITING` of them unconfirmed, and removes what is confirmed. */
class Appending {
  readonly #log: Log;
  readonly #level: Level;
  readonly #bodies: Bodies;
  #removed: number;
  #wake: (() => void) | undefined;

  constructor(log: Log, level: Level, bodyBytes: number) {
    this.#log = log;
    this.#level = level;
    this.#bodies = new Bodies(undefined, bodyBytes);
    this.#removed = log.next - 1;
  }

  static async open(folder: string, level: Level, bodyBytes: number): Promise<NearEnd> {
    const progress = (): void => appending.#progress();
    const log = await openLog(folder, { progress });
    const appending = new Appending(log, level, bodyBytes);
    return { address: '', run: (count) => appending.#run(count), close: () => log.close() };
  }

  /** Up to here it is confirmed at the level that is measured; `memory` has no confirmation and counts as written. */
  get #confirmed(): number {
    return this.#level === 'disk' ? this.#log.synced : this.#log.written;
  }

  #progress(): void {
    for (const confirmed = this.#confirmed; this.#removed < confirmed; this.#removed += 1) {
      this.#log.remove(1, this.#removed + 1);
    }
    this.#wake?.();
    this.#wake = undefined;
  }

  async #run(count: number): Promise<Sample> {
    const log = this.#log;
    const started = process.hrtime.bigint();
    for (let sent = 0; sent < count; sent += 1) {
      log.append([{ stream: 1, body: this.#bodies.make(sent) }], this.#level);
      if (log.next - 1 - this.#confirmed >= WAITING) await this.#progressed();
    }
    if (this.#level === 'memory') await log.commit('os');
    while (this.#confirmed < log.next - 1) await this.#progressed();
    return sampleOf(count, started);
  }

  #progressed(): Promise<void> {
    if (this.#level === 'memory') return this.#log.commit('os');
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

export const logDuelId = (level: Level, bodyBytes: number): string => `naru-log-${level}-${bodyBytes}`;
export const fileDuelId = (bodyBytes: number): string => `node-fs-${bodyBytes}`;

export const logAppends = (level: Level, bodyBytes: number): Duel =>
  duelOf(logDuelId(level, bodyBytes), `Naru log, level ${level}, ${bodyBytes} B`, bodyBytes, true, (folder) =>
    Appending.open(folder, level, bodyBytes),
  );

/** What the disk gives anybody: writev() and fdatasync() of as many bytes as a group has. No checksum, nothing to find again. */
export const fileAppends = (bodyBytes: number): Duel =>
  duelOf(
    fileDuelId(bodyBytes),
    `node:fs writev and fdatasync, ${WAITING / 2} × ${bodyBytes} B`,
    bodyBytes,
    false,
    async (path) => {
      const fd = openSync(path, 'w');
      const group = Buffer.alloc((WAITING / 2) * (bodyBytes + HEAD_BYTES), 1);
      const call = (start: (done: (error: Error | null) => void) => void): Promise<void> =>
        new Promise((resolve, reject) => {
          start((error) => (error === null ? resolve() : reject(error)));
        });
      return {
        address: '',
        run: async (count) => {
          const started = process.hrtime.bigint();
          const groups = Math.ceil(count / (WAITING / 2));
          for (let index = 0; index < groups; index += 1) {
            await call((done) => writev(fd, [group], index * group.length, done));
            await call((done) => fdatasync(fd, done));
          }
          return sampleOf(groups * (WAITING / 2), started);
        },
        close: async () => {
          closeSync(fd);
          rmSync(path);
        },
      };
    },
  );

export type Ending = 'clean' | 'kill';
export const openDuelId = (ending: Ending): string => `naru-log-open-${ending}`;
export const DRAIN_ID = 'naru-log-drain';

async function fill(folder: string, count: number, bodyBytes: number): Promise<Log> {
  const log = await openLog(folder);
  const bodies = new Bodies(undefined, bodyBytes);
  for (let sent = 0; sent < count; sent += 1) {
    log.append([{ stream: 1, body: bodies.make(sent) }]);
    if (sent % WAITING === WAITING - 1) await log.commit('os');
  }
  await log.commit('disk');
  return log;
}

/** Opens a folder with `STORED` records, whatever was asked for, and is told each of them. */
export const logOpens = (ending: Ending, bodyBytes: number): Duel =>
  duelOf(
    openDuelId(ending),
    `opening after a ${ending === 'clean' ? 'clean stop' : 'kill'}, ${bodyBytes} B`,
    bodyBytes,
    true,
    async (folder) => ({
      address: '',
      run: async () => {
        const filled = await fill(folder, STORED, bodyBytes);
        if (ending === 'clean') await filled.close();
        const copy = `${folder}-copy`;
        cpSync(folder, copy, { recursive: true });
        if (ending === 'kill') await filled.close();
        let records = 0;
        const started = process.hrtime.bigint();
        const log = await openLog(copy, { live: () => (records += 1) });
        const sample = sampleOf(STORED, started);
        await log.close();
        rmSync(copy, { recursive: true });
        rmSync(folder, { recursive: true });
        if (records !== STORED) throw new Error(`${records} of ${STORED} records`);
        return sample;
      },
      close: async () => undefined,
    }),
  );

/** Reads `count` records back in order, and removes each. */
export const logDrains = (bodyBytes: number): Duel =>
  duelOf(DRAIN_ID, `reading back, ${bodyBytes} B`, bodyBytes, true, async (folder) => ({
    address: '',
    run: async (count) => {
      const log = await fill(folder, count, bodyBytes);
      const started = process.hrtime.bigint();
      for (let sequence = 1; sequence <= count; sequence += 1) {
        while (log.peek(sequence) === undefined) await log.fetch(sequence);
        log.remove(1, sequence);
      }
      const sample = sampleOf(count, started);
      await log.close();
      rmSync(folder, { recursive: true });
      return sample;
    },
    close: async () => undefined,
  }));
