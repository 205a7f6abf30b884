// What one consumer has in its hands of one lane, in order: which messages, and which of them are settled. Private memory only;
// what of it the others must know is written by whoever owns the window.

const FIRST_CAPACITY = 512;

export class SettleWindow {
  #starts: Int32Array = new Int32Array(FIRST_CAPACITY);
  #ends: Int32Array = new Int32Array(FIRST_CAPACITY);
  /** 1 = settled, though one before it is not; 0 everywhere else, also where there is no message. */
  #settled: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  #mask = FIRST_CAPACITY - 1;
  #first = 0;
  #next = 0;
  #settledAhead = 0;
  #head: number;

  /** @param head  position before which nothing concerns this consumer */
  constructor(head: number) {
    this.#head = head;
  }

  /** Messages entered and not settled. */
  get unsettled(): number {
    return this.#next - this.#first - this.#settledAhead;
  }

  /** Position up to which everything is settled. */
  get head(): number {
    return this.#head;
  }

  /** Token of the oldest message that is not settled; of the next one when all are. */
  get first(): number {
    return this.#first;
  }

  /** Token that the next message will get. */
  get next(): number {
    return this.#next;
  }

  /** True when every message that was entered is settled. */
  get isEmpty(): boolean {
    return this.#next === this.#first;
  }

  /** Position after the message that was entered last. */
  get lastEnd(): number {
    return this.#ends[(this.#next - 1) & this.#mask] as number;
  }

  /** Position of a message. */
  startOf(token: number): number {
    return this.#starts[token & this.#mask] as number;
  }

  /** Enters a message. @returns its token, for the calls below */
  enter(start: number, end: number): number {
    if (this.#next - this.#first > this.#mask) this.#grow();
    const index = this.#next & this.#mask;
    this.#starts[index] = start;
    this.#ends[index] = end;
    this.#next += 1;
    return this.#next - 1;
  }

  /** Marks one message as settled. @returns true when it is one behind others that are not settled, and news */
  settle(token: number): boolean {
    const index = token & this.#mask;
    if (token !== this.#first) {
      if (token < this.#first || token >= this.#next || this.#settled[index] === 1) return false;
      this.#settled[index] = 1;
      this.#settledAhead += 1;
      return true;
    }
    if (this.#first === this.#next) return false;
    this.#head = this.#ends[index] as number;
    this.#first += 1;
    if (this.#settledAhead > 0) this.#passSettled();
    return false;
  }

  #passSettled(): void {
    for (;;) {
      const index = this.#first & this.#mask;
      if (this.#settled[index] !== 1) return;
      this.#settled[index] = 0;
      this.#head = this.#ends[index] as number;
      this.#first += 1;
      this.#settledAhead -= 1;
    }
  }

  /** Nothing is in hand: what lies before this position was passed without a message, or written over. */
  moveTo(position: number): void {
    if (this.isEmpty) this.#head = position;
  }

  #grow(): void {
    const size = (this.#mask + 1) * 2;
    const starts = new Int32Array(size);
    const ends = new Int32Array(size);
    const settled = new Uint8Array(size);
    for (let token = this.#first; token < this.#next; token += 1) {
      const from = token & this.#mask;
      const to = token & (size - 1);
      starts[to] = this.#starts[from] as number;
      ends[to] = this.#ends[from] as number;
      settled[to] = this.#settled[from] as number;
    }
    this.#starts = starts;
    this.#ends = ends;
    this.#settled = settled;
    this.#mask = size - 1;
  }
}
