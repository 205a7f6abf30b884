// CRC-32C (Castagnoli, reflected, RFC 3720 B.4): the checksum of everything the log writes. In TypeScript, 16 bytes a step
// (slicing by 16); docs/decisions/0020-segment-log.md says why not zlib.crc32, and what it costs.

const POLYNOMIAL = 0x82f63b78;
const SLICES = 16;

function makeTables(): Int32Array {
  const tables = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1) value = (value & 1) === 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    tables[byte] = value;
  }
  for (let at = 256; at < tables.length; at += 1) {
    const before = tables[at - 256] ?? 0;
    tables[at] = (before >>> 8) ^ (tables[before & 255] ?? 0);
  }
  return tables;
}

const T = makeTables();

/** Memory seen as bytes and as 32-bit words; both begin at the same address, a multiple of 8. */
export interface Words {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

/**
 * The checksum of the bytes from `from` (a multiple of 4) up to, not with, `to`. Both must lie within the memory.
 * @param seed  the checksum of what comes before; 0 = nothing
 * @returns a signed 32-bit number, as `Int32Array` holds it
 */
export function crc32c(memory: Words, from: number, to: number, seed = 0): number {
  const { bytes, words } = memory;
  let crc = ~seed;
  let at = from >>> 2;
  // The lookups have fixed indices in order not to be a loop: this is what bounds the speed of appending and of recovery.
  const wordsEnd = (from + ((to - from) & ~(SLICES - 1))) >>> 2;
  for (; at < wordsEnd; at += 4) {
    const a = crc ^ (words[at] as number);
    const b = words[at + 1] as number;
    const c = words[at + 2] as number;
    const d = words[at + 3] as number;
    crc =
      (T[3840 + (a & 255)] as number) ^
      (T[3584 + ((a >>> 8) & 255)] as number) ^
      (T[3328 + ((a >>> 16) & 255)] as number) ^
      (T[3072 + (a >>> 24)] as number) ^
      (T[2816 + (b & 255)] as number) ^
      (T[2560 + ((b >>> 8) & 255)] as number) ^
      (T[2304 + ((b >>> 16) & 255)] as number) ^
      (T[2048 + (b >>> 24)] as number) ^
      (T[1792 + (c & 255)] as number) ^
      (T[1536 + ((c >>> 8) & 255)] as number) ^
      (T[1280 + ((c >>> 16) & 255)] as number) ^
      (T[1024 + (c >>> 24)] as number) ^
      (T[768 + (d & 255)] as number) ^
      (T[512 + ((d >>> 8) & 255)] as number) ^
      (T[256 + ((d >>> 16) & 255)] as number) ^
      (T[d >>> 24] as number);
  }
  for (let index = at << 2; index < to; index += 1) {
    crc = (crc >>> 8) ^ (T[(crc ^ (bytes[index] as number)) & 255] as number);
  }
  return ~crc;
}
