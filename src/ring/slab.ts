// Private memory that records are copied into before anybody looks at them. A slab is written once from front to back and
// never again, so views into it stay valid for ever; the collector frees it with its last message.

/** Memory that a message lies in, in the views that reading needs, all of them of the whole buffer. */
export interface MessageMemory {
  readonly buffer: ArrayBufferLike;
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;
  /** The lane itself, of which the message's room will be written over; not a private copy. */
  readonly isMapped: boolean;
}

/** Small enough that one kept message holds little memory, large enough that making slabs costs nothing per message. */
export const SLAB_BYTES: number = 64 * 1024;

/** Where lanes get private memory from. */
export interface Slabs {
  /** The slab that the last reserve() lies in. */
  readonly slab: MessageMemory;
  /** Bytes that reserve() could give without a new slab. */
  readonly remaining: number;
  /**
   * Takes room.
   *
   * @param sizeBytes  a multiple of 8
   * @returns where it starts in `slab`
   */
  reserve(sizeBytes: number): number;
}

/** Hands out consecutive pieces of slabs; every lane of one receiver shares it. What was handed out stays as it is. */
export class SlabSource implements Slabs {
  #slab: MessageMemory = makeSlab(0);
  #used = 0;

  get slab(): MessageMemory {
    return this.#slab;
  }

  get remaining(): number {
    return this.#slab.bytes.length - this.#used;
  }

  reserve(sizeBytes: number): number {
    if (sizeBytes > this.remaining) {
      this.#slab = makeSlab(Math.max(SLAB_BYTES, sizeBytes));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += sizeBytes;
    return start;
  }
}

function makeSlab(sizeBytes: number): MessageMemory {
  // Not zeroed: every byte that is ever read was copied in before. allocUnsafeSlow never shares a pool.
  const { buffer } = Buffer.allocUnsafeSlow(sizeBytes);
  return {
    buffer,
    bytes: new Uint8Array(buffer),
    words: new Int32Array(buffer),
    view: new DataView(buffer),
    isMapped: false,
  };
}
