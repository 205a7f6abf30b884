// Locks, semaphores and events that live in a Manager. Who wants something stands in line, in the order of asking, and is told when it is
// theirs; what a client that died had goes to the next, who is told of the death.

import {
  type Desk,
  type Held,
  type HeldInit,
  compareSettings,
  countOf,
  managerError,
  type Seat,
  strangeVerb,
} from './held.ts';
import { type Answer, type Asked, type Call, DONE, NO, Verb } from './protocol.ts';

const COUNT_MAX = 2 ** 31 - 1;
/** x of an answer or news: a holder before died with it. */
const RECOVERED = 1;

/** Permits that are left, and who waits for one. A lock has one permit, and at most one for each handle. */
class Permits {
  value: number;
  /** A client died with some; the next who gets one is told. */
  #hasDeath = false;
  readonly #line: HoldSeat[] = [];

  constructor(value: number) {
    this.value = value;
  }

  /** Takes one, if nobody stands in line for it. */
  tryTake(): { readonly recovered: boolean } | undefined {
    return this.#line.length === 0 ? this.#take() : undefined;
  }

  join(seat: HoldSeat): void {
    this.#line.push(seat);
    this.serve();
  }

  leave(seat: HoldSeat): void {
    const at = this.#line.indexOf(seat);
    if (at >= 0) this.#line.splice(at, 1);
  }

  /** @param died  its holder is dead, or was about to tell of a death */
  give(count: number, died: boolean): void {
    this.value += count;
    if (died) this.#hasDeath = true;
    this.serve();
  }

  /** Nobody gets any more. */
  dispose(): void {
    this.#line.length = 0;
  }

  serve(): void {
    while (this.#line.length > 0) {
      const taken = this.#take();
      if (taken === undefined) return;
      this.#line.shift()?.granted(taken.recovered);
    }
  }

  #take(): { readonly recovered: boolean } | undefined {
    if (this.value === 0) return undefined;
    this.value -= 1;
    const recovered = this.#hasDeath;
    this.#hasDeath = false;
    return { recovered };
  }
}

/** One handle of a lock or a semaphore. */
class HoldSeat implements Seat {
  readonly #permits: Permits;
  readonly #desk: Desk;
  readonly #text: string;
  readonly #isBounded: boolean;
  #held = 0;
  /** Number of the asking that stands in line; 0: none. */
  #ticket = 0;
  /** Number of the asking that was granted last. */
  #granted = 0;
  /** The last grant was never confirmed: whether it told of a death. */
  #isNew: boolean | undefined;

  constructor(permits: Permits, desk: Desk, text: string, isBounded: boolean) {
    this.#permits = permits;
    this.#desk = desk;
    this.#text = text;
    this.#isBounded = isBounded;
  }

  serve(call: Call): Answer | undefined {
    switch (call.verb) {
      case Verb.take:
        if (this.#ticket !== 0) this.#permits.leave(this);
        this.#ticket = call.x;
        this.#isNew = undefined;
        this.#permits.join(this);
        return undefined;
      case Verb.cancel:
        this.#cancel(call.x);
        return undefined;
      case Verb.try:
        return this.#try();
      case Verb.give:
        this.#settle(1);
        return DONE;
      case Verb.spend:
        this.#settle(0);
        return DONE;
      case Verb.add:
        return this.#add();
      default:
        throw strangeVerb(call, this.#text);
    }
  }

  granted(recovered: boolean): void {
    const ticket = this.#ticket;
    this.#ticket = 0;
    this.#held += 1;
    this.#granted = ticket;
    this.#isNew = recovered;
    this.#desk.tell(Verb.granted, { x: ticket, y: recovered ? RECOVERED : 0 });
  }

  leave(died: boolean): void {
    this.#permits.leave(this);
    const held = this.#held;
    this.#held = 0;
    if (held > 0) this.#permits.give(held, died);
  }

  /** The client does not want it any more; it may have been told meanwhile that it has it. */
  #cancel(ticket: number): void {
    if (this.#ticket === ticket) {
      this.#ticket = 0;
      this.#permits.leave(this);
    } else if (this.#granted === ticket && this.#isNew !== undefined && this.#held > 0) {
      this.#held -= 1;
      // Of a death that nobody has heard of the next one is told.
      this.#permits.give(1, this.#isNew);
      this.#isNew = undefined;
    }
  }

  #try(): Answer {
    const taken = this.#permits.tryTake();
    if (taken === undefined) return NO;
    this.#held += 1;
    return { ref: 1, y: taken.recovered ? RECOVERED : 0 };
  }

  #settle(givenBack: number): void {
    if (this.#held === 0) throw managerError('NARU_NOT_HELD', this.#text, 'this handle has none');
    this.#held -= 1;
    this.#isNew = undefined;
    if (givenBack > 0) this.#permits.give(givenBack, false);
  }

  #add(): Answer {
    if (this.#isBounded)
      throw managerError('NARU_NOT_HELD', this.#text, 'it is bounded, and this handle has none');
    if (this.#permits.value >= COUNT_MAX)
      throw managerError('NARU_LIMIT', this.#text, `there are ${COUNT_MAX} permits already`);
    this.#permits.give(1, false);
    return DONE;
  }
}

export class HeldLock implements Held {
  readonly settings: Readonly<Record<string, unknown>> = {};
  readonly #permits = new Permits(1);
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  check(): void {
    // One lock is like the other.
  }

  attach(desk: Desk): Seat {
    return new HoldSeat(this.#permits, desk, this.#text, true);
  }

  dispose(): void {
    this.#permits.dispose();
  }
}

export class HeldSemaphore implements Held {
  readonly settings: { readonly count: number; readonly bounded: boolean };
  readonly #permits: Permits;
  readonly #text: string;

  constructor(asked: Asked, { text }: HeldInit) {
    this.#text = text;
    this.settings = {
      count: countOf(asked, 'count', 1, 0, COUNT_MAX, text),
      bounded: asked.settings['bounded'] === true,
    };
    this.#permits = new Permits(this.settings.count);
  }

  check(asked: Asked): void {
    compareSettings(asked, this.settings, this.#text);
  }

  attach(desk: Desk): Seat {
    return new HoldSeat(this.#permits, desk, this.#text, this.settings.bounded);
  }

  dispose(): void {
    this.#permits.dispose();
  }
}

export class HeldEvent implements Held {
  readonly settings: Readonly<Record<string, unknown>> = {};
  readonly #text: string;
  /** Who waits, by what to tell them. */
  readonly #waiting = new Map<Seat, () => void>();
  #isSet = false;

  constructor(text: string) {
    this.#text = text;
  }

  check(): void {
    // One event is like the other.
  }

  attach(desk: Desk): Seat {
    const seat: Seat = {
      serve: (call) => this.#serve(call, seat, desk),
      leave: () => this.#waiting.delete(seat),
    };
    return seat;
  }

  dispose(): void {
    this.#waiting.clear();
  }

  #serve(call: Call, seat: Seat, desk: Desk): Answer | undefined {
    switch (call.verb) {
      case Verb.take: {
        const tell = (): void => desk.tell(Verb.granted, { x: call.x });
        if (this.#isSet) tell();
        else this.#waiting.set(seat, tell);
        return undefined;
      }
      case Verb.cancel:
        this.#waiting.delete(seat);
        return undefined;
      case Verb.try:
        return { ref: this.#isSet ? 1 : 0 };
      case Verb.give:
        this.#set();
        return DONE;
      case Verb.spend:
        this.#isSet = false;
        return DONE;
      default:
        throw strangeVerb(call, this.#text);
    }
  }

  #set(): void {
    this.#isSet = true;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const tell of waiting) tell();
  }
}
