// A value or an array that lives in a Manager: the very classes of shared memory (state/value.ts, state/array.ts) over memory of this process,
// so that ranges and operations are the same.

import { SharedArray } from '../state/array.ts';
import type { CellDriver } from '../state/cells.ts';
import { codeOf, type Element, parseElement } from '../state/elements.ts';
import type { Budget } from '../state/map-contents.ts';
import { SharedValue } from '../state/value.ts';
import { decodeCell, decodeCells, encodeCell } from './cell-bytes.ts';
import {
  compareSettings,
  countOf,
  type Desk,
  type Held,
  type HeldInit,
  managerError,
  type Seat,
} from './held.ts';
import { HeldLock } from './held-sync.ts';
import { MANAGER } from './limits.ts';
import { type Answer, type Asked, type Call, DONE, Verb } from './protocol.ts';

/** Operations of one operand, by their names. */
const OPERATIONS = ['add', 'sub', 'and', 'or', 'xor', 'exchange'] as const;
type Operation = (typeof OPERATIONS)[number];

/** Either of the two, as what they have in common. */
type Cells = SharedArray<'i32'>;

export class HeldCells implements Held {
  readonly settings: { readonly type: string; readonly length: number };
  readonly text: string;
  readonly element: Element;
  readonly #budget: Budget;
  readonly #bytes: number;
  readonly #cells: Cells;
  readonly #isArray: boolean;
  readonly #lock: HeldLock;

  /** @throws NARU_INVALID_ARGUMENT (type, length), NARU_NOT_FOUND (no type was said), NARU_FULL, NARU_LIMIT */
  constructor(asked: Asked, { text, maxValueBytes, budget }: HeldInit) {
    const { type } = asked.settings;
    this.text = text;
    if (type === undefined)
      throw managerError('NARU_NOT_FOUND', text, 'it is not there, and no type was said');
    this.element = parseElement(type, text);
    if (this.element.bytes > maxValueBytes)
      throw managerError(
        'NARU_LIMIT',
        text,
        `${codeOf(this.element)} is more than the ${maxValueBytes} bytes of a value here; raise maxValueBytes`,
      );
    const isArray = asked.kind === 'array';
    const length = isArray ? countOf(asked, 'length', 0, 1, 2 ** 28, text) : 1;
    if (length === 0) throw managerError('NARU_NOT_FOUND', text, 'it is not there, and no length was said');
    this.settings = { type: codeOf(this.element), length };
    // Whole words: an atomic operation on a shorter element needs no more, but its view does.
    this.#bytes = Math.ceil((this.element.bytes * length) / 8) * 8;
    if (budget.used + this.#bytes > budget.max)
      throw managerError(
        'NARU_FULL',
        text,
        `${this.#bytes} bytes are more than the Manager has left of its ${budget.max}`,
      );
    budget.used += this.#bytes;
    this.#budget = budget;
    const driver = localCells(this.element, length, text);
    this.#cells = (isArray ? new SharedArray(driver) : new SharedValue(driver)) as unknown as Cells;
    this.#isArray = isArray;
    this.#lock = new HeldLock(text);
  }

  check(asked: Asked): void {
    compareSettings(asked, this.settings, this.text);
  }

  /** Calls that are not about cells are those of the lock beside them. */
  attach(desk: Desk): Seat {
    const lock = this.#lock.attach(desk);
    return {
      serve: (call) => (call.verb === Verb.cell ? this.#serve(call) : lock.serve(call)),
      leave: (died) => lock.leave(died),
    };
  }

  dispose(): void {
    this.#budget.used -= this.#bytes;
    this.#lock.dispose();
  }

  #serve(call: Call): Answer {
    const { element, text } = this;
    const { text: operation, x: index, body } = call;
    if (operation === 'slice') return this.#slice(index, call.y);
    const cells = this.#isArray ? this.#cells : asArray(this.#cells as unknown as SharedValue<'i32'>);
    if (operation === 'get') return { body: encodeCell(element, cells.get(index), text) };
    if (operation === 'set') {
      cells.set(index, decodeCell(element, body) as number);
      return DONE;
    }
    const operands = decodeCells(element, body) as number[];
    if (operation === 'setAll' && this.#isArray) {
      this.#cells.setAll(operands, index);
      return DONE;
    }
    const [first = 0, second = 0] = operands;
    if (operation === 'compareExchange')
      return { body: encodeCell(element, cells.compareExchange(index, first, second), text) };
    if (!(OPERATIONS as readonly string[]).includes(operation))
      throw managerError('NARU_UNSUPPORTED', text, `there is no operation "${operation.slice(0, 40)}"`);
    return { body: encodeCell(element, cells[operation as Operation](index, first), text) };
  }

  #slice(from: number, to: number): Answer {
    const { element, text } = this;
    const end = Math.min(to, this.settings.length, from + MANAGER.pageBytes / 8);
    if (!this.#isArray || !(Number.isInteger(from) && from >= 0))
      throw managerError('NARU_INVALID_ARGUMENT', text, `there is no element ${from}`);
    const all = Array.from(this.#cells.slice(from, end), (value) => encodeCell(element, value, text));
    return { body: Buffer.concat(all) };
  }
}

/** A value as an array of one. */
function asArray(value: SharedValue<'i32'>): Pick<Cells, 'get' | 'set' | 'compareExchange' | Operation> {
  return {
    get: () => value.get(),
    set: (_, one) => value.set(one),
    add: (_, one) => value.add(one),
    sub: (_, one) => value.sub(one),
    and: (_, one) => value.and(one),
    or: (_, one) => value.or(one),
    xor: (_, one) => value.xor(one),
    exchange: (_, one) => value.exchange(one),
    compareExchange: (_, expected, next) => value.compareExchange(expected, next),
  };
}

/** Memory of this process, as the model wants it. */
function localCells(element: Element, length: number, text: string): CellDriver {
  const isBlob = element.kind === 'text' || element.kind === 'bytes';
  const buffer = new SharedArrayBuffer(isBlob ? 8 : Math.ceil((element.bytes * length) / 8) * 8);
  let blob: Uint8Array = new Uint8Array(0);
  return {
    facts: { text, address: '', place: 'manager', created: true, element, length },
    buffer,
    offset: 0,
    health: { isFresh: true, look: () => undefined },
    openLock: () => {
      throw managerError(
        'NARU_UNSUPPORTED',
        text,
        "the lock of a value in a Manager is its clients' business",
      );
    },
    readBlob: () => blob.slice(),
    writeBlob: (bytes) => {
      blob = Uint8Array.prototype.slice.call(bytes);
    },
    close: () => Promise.resolve(),
    unlink: () => Promise.resolve(),
  };
}
