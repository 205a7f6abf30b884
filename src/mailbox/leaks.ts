// What must be let go by hand (claims, views) and was forgotten: the collector finds it, it is given back and reported with the
// place in the program that made it. Watching must cost next to nothing: most are let go in the turn they were made in.

import type { EventHub, MailboxEvents } from './events.ts';
import { turnTime } from './waiting.ts';

/** What stands behind an object that must be let go. It must not lead to that object, or nothing would ever be collected. */
export interface Leakable {
  readonly kind: MailboxEvents['leak']['kind'];
  /** From `LeakWatch.mark()`. */
  readonly madeAt: Error | undefined;
  /** Neither its user has let it go, nor the end of its handle. */
  readonly isOpen: boolean;
  /** Lets it go. Never throws. */
  giveBack(): void;
}

/** The object in the user's hand. */
export interface Watched {
  readonly data: Uint8Array;
}

/** A stack costs some microseconds: one in so many has it, and whatever comes so long after the last, in milliseconds. */
const STACK_EVERY = 128;
const STACK_MS = 1;
/** So many are looked through for what was let go meanwhile. */
const YOUNG_MAX = 256;

const NO_STACK =
  'where it was made is not known: of many made in a short time only some are noted; from now on all are';

/** Of all mailboxes: one that is collected together with what it lent must still hear of it. */
const registry = new FinalizationRegistry<{ readonly watch: LeakWatch; readonly lent: Leakable }>(
  ({ watch, lent }) => watch.collected(lent),
);

/** Who has the bytes in hand still uses what they belong to: their memory must not be given away before. */
const owners = new WeakMap<Uint8Array, Watched>();

export class LeakWatch {
  readonly #events: EventHub;
  /** Made in this turn; held until it is over. The same place in both lists belongs together. */
  #objects: Watched[] = [];
  #young: Leakable[] = [];
  #isScheduled = false;
  #untilStack = 0;
  #stackTime = Number.NEGATIVE_INFINITY;
  #isThorough = false;

  readonly #endTurn = (): void => {
    this.#isScheduled = false;
    this.#register();
  };

  constructor(events: EventHub) {
    this.#events = events;
  }

  /** Notes where the caller stands, as often as that is cheap. */
  mark(): Error | undefined {
    const now = turnTime();
    if (this.#untilStack > 0 && now - this.#stackTime < STACK_MS && !this.#isThorough) {
      this.#untilStack -= 1;
      return undefined;
    }
    this.#untilStack = STACK_EVERY - 1;
    this.#stackTime = now;
    return new Error('made');
  }

  /** Reports the object should it be collected while `lent` is open. */
  watch(object: Watched, lent: Leakable): void {
    if (this.#young.length >= YOUNG_MAX) this.#sift();
    this.#objects.push(object);
    this.#young.push(lent);
    // Registering costs more than all the rest of a claim: only what outlives the turn is registered.
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#endTurn);
  }

  /** @internal For the registry. */
  collected(lent: Leakable): void {
    if (!lent.isOpen) return;
    lent.giveBack();
    if (lent.madeAt === undefined) this.#isThorough = true;
    this.#events.emit('leak', { kind: lent.kind, createdAt: lent.madeAt?.stack ?? NO_STACK });
  }

  /** Forgets what was let go; if that is not enough, the oldest need not wait for the end of the turn. */
  #sift(): void {
    this.#empty((object, lent) => {
      this.#objects.push(object);
      this.#young.push(lent);
    });
    if (this.#young.length > YOUNG_MAX / 2) this.#register();
  }

  #register(): void {
    this.#empty((object, lent) => {
      owners.set(object.data, object);
      registry.register(object, { watch: this, lent });
    });
  }

  /** @param keep  called for what is still open */
  #empty(keep: (object: Watched, lent: Leakable) => void): void {
    const objects = this.#objects;
    const young = this.#young;
    this.#objects = [];
    this.#young = [];
    for (let index = 0; index < young.length; index += 1) {
      const lent = young[index] as Leakable;
      if (lent.isOpen) keep(objects[index] as Watched, lent);
    }
  }
}
