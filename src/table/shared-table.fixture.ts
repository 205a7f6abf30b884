// Tables over one buffer for tests: each handle is a "process" of its own, which may die at a step and leaves its locks behind.

import { type TableGeometry, type TableShape, tableGeometry, writeTable } from './geometry.ts';
import { SHARD_BYTES, TABLE_WORDS } from './layout.ts';
import { Table } from './table.ts';

const SHAPE: TableShape = { blocks: 512, maxEntries: 400, maxKeyBytes: 1024, maxValueBytes: 20_000 };
const ORPHANED = 0xff;

/** Thrown at the step at which a handle dies. */
export class Death extends Error {}

export interface Handle {
  readonly table: Table;
  /** Called at every step. */
  onStep: (name: string) => void;
  /** Sets free, as orphans, the locks that the dead handle has: what the proof of its death does. */
  bury(): void;
}

export class SharedTable {
  readonly geometry: TableGeometry;
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  now = 1_000_000;
  #handles = 0;

  constructor(shape: Partial<TableShape> = {}) {
    this.geometry = tableGeometry({ ...SHAPE, ...shape }, 32, 32 + TABLE_WORDS);
    this.buffer = new SharedArrayBuffer(this.geometry.endBytes);
    this.words = new Int32Array(this.buffer);
    writeTable(this.words, this.geometry);
  }

  open(): Handle {
    const { words } = this;
    const mark = (this.#handles += 1);
    const lockAt = (shard: number): number => this.geometry.shardsAt + (shard * SHARD_BYTES) / 4;
    let isDead = false;
    const handle: { -readonly [K in keyof Handle]?: Handle[K] } = {
      onStep: () => undefined,
      bury: () => {
        for (let shard = 0; shard < this.geometry.shards; shard += 1)
          Atomics.compareExchange(words, lockAt(shard), mark, ORPHANED);
      },
    };
    handle.table = new Table(this.buffer, this.geometry, {
      locks: {
        tryTake: (shard) => {
          const was = Atomics.compareExchange(words, lockAt(shard), 0, mark);
          if (was === 0) return 'taken';
          if (was !== ORPHANED) return 'busy';
          Atomics.store(words, lockAt(shard), mark);
          return 'recovered';
        },
        release: (shard) => {
          if (!isDead) Atomics.store(words, lockAt(shard), 0);
        },
      },
      now: () => this.now,
      failpoint: (name) => {
        try {
          handle.onStep?.(name);
        } catch (error) {
          isDead = error instanceof Death;
          throw error;
        }
      },
      needsFence: false,
      where: 'test',
    });
    return handle as Handle;
  }
}
