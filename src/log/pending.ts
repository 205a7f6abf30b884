// Records that are not in a segment yet, as bytes in slabs. A slab goes into one segment as a whole, so what was appended together
// is never split. Slabs are used again when they are written.

import type { Level } from './disk.ts';
import { KIND } from './format.ts';
import { type Memory, newMemory } from './memory.ts';
import { type LogRecord, strideOf, writeRecord } from './record.ts';

const SLAB_BYTES = 1 << 18;
/** Slabs kept for later: what a few groups need. */
const SPARE_SLABS = 16;

export interface Slab {
  readonly memory: Memory;
  usedBytes: number;
  /** Sequence of its last record. */
  last: number;
  /** The safest level that was asked for. */
  level: Level;
}

const ORDER: readonly Level[] = ['memory', 'os', 'disk'];

export function safer(a: Level, b: Level): Level {
  return ORDER.indexOf(a) >= ORDER.indexOf(b) ? a : b;
}

export class Pending {
  readonly #seed: number;
  #slabs: Slab[] = [];
  readonly #spare: Memory[] = [];
  #bytes = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Bytes that wait, records that are being written not included. */
  get bytes(): number {
    return this.#bytes;
  }

  get first(): Slab | undefined {
    return this.#slabs[0];
  }

  /** @returns bytes */
  append(records: readonly LogRecord[], sequence: number, level: Level): number {
    let bytes = 0;
    for (const record of records) bytes += strideOf(record);
    const slab = this.#slabFor(bytes);
    let next = sequence;
    for (const record of records) {
      slab.usedBytes += writeRecord(slab.memory, slab.usedBytes, KIND.data, next, record, this.#seed);
      next += 1;
    }
    slab.last = next - 1;
    if (slab.level !== level) slab.level = safer(slab.level, level);
    this.#bytes += bytes;
    return bytes;
  }

  #slabFor(bytes: number): Slab {
    const last = this.#slabs.at(-1);
    if (last !== undefined && last.usedBytes + bytes <= last.memory.bytes.length) return last;
    const memory = bytes <= SLAB_BYTES ? (this.#spare.pop() ?? newMemory(SLAB_BYTES)) : newMemory(bytes);
    const slab: Slab = { memory, usedBytes: 0, last: 0, level: 'memory' };
    this.#slabs.push(slab);
    return slab;
  }

  /** Takes the first slab out. */
  take(): Slab {
    const slab = this.#slabs.shift() as Slab;
    this.#bytes -= slab.usedBytes;
    return slab;
  }

  /** A slab has been written, and nobody looks at it any more. */
  giveBack({ memory }: Slab): void {
    if (memory.bytes.length === SLAB_BYTES && this.#spare.length < SPARE_SLABS) this.#spare.push(memory);
  }
}
