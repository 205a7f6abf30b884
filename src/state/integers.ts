// Atomic operations on integers in shared memory that refuse what typed arrays wrap or cut off in silence. The addition that is far from
// the ends of its type is a single machine instruction; near them it is a compare-and-swap that looks first.

import type { NaruError } from '../errors/index.ts';
import { fits, type IntegerCode, misfit, overflow, RANGES } from './elements.ts';

export type IntegerArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;
type Small = Int32Array;
type Big = BigInt64Array;

/** An operand of an addition up to which a single instruction is safe, and the distance from the ends that makes it so. */
const STEP_MAX = 2 ** 20;
const MARGIN = 2 ** 28;
const BIG_STEP_BITS = 32;
/** In the upper half of 64 bits. */
const TOP_MARGIN = 2 ** 28;

/** Operations on the elements of one array. Its elements are numbers, or bigints; the types leave that to the caller's. */
export class Integers {
  readonly #kind: IntegerCode;
  readonly #array: Small;
  readonly #bigs: Big;
  readonly #isBig: boolean;
  readonly #text: string;
  /** Between these a step of STEP_MAX cannot leave the type, whatever 64 others add at the same moment. */
  readonly #low: number;
  readonly #high: number;
  /** The same of the upper halves of 64 bits: looking there is looking at a number, not at a new bigint. */
  readonly #halves: Int32Array | Uint32Array;
  readonly #topLow: number;
  readonly #topHigh: number;

  constructor(kind: IntegerCode, array: IntegerArray, text: string) {
    this.#kind = kind;
    // One field for all of them: Atomics takes each, and only one kind is ever here.
    this.#array = array as Small;
    this.#bigs = array as unknown as Big;
    this.#isBig = kind === 'i64' || kind === 'u64';
    this.#text = text;
    const [min, max] = RANGES[kind];
    this.#low = Number(min) + MARGIN;
    this.#high = kind === 'i32' || kind === 'u32' ? Number(max) - MARGIN : Number.NEGATIVE_INFINITY;
    const memory = [array.buffer, array.byteOffset, array.byteLength >>> 2] as const;
    this.#halves = kind === 'u64' ? new Uint32Array(...memory) : new Int32Array(...memory);
    this.#topLow = Number(BigInt(min) >> 32n) + TOP_MARGIN;
    this.#topHigh = Number(BigInt(max) >> 32n) - TOP_MARGIN;
  }

  /** Adds, and gives what was there before. @throws NARU_INVALID_ARGUMENT  the operand, or the sum, is out of range */
  add(at: number, operand: number | bigint): number | bigint {
    if (this.#isBig) return this.#addBig(at, operand as bigint, false);
    const step = operand as number;
    const now = this.#array[at] as number;
    if (Number.isInteger(step) && step >= 0 && step <= STEP_MAX && now <= this.#high)
      return Atomics.add(this.#array, at, step);
    return this.#addNear(at, step, 1);
  }

  /** Subtracts, and gives what was there before. @throws NARU_INVALID_ARGUMENT  the operand, or the difference, is out of range */
  sub(at: number, operand: number | bigint): number | bigint {
    if (this.#isBig) return this.#addBig(at, operand as bigint, true);
    const step = operand as number;
    const now = this.#array[at] as number;
    if (Number.isInteger(step) && step >= 0 && step <= STEP_MAX && now >= this.#low && this.#high > 0)
      return Atomics.sub(this.#array, at, step);
    return this.#addNear(at, step, -1);
  }

  and(at: number, operand: number | bigint): number | bigint {
    this.check(operand);
    return Atomics.and(this.#array, at, operand as number);
  }

  or(at: number, operand: number | bigint): number | bigint {
    this.check(operand);
    return Atomics.or(this.#array, at, operand as number);
  }

  xor(at: number, operand: number | bigint): number | bigint {
    this.check(operand);
    return Atomics.xor(this.#array, at, operand as number);
  }

  exchange(at: number, value: number | bigint): number | bigint {
    this.check(value);
    return Atomics.exchange(this.#array, at, value as number);
  }

  /** Stores `next` where `expected` is. @returns what was there: `expected` when it was stored */
  compareExchange(at: number, expected: number | bigint, next: number | bigint): number | bigint {
    this.check(expected);
    this.check(next);
    return Atomics.compareExchange(this.#array, at, expected as number, next as number);
  }

  /** @throws NARU_INVALID_ARGUMENT */
  check(value: unknown): void {
    if (!fits(this.#kind, value)) throw misfit(this.#kind, value, this.#text);
  }

  #addNear(at: number, operand: number, sign: 1 | -1): number {
    this.check(operand);
    const array = this.#array;
    for (;;) {
      const now = Atomics.load(array, at);
      const next = now + sign * operand;
      if (!fits(this.#kind, next)) throw this.#overflow(now, operand, sign);
      if (Atomics.compareExchange(array, at, now, next) === now) return now;
    }
  }

  #addBig(at: number, operand: bigint, isNegative: boolean): bigint {
    const array = this.#bigs;
    if (typeof operand === 'bigint' && BigInt.asUintN(BIG_STEP_BITS, operand) === operand) {
      // Little-endian, as all of the layout.
      const top = this.#halves[2 * at + 1] as number;
      if (isNegative ? top >= this.#topLow : top <= this.#topHigh)
        return isNegative ? Atomics.sub(array, at, operand) : Atomics.add(array, at, operand);
    }
    this.check(operand);
    for (;;) {
      const now = Atomics.load(array, at);
      const next = isNegative ? now - operand : now + operand;
      if (!fits(this.#kind, next)) throw this.#overflow(now, operand, isNegative ? -1 : 1);
      if (Atomics.compareExchange(array, at, now, next) === now) return now;
    }
  }

  #overflow(now: number | bigint, operand: number | bigint, sign: 1 | -1): NaruError {
    return overflow(this.#kind, `${now} ${sign === 1 ? '+' : '-'} ${operand}`, this.#text);
  }
}
