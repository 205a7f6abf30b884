// SharedArray: a fixed number of elements that several processes share, with a lock beside them. Single elements are checked; the
// view is the memory itself.

import { NaruError } from '../errors/index.ts';
import type { SharedHandle } from '../mailbox/shared-handle.ts';
import type { WaitLimits } from '../mailbox/waiting.ts';
import type { Lock, LockGuard } from '../sync/lock.ts';
import { CellLock } from './cell-lock.ts';
import { type CellDriver, sharedCells } from './cells.ts';
import {
  fits,
  type IntegerCode,
  isInteger,
  misfit,
  type NumberCode,
  type TypedArrays,
  type ValueOf,
} from './elements.ts';
import { Integers } from './integers.ts';
import { typedView } from './view.ts';

/** An operand that only integers have. */
type Operand<C extends NumberCode> = C extends IntegerCode ? ValueOf<C> : never;

/** An array that several processes share. Made by `openArray()`. */
export class SharedArray<C extends NumberCode = NumberCode> {
  readonly #driver: CellDriver;
  readonly #health: CellDriver['health'];
  readonly #lock: CellLock;
  readonly #cells: Float64Array;
  readonly #integers: Integers | undefined;
  readonly #kind: NumberCode;
  /** How many elements it has. */
  readonly length: number;

  /** @internal */
  constructor(driver: CellDriver) {
    this.#kind = driver.facts.element.kind as NumberCode;
    this.#driver = driver;
    this.#health = driver.health;
    this.#lock = new CellLock(driver);
    this.length = driver.facts.length;
    const cells = typedView(driver);
    // One field for all kinds: reading and writing an element looks the same for each.
    this.#cells = cells as unknown as Float64Array;
    if (isInteger(this.#kind))
      this.#integers = new Integers(this.#kind, cells as Int32Array, driver.facts.text);
  }

  /** Type of the elements: `i32`, `f64`, … */
  get type(): C {
    return this.#kind as C;
  }

  /** A URL by which others open this very array. */
  get address(): string {
    return this.#driver.facts.address;
  }

  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle {
    return sharedCells('array', this.#driver.facts);
  }

  /** Whether this handle made the array. */
  get created(): boolean {
    return this.#driver.facts.created;
  }

  /** @throws NARU_INVALID_ARGUMENT (no such index), NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT */
  get(index: number): ValueOf<C> {
    this.#check(index);
    const cells = this.#cells;
    return (
      this.#integers === undefined ? cells[index] : Atomics.load(cells as unknown as Int32Array, index)
    ) as ValueOf<C>;
  }

  /** @throws NARU_INVALID_ARGUMENT  no such index, or a value of another type or out of its range; as get() */
  set(index: number, value: ValueOf<C>): void {
    this.#check(index);
    if (!fits(this.#kind, value)) throw misfit(this.#kind, value, this.#driver.facts.text);
    this.#put(index, value);
  }

  /** Stores several values, from an index on; all are checked before the first is stored. @throws as set() */
  setAll(values: Iterable<ValueOf<C>>, from = 0): void {
    const list = [...values];
    if (list.length > 0) this.#check(from);
    if (list.length > 0) this.#check(from + list.length - 1);
    const wrong = list.findIndex((value) => !fits(this.#kind, value));
    if (wrong >= 0) throw misfit(this.#kind, list[wrong], `${this.#driver.facts.text}[${from + wrong}]`);
    for (const [at, value] of list.entries()) this.#put(from + at, value);
  }

  /** Stores one value into every element, or those from `from` up to and without `to`. @throws as set() */
  fill(value: ValueOf<C>, from = 0, to: number = this.length): void {
    if (!this.#health.isFresh) this.#health.look();
    if (!fits(this.#kind, value)) throw misfit(this.#kind, value, this.#driver.facts.text);
    if (from < to) {
      this.#check(from);
      this.#check(to - 1);
    }
    for (let index = from; index < to; index += 1) this.#put(index, value);
  }

  /** A copy of the elements, as a typed array of its own. @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT */
  slice(from = 0, to: number = this.length): TypedArrays[C] {
    if (!this.#health.isFresh) this.#health.look();
    return this.#cells.slice(from, to) as unknown as TypedArrays[C];
  }

  /** Every element, each read when the loop comes to it. @throws as get() */
  *[Symbol.iterator](): Generator<ValueOf<C>, void, undefined> {
    for (let index = 0; index < this.length; index += 1) yield this.get(index);
  }

  /**
   * Adds to an element in one step. @returns what was there before
   * @throws NARU_INVALID_ARGUMENT  index, operand or sum is out of range: nothing was changed
   * @throws NARU_UNSUPPORTED       elements are no integers; NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT
   */
  add(index: number, operand: Operand<C>): ValueOf<C> {
    return this.#whole(index).add(index, operand) as ValueOf<C>;
  }

  /** @returns what was there before @throws as add() */
  sub(index: number, operand: Operand<C>): ValueOf<C> {
    return this.#whole(index).sub(index, operand) as ValueOf<C>;
  }

  /** @returns what was there before @throws as add() */
  and(index: number, operand: Operand<C>): ValueOf<C> {
    return this.#whole(index).and(index, operand) as ValueOf<C>;
  }

  /** @returns what was there before @throws as add() */
  or(index: number, operand: Operand<C>): ValueOf<C> {
    return this.#whole(index).or(index, operand) as ValueOf<C>;
  }

  /** @returns what was there before @throws as add() */
  xor(index: number, operand: Operand<C>): ValueOf<C> {
    return this.#whole(index).xor(index, operand) as ValueOf<C>;
  }

  /** @returns what was there before @throws as add() */
  exchange(index: number, value: Operand<C>): ValueOf<C> {
    return this.#whole(index).exchange(index, value) as ValueOf<C>;
  }

  /** Stores `next` where `expected` is. @returns what was there: `expected` when it was stored @throws as add() */
  compareExchange(index: number, expected: Operand<C>, next: Operand<C>): ValueOf<C> {
    return this.#whole(index).compareExchange(index, expected, next) as ValueOf<C>;
  }

  /**
   * The shared memory itself as a typed array, without a copy. It coerces in silence, as typed arrays do, and must not be used after `close()`.
   * @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT
   */
  get view(): TypedArrays[C] {
    this.#health.look();
    return this.#cells as unknown as TypedArrays[C];
  }

  /** The lock beside the elements. Operations of one step do not need it. */
  get lock(): Lock {
    return this.#lock.lock;
  }

  /**
   * Takes the lock, runs `work`, and lets go, also when `work` throws. `guard.recovered`: who had it before died with it.
   * @throws what `work` throws; NARU_TIMEOUT, NARU_DEADLOCK (called from within `work`), NARU_CLOSED, the signal's reason
   */
  withLock<T>(work: (guard: LockGuard) => T | Promise<T>, limits?: WaitLimits): Promise<T> {
    return this.#lock.lock.with(work, limits);
  }

  /** Lets the array go; the array itself stays, as its `owner` says. May be called again. */
  async close(): Promise<void> {
    await this.#lock.close();
    await this.#driver.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Removes the array for everybody: other handles get NARU_CLOSED. @throws NARU_CLOSED, NARU_DENIED */
  unlink(): Promise<void> {
    return this.#driver.unlink();
  }

  #put(index: number, value: ValueOf<C>): void {
    const cells = this.#cells;
    if (this.#integers === undefined) cells[index] = value as number;
    else Atomics.store(cells as unknown as Int32Array, index, value as number);
  }

  #whole(index: number): Integers {
    this.#check(index);
    return this.#integers ?? this.#noInteger();
  }

  #noInteger(): never {
    const { text, place } = this.#driver.facts;
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${text}: ${this.#kind} has no such operation, only integers have; use withLock() with get() and set()`,
      { place, mailbox: text },
    );
  }

  #check(index: number): void {
    if (!this.#health.isFresh) this.#health.look();
    if (Number.isInteger(index) && index >= 0 && index < this.length) return;
    const { text, place } = this.#driver.facts;
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${text}: there is no element ${String(index)}, they are 0 to ${this.length - 1}`,
      { place, mailbox: text },
    );
  }
}
