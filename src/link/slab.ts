// Memory for messages that are kept: many small ones share a piece. Nothing is freed by hand; a piece goes when the last
// message in it goes.

import { type Chunk, chunkOf } from '../wire/splitter.ts';
import { LINK } from './limits.ts';

export class Slab {
  #chunk: Chunk | undefined;
  #used = 0;
  #offset = 0;

  /** Where the last allocate() begins. */
  get offset(): number {
    return this.#offset;
  }

  /** @returns the piece in which `size` bytes from `offset` are the caller's */
  allocate(size: number): Chunk {
    if (size > LINK.slabBytes / 4) {
      this.#offset = 0;
      return chunkOf(Buffer.allocUnsafeSlow(size));
    }
    let chunk = this.#chunk;
    if (chunk === undefined || this.#used + size > LINK.slabBytes) {
      chunk = chunkOf(Buffer.allocUnsafeSlow(LINK.slabBytes));
      this.#chunk = chunk;
      this.#used = 0;
    }
    this.#offset = this.#used;
    this.#used += size;
    return chunk;
  }
}
