// Typed arrays over the elements of a shared value or array.

import type { CellDriver } from './cells.ts';
import type { NumberCode, TypedArrays } from './elements.ts';

/** Node 20 has it, the ES2023 library of TypeScript does not yet. */
export type Well = string & { isWellFormed(): boolean };

type Constructors = {
  readonly [C in NumberCode]: new (
    buffer: ArrayBufferLike,
    offset: number,
    length: number,
  ) => TypedArrays[C];
};

/** Constructors by code; a boolean is a byte. */
export const CONSTRUCTORS: Constructors & { readonly bool: Constructors['u8'] } = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  f32: Float32Array,
  f64: Float64Array,
  bool: Uint8Array,
};

/** The elements themselves, without a copy. */
export function typedView({ buffer, offset, facts }: CellDriver): TypedArrays[NumberCode] {
  const { kind } = facts.element as { kind: keyof typeof CONSTRUCTORS };
  return new CONSTRUCTORS[kind](buffer, offset, facts.length);
}
