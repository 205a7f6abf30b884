// The driver of a value or an array in mapped memory: the memory itself, its lock, and texts and bytes that nobody reads half.

import { NaruError } from '../errors/index.ts';
import { LockWord, TAKE } from '../ring/lock-word.ts';
import { headerWord } from '../ring/memory.ts';
import type { CellDriver, CellFacts } from '../state/cells.ts';
import type { LockDriver, SyncHooks } from '../sync/driver.ts';
import { destroy, leave, type StatePart } from './attach.ts';
import { Health } from './health.ts';
import { BLOB, DATA_OFFSET, STATE_HEADER } from './layout.ts';
import { ObjectLock } from './object-lock.ts';
import { probeLock } from './probe.ts';

const WRITER_AT: number = headerWord(STATE_HEADER.writer);
/** Attempts to become the writer before it sleeps, and how long it sleeps between two. */
const SPINS = 100;
const SLEEP_MS = 1;
const BLOCKED_MS_MAX = 5_000;

export class MappedCells implements CellDriver {
  readonly facts: CellFacts;
  readonly buffer: ArrayBufferLike;
  readonly offset: number = DATA_OFFSET;
  readonly health: Health;
  readonly #part: StatePart;
  readonly #writer: LockWord;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  #lock: ObjectLock | undefined;
  #closing: Promise<void> | undefined;

  constructor(part: StatePart) {
    const { object, request, site, edges } = part;
    const { geometry, words } = object.memory;
    if (geometry.element === undefined) throw new Error('not a value or an array');
    this.#part = part;
    this.health = new Health(part);
    this.buffer = object.buffer;
    this.#words = words;
    this.#bytes = new Uint8Array(object.buffer, 0, geometry.fileBytes);
    this.#writer = new LockWord(words, WRITER_AT, part.mark, edges.failpoint);
    this.facts = {
      text: request.text,
      address: request.address,
      place: site.place,
      created: part.created,
      element: geometry.element,
      length: geometry.length,
    };
  }

  openLock(hooks: SyncHooks): LockDriver {
    this.#lock = new ObjectLock(this.#part, this.health, hooks);
    return this.#lock;
  }

  /** The copy that counts is not written while it counts: only if another one counts after the copying, it may have been. */
  readBlob(): Uint8Array {
    const words = this.#words;
    const writtenAt = (DATA_OFFSET + BLOB.written) >>> 2;
    for (;;) {
      const written = Atomics.load(words, writtenAt);
      const copy = written & 1;
      const length = Math.min(Atomics.load(words, this.#lengthAt(copy)) >>> 0, this.facts.element.bytes);
      const start = this.#copyAt(copy);
      const found = this.#bytes.slice(start, start + length);
      // Not a plain load: on processors other than x64 the copying might be seen after it.
      if (Atomics.compareExchange(words, writtenAt, written, written) === written)
        return new Uint8Array(found);
    }
  }

  writeBlob(bytes: Uint8Array): void {
    const words = this.#words;
    const { failpoint } = this.#part.edges;
    this.#becomeWriter();
    try {
      const writtenAt = (DATA_OFFSET + BLOB.written) >>> 2;
      const next = (Atomics.load(words, writtenAt) + 1) | 0;
      const copy = next & 1;
      failpoint('blob:before-copy');
      this.#bytes.set(bytes, this.#copyAt(copy));
      Atomics.store(words, this.#lengthAt(copy), bytes.byteLength);
      failpoint('blob:copied');
      Atomics.store(words, writtenAt, next);
      failpoint('blob:written');
    } finally {
      this.#writer.unlock();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async unlink(): Promise<void> {
    this.health.look();
    await destroy(this.#part);
  }

  async #close(): Promise<void> {
    await this.#lock?.close();
    this.health.close();
    await leave(this.#part);
  }

  /** What a dead writer left half is in the copy that does not count: nothing is to be put right. @throws NARU_TIMEOUT */
  #becomeWriter(): void {
    const { object, site, edges } = this.#part;
    for (let tries = 0; this.#writer.tryTake() === TAKE.busy; tries += 1) {
      if (tries < SPINS) {
        edges.native.yieldThread();
        continue;
      }
      const holder = this.#writer.holder;
      edges.native.futexWait(object.buffer, WRITER_AT * 4, holder, SLEEP_MS);
      if (tries % 16 === 0) probeLock(this.#part, WRITER_AT);
      if (tries < BLOCKED_MS_MAX / SLEEP_MS) continue;
      throw new NaruError(
        'NARU_TIMEOUT',
        `${this.facts.text}: a stopped process has been writing for ${BLOCKED_MS_MAX} ms; let it go on, or end it`,
        { place: site.place, mailbox: this.facts.text },
      );
    }
  }

  #lengthAt(copy: number): number {
    return ((DATA_OFFSET + BLOB.lengths) >>> 2) + copy;
  }

  #copyAt(copy: number): number {
    return DATA_OFFSET + BLOB.copies + copy * Math.ceil(this.facts.element.bytes / 8) * 8;
  }
}
