// SharedValue: one number, boolean, text or piece of bytes that several processes share, with a lock beside it. There is no property to
// assign to: `counter.value += 1` would read and write in two steps, and lose what others add in between.

import { types } from 'node:util';
import { NaruError } from '../errors/index.ts';
import type { SharedHandle } from '../mailbox/shared-handle.ts';
import type { WaitLimits } from '../mailbox/waiting.ts';
import type { Lock, LockGuard } from '../sync/lock.ts';
import { CellLock } from './cell-lock.ts';
import { type CellDriver, sharedCells } from './cells.ts';
import {
  codeOf,
  fits,
  type IntegerCode,
  isInteger,
  misfit,
  type NumberCode,
  type TypedArrays,
  type ValueCode,
  type ValueOf,
} from './elements.ts';
import { Integers } from './integers.ts';
import { typedView, type Well } from './view.ts';

/** A parameter that only integers have. */
export type IntegerOnly<C extends ValueCode> = C extends IntegerCode ? ValueOf<C> : never;

/** A value that several processes share. Made by `openValue()`. */
export class SharedValue<C extends ValueCode = ValueCode> {
  readonly #driver: CellDriver;
  readonly #health: CellDriver['health'];
  readonly #lock: CellLock;
  readonly #cells: Float64Array | undefined;
  readonly #integers: Integers | undefined;

  /** @internal */
  constructor(driver: CellDriver) {
    const { kind } = driver.facts.element;
    this.#driver = driver;
    this.#health = driver.health;
    this.#lock = new CellLock(driver);
    if (kind === 'text' || kind === 'bytes') return;
    const cells = typedView(driver);
    // One field for all kinds: reading and writing an element looks the same for each.
    this.#cells = cells as unknown as Float64Array;
    if (isInteger(kind)) this.#integers = new Integers(kind, cells as Int32Array, driver.facts.text);
  }

  /** Its type: `i32`, `f64`, `text:64`, … */
  get type(): C {
    return codeOf(this.#driver.facts.element) as C;
  }

  /** A URL by which others open this very value. */
  get address(): string {
    return this.#driver.facts.address;
  }

  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle {
    return sharedCells('value', this.#driver.facts);
  }

  /** Whether this handle made the value. */
  get created(): boolean {
    return this.#driver.facts.created;
  }

  /** @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT */
  get(): ValueOf<C> {
    if (!this.#health.isFresh) this.#health.look();
    const cells = this.#cells;
    if (cells === undefined) return this.#readBlob() as ValueOf<C>;
    if (this.#integers !== undefined) return Atomics.load(cells as unknown as Int32Array, 0) as ValueOf<C>;
    const { kind } = this.#driver.facts.element;
    return (kind === 'bool' ? Atomics.load(cells as unknown as Uint8Array, 0) !== 0 : cells[0]) as ValueOf<C>;
  }

  /**
   * Stores a value, whole: a reader gets the old one or this one.
   * @throws NARU_INVALID_ARGUMENT  it is of another type, or out of the type's range
   * @throws NARU_TOO_LARGE         a text or bytes longer than the type says
   * @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT, NARU_TIMEOUT (a stopped process is writing a text or bytes)
   */
  set(value: ValueOf<C>): void {
    if (!this.#health.isFresh) this.#health.look();
    const cells = this.#cells;
    if (cells === undefined) {
      this.#writeBlob(value);
      return;
    }
    const { kind } = this.#driver.facts.element as { kind: NumberCode | 'bool' };
    if (!fits(kind, value)) throw misfit(kind, value, this.#driver.facts.text);
    if (this.#integers !== undefined) Atomics.store(cells as unknown as Int32Array, 0, value as number);
    else if (kind === 'bool') Atomics.store(cells as unknown as Uint8Array, 0, value === true ? 1 : 0);
    else cells[0] = value as number;
  }

  /**
   * Adds in one step. @returns what was there before
   * @throws NARU_INVALID_ARGUMENT  the operand or the sum is out of range: nothing was changed
   * @throws NARU_UNSUPPORTED       it is no integer; NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT
   */
  add(operand: IntegerOnly<C>): ValueOf<C> {
    if (!this.#health.isFresh) this.#health.look();
    return (this.#integers ?? this.#noInteger()).add(0, operand) as ValueOf<C>;
  }

  /** Subtracts in one step. @returns what was there before @throws as add() */
  sub(operand: IntegerOnly<C>): ValueOf<C> {
    return this.#whole().sub(0, operand) as ValueOf<C>;
  }

  /** @returns what was there before @throws as add() */
  and(operand: IntegerOnly<C>): ValueOf<C> {
    return this.#whole().and(0, operand) as ValueOf<C>;
  }

  /** @returns what was there before @throws as add() */
  or(operand: IntegerOnly<C>): ValueOf<C> {
    return this.#whole().or(0, operand) as ValueOf<C>;
  }

  /** @returns what was there before @throws as add() */
  xor(operand: IntegerOnly<C>): ValueOf<C> {
    return this.#whole().xor(0, operand) as ValueOf<C>;
  }

  /** Stores a value. @returns what was there before @throws as add() */
  exchange(value: IntegerOnly<C>): ValueOf<C> {
    return this.#whole().exchange(0, value) as ValueOf<C>;
  }

  /** Stores `next` where `expected` is. @returns what was there: `expected` when it was stored @throws as add() */
  compareExchange(expected: IntegerOnly<C>, next: IntegerOnly<C>): ValueOf<C> {
    return this.#whole().compareExchange(0, expected, next) as ValueOf<C>;
  }

  /**
   * The shared memory itself as a typed array of one element, without a copy. It coerces in silence, as typed arrays do, and must not be used
   * after `close()`. Of numbers only.
   * @throws NARU_UNSUPPORTED  it is no number; NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT
   */
  get view(): C extends keyof TypedArrays ? TypedArrays[C] : never {
    this.#health.look();
    const { kind } = this.#driver.facts.element;
    if (this.#cells !== undefined && kind !== 'bool')
      return this.#cells as unknown as C extends keyof TypedArrays ? TypedArrays[C] : never;
    throw this.#error('NARU_UNSUPPORTED', `${kind} has no view; use get() and set()`);
  }

  /** The lock beside the value. Operations of one step do not need it. */
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

  /** Lets the value go; the value itself stays, as its `owner` says. May be called again. */
  async close(): Promise<void> {
    await this.#lock.close();
    await this.#driver.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Removes the value for everybody: other handles get NARU_CLOSED. @throws NARU_CLOSED, NARU_DENIED */
  unlink(): Promise<void> {
    return this.#driver.unlink();
  }

  #whole(): Integers {
    if (!this.#health.isFresh) this.#health.look();
    return this.#integers ?? this.#noInteger();
  }

  #noInteger(): never {
    throw this.#error(
      'NARU_UNSUPPORTED',
      `${this.type} has no such operation, only integers have; use withLock() with get() and set()`,
    );
  }

  #readBlob(): string | Uint8Array {
    const bytes = this.#driver.readBlob();
    return this.#driver.facts.element.kind === 'text' ? Buffer.from(bytes).toString('utf8') : bytes;
  }

  #writeBlob(value: unknown): void {
    const { kind, bytes: most } = this.#driver.facts.element;
    const { text } = this.#driver.facts;
    const isRight =
      kind === 'text'
        ? typeof value === 'string' && (value as Well).isWellFormed()
        : types.isUint8Array(value);
    if (!isRight) throw misfit(kind, value, text);
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : (value as Uint8Array);
    if (bytes.byteLength > most)
      throw this.#error(
        'NARU_TOO_LARGE',
        `${bytes.byteLength} bytes are more than the ${most} of ${this.type}`,
      );
    this.#driver.writeBlob(bytes);
  }

  #error(code: 'NARU_UNSUPPORTED' | 'NARU_TOO_LARGE', what: string): NaruError {
    const { text, place } = this.#driver.facts;
    return new NaruError(code, `${text}: ${what}`, { place, mailbox: text });
  }
}
