// A binary heap that tells each element where it stands, so that one can be taken out of the middle in O(log n). The
// store uses it for deadlines, for items that came back, for parked items and for levels. It knows nothing of them.

/** The element that comes `before` all others is on top. */
export class Heap<E> {
  readonly #before: (a: E, b: E) => boolean;
  readonly #moved: (element: E, index: number) => void;
  readonly #items: E[] = [];

  /**
   * @param before  whether `a` comes out before `b`
   * @param moved   told where an element stands now; -1 = it left the heap
   */
  constructor(before: (a: E, b: E) => boolean, moved: (element: E, index: number) => void) {
    this.#before = before;
    this.#moved = moved;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The elements in no particular order. */
  get items(): readonly E[] {
    return this.#items;
  }

  top(): E | undefined {
    return this.#items[0];
  }

  push(element: E): void {
    this.#items.push(element);
    this.#up(this.#items.length - 1, element);
  }

  pop(): E | undefined {
    const top = this.#items[0];
    if (top !== undefined) this.remove(0);
    return top;
  }

  /** Takes out the element that was told to stand at `index`. */
  remove(index: number): void {
    const items = this.#items;
    const gone = items[index];
    const last = items.pop();
    if (gone === undefined || last === undefined) return;
    this.#moved(gone, -1);
    if (gone === last) return;
    const parent = items[(index - 1) >> 1];
    if (index > 0 && parent !== undefined && this.#before(last, parent)) this.#up(index, last);
    else this.#down(index, last);
  }

  #up(from: number, element: E): void {
    const items = this.#items;
    let index = from;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = items[above] as E;
      if (!this.#before(element, parent)) break;
      items[index] = parent;
      this.#moved(parent, index);
      index = above;
    }
    items[index] = element;
    this.#moved(element, index);
  }

  #down(from: number, element: E): void {
    const items = this.#items;
    let index = from;
    for (;;) {
      let below = index * 2 + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && this.#before(items[below + 1] as E, items[below] as E)) below += 1;
      const child = items[below] as E;
      if (!this.#before(child, element)) break;
      items[index] = child;
      this.#moved(child, index);
      index = below;
    }
    items[index] = element;
    this.#moved(element, index);
  }
}
