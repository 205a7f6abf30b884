// Values and arrays in a Manager, from a client's side. The operations of SharedValue and SharedArray, each of them a call: it gives a promise.

import { NaruError } from '../errors/index.ts';
import type { SharedHandle } from '../mailbox/shared-handle.ts';
import { awaitOutcome, checkLimits, type WaitLimits, within } from '../mailbox/waiting.ts';
import type { CellPlaceOptions } from '../state/cell-place.ts';
import {
  codeOf,
  type Element,
  isInteger,
  type NumberCode,
  parseElement,
  type TypedArrays,
  type ValueCode,
  type ValueOf,
} from '../state/elements.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import type { IntegerOnly } from '../state/value.ts';
import { Lock, type LockGuard } from '../sync/lock.ts';
import { CONSTRUCTORS } from '../state/view.ts';
import type { FrameRecord } from '../wire/frames.ts';
import { readTarget } from './address.ts';
import { decodeCell, decodeCells, encodeCell } from './cell-bytes.ts';
import { Handle } from './handle.ts';
import { checkOwner } from './owner.ts';
import { Verb } from './protocol.ts';
import { unixSync } from './sync-capabilities.ts';
import { ManagerLock } from './sync-drivers.ts';

/** What a value and an array have in common. */
class Cell {
  readonly handle: Handle;
  readonly lock: Lock;
  readonly element: Element;
  readonly text: string;

  constructor(handle: Handle, lock: Lock) {
    this.handle = handle;
    this.lock = lock;
    this.text = handle.target.text;
    this.element = parseElement(handle.told.settings['type'], this.text);
  }

  async read(at: number, limits: WaitLimits): Promise<unknown> {
    checkLimits(limits, this.text);
    const answer = this.handle.call(Verb.cell, { text: 'get', x: at }, false);
    const { body } = await within(answer, limits, 'no answer', this.text);
    return decodeCell(this.element, body);
  }

  /** @throws NARU_OUTCOME_UNKNOWN */
  async act(
    operation: string,
    at: number,
    operands: readonly unknown[],
    limits: WaitLimits,
  ): Promise<unknown> {
    const record = await this.write(operation, at, operands, limits);
    return record.body.length === 0 ? undefined : decodeCell(this.element, record.body);
  }

  async write(
    operation: string,
    at: number,
    operands: readonly unknown[],
    limits: WaitLimits,
  ): Promise<FrameRecord> {
    checkLimits(limits, this.text);
    const { element, text } = this;
    if (operation !== 'set' && operation !== 'setAll' && !isInteger(element.kind))
      throw this.handle.error(
        'NARU_UNSUPPORTED',
        `${codeOf(element)} has no such operation, only integers have; use withLock() with get() and set()`,
      );
    const body = Buffer.concat(operands.map((operand) => encodeCell(element, operand, text)));
    this.handle.checkBody(body);
    const answer = this.handle.call(Verb.cell, { text: operation, x: at, body }, true);
    const done = answer.then(() => undefined);
    await awaitOutcome(done, limits, 'no answer', text);
    return answer;
  }

  shared(kind: 'value' | 'array'): SharedHandle {
    const { address, secrets } = this.handle.target;
    return {
      kind,
      url: address,
      options: { type: codeOf(this.element), ...secrets },
      shapes: ['worker', 'child'],
    };
  }
}

/**
 * A value that lives in a Manager. Made by `openValue()`. Every call rejects with NARU_CLOSED, NARU_DISCONNECTED (no Manager for 5 s) and, where it
 * changes something, NARU_OUTCOME_UNKNOWN (the connection broke before the answer).
 */
export class ManagerValue<C extends ValueCode = ValueCode> {
  readonly #cell: Cell;

  /** @internal */
  constructor(cell: Cell) {
    this.#cell = cell;
  }

  /** Its type: `i32`, `f64`, `text:64`, … */
  get type(): C {
    return codeOf(this.#cell.element) as C;
  }

  /** A URL by which others open this very value; they need the key as well. */
  get address(): string {
    return this.#cell.handle.target.address;
  }

  /** Whether this handle made the value. */
  get created(): boolean {
    return this.#cell.handle.told.created;
  }

  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle {
    return this.#cell.shared('value');
  }

  /** @throws NARU_TIMEOUT */
  async get(limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return (await this.#cell.read(0, limits)) as ValueOf<C>;
  }

  /** @throws NARU_INVALID_ARGUMENT  it is of another type, or out of the type's range; NARU_TOO_LARGE  a text or bytes longer than the type says */
  async set(value: ValueOf<C>, limits: WaitLimits = {}): Promise<void> {
    await this.#cell.write('set', 0, [value], limits);
  }

  /**
   * Adds in one step. @returns what was there before
   * @throws NARU_INVALID_ARGUMENT  the operand or the sum is out of range: nothing was changed; NARU_UNSUPPORTED  it is no integer
   */
  add(operand: IntegerOnly<C>, limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return this.#act('add', [operand], limits);
  }

  /** Subtracts in one step. @returns what was there before @throws as add() */
  sub(operand: IntegerOnly<C>, limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return this.#act('sub', [operand], limits);
  }

  /** @returns what was there before @throws as add() */
  and(operand: IntegerOnly<C>, limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return this.#act('and', [operand], limits);
  }

  /** @returns what was there before @throws as add() */
  or(operand: IntegerOnly<C>, limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return this.#act('or', [operand], limits);
  }

  /** @returns what was there before @throws as add() */
  xor(operand: IntegerOnly<C>, limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return this.#act('xor', [operand], limits);
  }

  /** Stores a value. @returns what was there before @throws as add() */
  exchange(value: IntegerOnly<C>, limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return this.#act('exchange', [value], limits);
  }

  /** Stores `next` where `expected` is. @returns what was there: `expected` when it was stored @throws as add() */
  compareExchange(
    expected: IntegerOnly<C>,
    next: IntegerOnly<C>,
    limits: WaitLimits = {},
  ): Promise<ValueOf<C>> {
    return this.#act('compareExchange', [expected, next], limits);
  }

  /** The lock beside the value. Operations of one step do not need it. */
  get lock(): Lock {
    return this.#cell.lock;
  }

  /**
   * Takes the lock, runs `work`, and lets go, also when `work` throws. `guard.recovered`: who had it before died with it.
   * @throws what `work` throws; NARU_TIMEOUT, NARU_DEADLOCK (called from within `work`), NARU_PEER_GONE (lost meanwhile), the signal's reason
   */
  withLock<T>(work: (guard: LockGuard) => T | Promise<T>, limits?: WaitLimits): Promise<T> {
    return this.#cell.lock.with(work, limits);
  }

  /** Lets the value go; the value itself stays, as its `owner` says. May be called again. */
  close(): Promise<void> {
    return this.#cell.lock.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Removes the value for everybody: other handles get NARU_CLOSED. @throws NARU_CLOSED */
  unlink(): Promise<void> {
    return this.#cell.handle.unlink();
  }

  #act(operation: string, operands: readonly unknown[], limits: WaitLimits): Promise<ValueOf<C>> {
    return this.#cell.act(operation, 0, operands, limits) as Promise<ValueOf<C>>;
  }
}

/** What an element is, where it is an integer. */
type Operand<C extends NumberCode> = IntegerOnly<C>;

/** An array of numbers that lives in a Manager. Made by `openArray()`. Calls reject as those of ManagerValue. */
export class ManagerArray<C extends NumberCode = NumberCode> {
  /** How many elements it has. */
  readonly length: number;
  readonly #cell: Cell;

  /** @internal */
  constructor(cell: Cell) {
    this.#cell = cell;
    this.length = cell.handle.told.settings['length'] as number;
  }

  /** Type of the elements: `i32`, `f64`, … */
  get type(): C {
    return this.#cell.element.kind as C;
  }

  /** A URL by which others open this very array; they need the key as well. */
  get address(): string {
    return this.#cell.handle.target.address;
  }

  /** Whether this handle made the array. */
  get created(): boolean {
    return this.#cell.handle.told.created;
  }

  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle {
    return this.#cell.shared('array');
  }

  /** @throws NARU_INVALID_ARGUMENT (no such index), NARU_TIMEOUT */
  async get(index: number, limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return (await this.#cell.read(index, limits)) as ValueOf<C>;
  }

  /** @throws NARU_INVALID_ARGUMENT  no such index, or a value of another type or out of its range */
  async set(index: number, value: ValueOf<C>, limits: WaitLimits = {}): Promise<void> {
    await this.#cell.write('set', index, [value], limits);
  }

  /** Stores several values, from an index on, in one step. @throws as set() */
  async setAll(values: Iterable<ValueOf<C>>, from = 0, limits: WaitLimits = {}): Promise<void> {
    await this.#cell.write('setAll', from, [...values], limits);
  }

  /** Adds in one step. @returns what was there before @throws as set(), NARU_UNSUPPORTED  they are no integers */
  add(index: number, operand: Operand<C>, limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return this.#act('add', index, [operand], limits);
  }

  /** Subtracts in one step. @returns what was there before @throws as add() */
  sub(index: number, operand: Operand<C>, limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return this.#act('sub', index, [operand], limits);
  }

  /** Stores a value. @returns what was there before @throws as add() */
  exchange(index: number, value: Operand<C>, limits: WaitLimits = {}): Promise<ValueOf<C>> {
    return this.#act('exchange', index, [value], limits);
  }

  /** Stores `next` where `expected` is. @returns what was there: `expected` when it was stored @throws as add() */
  compareExchange(
    index: number,
    expected: Operand<C>,
    next: Operand<C>,
    limits: WaitLimits = {},
  ): Promise<ValueOf<C>> {
    return this.#act('compareExchange', index, [expected, next], limits);
  }

  /** A copy of the elements. One of many elements is fetched in parts: what changes meanwhile may be in it or not. @throws NARU_TIMEOUT */
  async slice(from = 0, to: number = this.length, limits: WaitLimits = {}): Promise<TypedArrays[C]> {
    const { element, text, handle } = this.#cell;
    checkLimits(limits, text);
    const values: unknown[] = [];
    const end = Math.min(to, this.length);
    while (from + values.length < end) {
      const answer = handle.call(Verb.cell, { text: 'slice', x: from + values.length, y: end }, false);
      const { body } = await within(answer, limits, 'no answer', text);
      values.push(...decodeCells(element, body));
    }
    const copy = new CONSTRUCTORS[element.kind as NumberCode](
      new ArrayBuffer(values.length * element.bytes),
      0,
      values.length,
    );
    for (const [at, value] of values.entries()) (copy as unknown as unknown[])[at] = value;
    return copy as TypedArrays[C];
  }

  /** The lock beside the array. Operations of one step do not need it. */
  get lock(): Lock {
    return this.#cell.lock;
  }

  /**
   * Takes the lock, runs `work`, and lets go, also when `work` throws. `guard.recovered`: who had it before died with it.
   * @throws what `work` throws; NARU_TIMEOUT, NARU_DEADLOCK (called from within `work`), NARU_PEER_GONE (lost meanwhile), the signal's reason
   */
  withLock<T>(work: (guard: LockGuard) => T | Promise<T>, limits?: WaitLimits): Promise<T> {
    return this.#cell.lock.with(work, limits);
  }

  /** Lets the array go; the array itself stays, as its `owner` says. May be called again. */
  close(): Promise<void> {
    return this.#cell.lock.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Removes the array for everybody: other handles get NARU_CLOSED. @throws NARU_CLOSED */
  unlink(): Promise<void> {
    return this.#cell.handle.unlink();
  }

  #act(operation: string, at: number, operands: readonly unknown[], limits: WaitLimits): Promise<ValueOf<C>> {
    return this.#cell.act(operation, at, operands, limits) as Promise<ValueOf<C>>;
  }
}

/** What openValue() and openArray() give here. @throws as openValue() */
export async function openManagerCells(
  url: PlaceUrl,
  options: CellPlaceOptions & { readonly key: string | undefined },
): Promise<ManagerValue | ManagerArray> {
  const { type: kind, element, length, create = 'if-missing', signal } = options;
  for (const name of Object.keys(url.extra))
    if (name !== 'name' && name !== 'keyFile' && name !== 'heartbeatMs')
      throw new NaruError('NARU_INVALID_ARGUMENT', `${url.text}: unknown parameter ${name}`, {
        mailbox: url.text,
      });
  const target = readTarget(url, options.key);
  const owner = checkOwner(options.owner, target.text);
  const settings = { type: element === undefined ? undefined : codeOf(element), length };
  let lock: Lock | undefined;
  const hooks = { ready: () => lock?.ready(), failed: (error: Error) => lock?.failed(error) };
  const driver = new ManagerLock(hooks);
  const handle = await Handle.open(target, { kind, create, owner, settings }, signal, driver);
  driver.begin(handle);
  lock = new Lock(driver, false, unixSync.features);
  const cell = new Cell(handle, lock);
  return kind === 'array' ? new ManagerArray(cell) : new ManagerValue(cell);
}
