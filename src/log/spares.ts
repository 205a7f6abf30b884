// The next segment, made ahead: room taken, header written, synced under its name. Changing to it then costs no wait. When
// there is no room it tries again, for as long as it takes.

import { type DiskFile, isFull } from './disk.ts';
import { writeHeader } from './file-header.ts';
import { FILE_HEADER_BYTES, FILE_KIND, fileName } from './format.ts';
import { newMemory } from './memory.ts';
import type { LogState } from './state.ts';
import { storageError } from './failures.ts';

/** Ending of a file that is not finished; recovery removes it. */
export const UNFINISHED = '.tmp';

export interface Spare {
  readonly number: number;
  readonly bytes: number;
  readonly file: DiskFile;
}

/** Makes a segment that is complete as soon as it has its name. */
export async function makeSegment(state: LogState, number: number, bytes: number): Promise<Spare> {
  const { disk, logId } = state;
  const name = fileName({ number, generation: 0 }, 'seg');
  await disk.unlink(name + UNFINISHED).catch(() => undefined);
  const file = await disk.create(name + UNFINISHED);
  try {
    await file.allocate(bytes);
    const memory = newMemory(FILE_HEADER_BYTES);
    const kind = FILE_KIND.segment;
    writeHeader(memory, { kind, number, generation: 0, bodyBytes: 0, bodyCrc: 0, logId });
    await file.write([memory.bytes], 0);
    await file.sync();
    await disk.rename(name + UNFINISHED, name);
    await disk.syncFolder();
    return { number, bytes, file };
  } catch (error) {
    await file.close().catch(() => undefined);
    if (isFull(error)) await disk.unlink(name + UNFINISHED).catch(() => undefined);
    throw error;
  }
}

export class Spares {
  readonly #state: LogState;
  readonly #changed: () => void;
  #ready: Spare | undefined;
  #work: Promise<void> | undefined;
  #cancelRetry: (() => void) | undefined;
  #isFull = false;
  #isClosed = false;

  /** @param changed  called when there is a spare, and when there can be none for now */
  constructor(state: LogState, changed: () => void) {
    this.#state = state;
    this.#changed = changed;
  }

  /** No room on the disk for the next segment. */
  get isFull(): boolean {
    return this.#isFull;
  }

  get isReady(): boolean {
    return this.#ready !== undefined;
  }

  /** The next segment when it is ready and large enough; otherwise it is made, and `changed` tells. */
  take(number: number, bytes: number): Spare | undefined {
    const ready = this.#ready;
    if (ready !== undefined && ready.bytes >= bytes) {
      this.#ready = undefined;
      return ready;
    }
    this.prepare(number, bytes);
    return undefined;
  }

  /** Makes it, unless that is under way. */
  prepare(number: number, bytes: number): void {
    if (this.#isClosed || this.#work !== undefined || this.#cancelRetry !== undefined) return;
    if (this.#ready !== undefined && this.#ready.bytes >= bytes) return;
    this.#work = this.#make(number, bytes).finally(() => {
      this.#work = undefined;
      this.#changed();
    });
  }

  /** There may be room now. */
  retry(number: number, bytes: number): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.prepare(number, bytes);
  }

  async #make(number: number, bytes: number): Promise<void> {
    const { disk, clock, settings } = this.#state;
    try {
      const small = this.#ready;
      if (small !== undefined) {
        this.#ready = undefined;
        await small.file.close();
        await disk.unlink(fileName({ number: small.number, generation: 0 }, 'seg'));
      }
      this.#ready = await makeSegment(this.#state, number, bytes);
      this.#isFull = false;
    } catch (error) {
      if (!isFull(error)) {
        this.#state.fail(storageError(disk.folder, 'making a segment', error));
        return;
      }
      this.#isFull = true;
      // Also when nothing waits: whoever was told that the disk is full sends nothing until told otherwise.
      this.#cancelRetry = clock.after(settings.fullRetryMs, () => {
        this.#cancelRetry = undefined;
        this.prepare(number, bytes);
      });
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry?.();
    await this.#work;
    await this.#ready?.file.close();
    this.#ready = undefined;
  }
}
