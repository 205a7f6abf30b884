// Growing typed arrays, as the tables of the broker do.

/** No slot, no piece: the end of a list of free ones. */
export const FREE = -1;

type Typed = Int32Array | Uint32Array | Uint16Array | Uint8Array | Float64Array;

/** Copies `from` into the larger `to`. */
export function grow<T extends Typed>(from: T, to: T): T {
  to.set(from);
  return to;
}
