// Removals as runs of consecutive sequences: gathered while they are made, and as bytes in a removal record. A queue that is
// consumed in order is a few runs, however many records it had.

/** Bytes of a number in the encoding: 7 bits a byte, the lowest first, bit 7 = more follow. */
const VARINT_BYTES_MAX = 8;

/** The removals of one stream that no record tells of yet, in the order in which they were made. */
export class Runs {
  /** Pairs: first sequence, length. */
  #pairs: number[] = [];
  #next = -1;

  get isEmpty(): boolean {
    return this.#pairs.length === 0;
  }

  add(sequence: number): void {
    if (sequence === this.#next) {
      this.#pairs[this.#pairs.length - 1] = (this.#pairs.at(-1) as number) + 1;
    } else {
      this.#pairs.push(sequence, 1);
    }
    this.#next = sequence + 1;
  }

  /** Takes up to `bytesMax` bytes of runs out, encoded. */
  take(bytesMax: number): Uint8Array {
    const pairs = this.#pairs;
    const room = Math.min(bytesMax, pairs.length * VARINT_BYTES_MAX);
    const bytes = new Uint8Array(room);
    let at = 0;
    let pair = 0;
    let before = 0;
    for (; pair < pairs.length && at + 2 * VARINT_BYTES_MAX <= room; pair += 2) {
      const first = pairs[pair] as number;
      // Zigzag: what is removed out of order lies before what was removed last.
      const step = first - before;
      at = writeVarint(bytes, at, step < 0 ? -step * 2 - 1 : step * 2);
      at = writeVarint(bytes, at, pairs[pair + 1] as number);
      before = first;
    }
    this.#pairs = pair >= pairs.length ? [] : pairs.slice(pair);
    if (this.#pairs.length === 0) this.#next = -1;
    return bytes.subarray(0, at);
  }
}

function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let left = value;
  let index = at;
  while (left > 127) {
    bytes[index] = (left % 128) | 128;
    left = Math.floor(left / 128);
    index += 1;
  }
  bytes[index] = left;
  return index + 1;
}

/**
 * Tells every run of a removal record's body.
 *
 * @param last  no sequence is greater: a hostile run must not be followed for ever
 * @returns whether the body is well formed
 */
export function eachRun(
  bytes: Uint8Array,
  last: number,
  tell: (first: number, length: number) => void,
): boolean {
  let at = 0;
  /** @returns NaN when it is cut off or too long */
  const next = (): number => {
    let value = 0;
    let scale = 1;
    for (let index = 0; index <= VARINT_BYTES_MAX; index += 1) {
      const byte = bytes[at];
      if (byte === undefined) break;
      at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    return Number.NaN;
  };
  let before = 0;
  while (at < bytes.length) {
    const zigzag = next();
    const length = next();
    before += zigzag % 2 === 1 ? -(zigzag + 1) / 2 : zigzag / 2;
    const isGood = before >= 0 && length >= 1 && before + length - 1 <= last;
    if (!isGood) return false;
    tell(before, length);
  }
  return true;
}
