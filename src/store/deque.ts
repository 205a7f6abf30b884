// A double-ended queue over a ring buffer: constant time, no garbage per element, memory follows the content. It knows
// nothing of messages.

/** Smallest ring, and the size below which a ring never shrinks. A power of two. */
const RING_MIN = 16;

/** First in, first out. Rings grow by doubling and shrink when seven eighths are unused. */
export class Deque<E> {
  #ring: (E | undefined)[] = emptyRing(RING_MIN);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(element: E): void {
    if (this.#size === this.#ring.length) this.#resize(this.#size * 2);
    this.#ring[(this.#head + this.#size) & (this.#ring.length - 1)] = element;
    this.#size += 1;
  }

  /** @returns undefined when empty */
  shift(): E | undefined {
    if (this.#size === 0) return undefined;
    const element = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#size -= 1;
    if (this.#ring.length > 1024 && this.#size * 8 < this.#ring.length) this.#resize(this.#ring.length / 4);
    return element;
  }

  /** The first element; undefined when empty. */
  front(): E | undefined {
    return this.#ring[this.#head];
  }

  /** The element at a place counted from the front; undefined outside. */
  at(index: number): E | undefined {
    return index < this.#size ? this.#ring[(this.#head + index) & (this.#ring.length - 1)] : undefined;
  }

  /** Keeps only the elements that pass, in order. */
  retain(keep: (element: E) => boolean): void {
    const kept: E[] = [];
    for (let index = 0; index < this.#size; index += 1) {
      const element = this.at(index);
      if (element !== undefined && keep(element)) kept.push(element);
    }
    this.clear();
    for (const element of kept) this.push(element);
  }

  clear(): void {
    this.#ring = emptyRing(RING_MIN);
    this.#head = 0;
    this.#size = 0;
  }

  #resize(length: number): void {
    const ring = emptyRing<E>(length);
    for (let index = 0; index < this.#size; index += 1) ring[index] = this.at(index);
    this.#ring = ring;
    this.#head = 0;
  }
}

/** A piece of memory of so many places, packed: holes would cost at every look. (Array.from takes ten times as long.) */
export function emptyRing<E>(length: number): (E | undefined)[] {
  const ring: (E | undefined)[] = [];
  for (let index = 0; index < length; index += 1) ring.push(undefined);
  return ring;
}
