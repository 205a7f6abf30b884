// What a map hands out is frozen all the way down: `map.get('a').push(1)` throws instead of changing a copy that nobody stores.
// Binary data cannot be frozen in JavaScript: it is a copy of the caller's own, which the docs say.

import { isDate, isMap, isSet } from 'node:util/types';

/** `T` with everything in it readonly. Functions of binary types take them as they are. */
export type Frozen<T> = T extends (...args: never) => unknown
  ? T
  : T extends ArrayBufferView | ArrayBuffer | Date
    ? T
    : T extends ReadonlyMap<infer K, infer V>
      ? ReadonlyMap<Frozen<K>, Frozen<V>>
      : T extends ReadonlySet<infer V>
        ? ReadonlySet<Frozen<V>>
        : T extends object
          ? { readonly [K in keyof T]: Frozen<T[K]> }
          : T;

const MAP_CHANGES = ['set', 'delete', 'clear'];
const SET_CHANGES = ['add', 'delete', 'clear'];
const DATE_CHANGES = Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set'));

/**
 * Freezes a value that was just decoded and belongs to nobody else. Iterative: no depth is too deep for it.
 * @param what  names the entry in the error of a refused change
 */
export function freezeDeep(value: unknown, what: string): void {
  if (typeof value !== 'object' || value === null) return;
  const rest: object[] = [value];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    // Frozen already: a cycle (v8), or a part that occurs twice.
    if (ArrayBuffer.isView(next) || next instanceof ArrayBuffer || Object.isFrozen(next)) continue;
    if (isMap(next)) refuse(next, MAP_CHANGES, what);
    else if (isSet(next)) refuse(next, SET_CHANGES, what);
    else if (isDate(next)) refuse(next, DATE_CHANGES, what);
    Object.freeze(next);
    for (const part of partsOf(next)) if (typeof part === 'object' && part !== null) rest.push(part);
  }
}

function partsOf(value: object): Iterable<unknown> {
  if (isMap(value)) return [...value.keys(), ...value.values()];
  return isSet(value) ? value : Object.values(value);
}

/** Freezing a Map, a Set or a Date does not keep its methods from changing it. */
function refuse(value: object, methods: readonly string[], what: string): void {
  const refusal = (): never => {
    throw new TypeError(`${what} is a frozen copy: change it with update() or set()`);
  };
  for (const name of methods) Object.defineProperty(value, name, { value: refusal });
}
