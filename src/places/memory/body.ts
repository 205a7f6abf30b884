// Copies of bodies: the sender may reuse its buffer at once, the receiver may keep its own for ever. Small ones are worth some
// care, since making a typed array costs more than copying.

import { markAsUntransferable } from 'node:worker_threads';

/** Up to here the engine keeps the bytes in the object itself: cheaper than a piece of a slab. */
const INLINE_MAX = 64;
/** Longer bodies get memory of their own, so that keeping one does not keep a slab. */
const SLAB_BODY_MAX = 4096;
const SLAB_BYTES = 65_536;

let slab: ArrayBuffer | undefined;
let used = 0;

/** The same bytes in memory that nobody else writes. */
export function copyBody(body: Uint8Array): Uint8Array {
  const size = body.byteLength;
  if (size <= INLINE_MAX || size > SLAB_BODY_MAX) return new Uint8Array(body);
  if (slab === undefined || used + size > SLAB_BYTES) slab = newSlab();
  const copy = new Uint8Array(slab, used, size);
  copy.set(body);
  used += (size + 7) & ~7;
  return copy;
}

function newSlab(): ArrayBuffer {
  used = 0;
  const fresh = new ArrayBuffer(SLAB_BYTES);
  // Handing one message's buffer to a worker would take the bytes of all its neighbours along.
  markAsUntransferable(fresh);
  return fresh;
}
