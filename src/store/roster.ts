// Who is told that something is ready: seats in turn, about one call for each item, and never a call too few. What is ready
// is the queue's business.

import type { Seat } from './seat.ts';

/** The seats that want something and were not called yet, in turn. Links run through the seats: no garbage, all O(1). */
class Line<T> {
  #head: Seat<T> | undefined;
  #tail: Seat<T> | undefined;

  get isEmpty(): boolean {
    return this.#head === undefined;
  }

  /** Puts a seat at the end of the line, also when it stood elsewhere in it. */
  join(seat: Seat<T>): void {
    if (this.#tail === seat) return;
    this.leave(seat);
    seat.lined = true;
    seat.before = this.#tail;
    if (this.#tail === undefined) this.#head = seat;
    else this.#tail.after = seat;
    this.#tail = seat;
  }

  leave(seat: Seat<T>): void {
    if (!seat.lined) return;
    const { before, after } = seat;
    if (before === undefined) this.#head = after;
    else before.after = after;
    if (after === undefined) this.#tail = before;
    else after.before = before;
    seat.lined = false;
    seat.before = undefined;
    seat.after = undefined;
  }

  /** Takes the first out. */
  next(): Seat<T> | undefined {
    const seat = this.#head;
    if (seat !== undefined) this.leave(seat);
    return seat;
  }
}

/**
 * The calling of one queue's seats. It holds, whenever the store is at rest: as many seats are called as items are ready,
 * unless every seat that wants something is called. So an item never waits while somebody sleeps who wants it.
 */
export class Roster<T> {
  readonly #line = new Line<T>();
  #called = 0;
  #wanted = 0;

  /** What all seats want together. */
  get wanted(): number {
    return this.#wanted;
  }

  /** A seat says what it wants. Wanting more than before counts as not called yet. */
  want(seat: Seat<T>, count: number, finished: boolean): void {
    const before = seat.want;
    this.#wanted += count - before;
    seat.want = count;
    if (count === 0 || count > before) this.#forget(seat);
    this.#lineUp(seat, finished);
  }

  /** A seat has just taken: it goes to the end of the line. */
  took(seat: Seat<T>, finished: boolean): void {
    if (seat.called) {
      seat.called = false;
      this.#called -= 1;
    }
    this.#lineUp(seat, finished);
  }

  leave(seat: Seat<T>): void {
    this.#wanted -= seat.want;
    seat.want = 0;
    this.#forget(seat);
  }

  /** Whether somebody must be called. */
  isDue(ready: number, finished: boolean): boolean {
    return !this.#line.isEmpty && (finished || ready > this.#called);
  }

  /** The next seat to call, marked as called; undefined when nobody must be. */
  next(ready: number, finished: boolean): Seat<T> | undefined {
    if (!this.isDue(ready, finished)) return undefined;
    const seat = this.#line.next();
    if (seat === undefined) return undefined;
    seat.called = true;
    this.#called += 1;
    if (finished) seat.toldEnd = true;
    return seat;
  }

  #lineUp(seat: Seat<T>, finished: boolean): void {
    if (seat.want > 0 && !seat.called && !(finished && seat.toldEnd)) this.#line.join(seat);
  }

  #forget(seat: Seat<T>): void {
    this.#line.leave(seat);
    if (!seat.called) return;
    seat.called = false;
    this.#called -= 1;
  }
}
