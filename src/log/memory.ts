// Memory seen as bytes, as 32-bit words and as floats at once: what records are written into and read from.

import type { Words } from './crc32c.ts';

/** A piece of memory of whole units. */
export interface Memory extends Words {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly floats: Float64Array;
}

/** @param bytes  rounded up to a unit */
export function newMemory(bytes: number): Memory {
  const buffer = new ArrayBuffer((bytes + 7) & ~7);
  return {
    bytes: new Uint8Array(buffer),
    words: new Int32Array(buffer),
    floats: new Float64Array(buffer),
  };
}

const TWO_32 = 2 ** 32;

/** Reads a whole number of 64 bits at a multiple of 4. Beyond 2^53 it is not exact, and so is refused by whoever compares it. */
export function readWide({ words }: Words, at: number): number {
  return ((words[(at >>> 2) + 1] as number) >>> 0) * TWO_32 + ((words[at >>> 2] as number) >>> 0);
}

export function writeWide({ words }: Words, at: number, value: number): void {
  words[at >>> 2] = (value % TWO_32) | 0;
  words[(at >>> 2) + 1] = Math.floor(value / TWO_32);
}

/** Reads an unsigned word at a multiple of 4. */
export function readWord({ words }: Words, at: number): number {
  return (words[at >>> 2] as number) >>> 0;
}

export function writeWord({ words }: Words, at: number, value: number): void {
  words[at >>> 2] = value;
}
