// The consumers behind POST …/receive: one for a queue, one for each group of a topic. A seat is taken when somebody asks, and
// given back when nobody has asked for a while and nothing is held.

import { NaruError } from '../../errors/index.ts';
import type { Guest, Guests } from './guests.ts';
import type { Keeper } from './leases.ts';
import { HTTP } from './limits.ts';

/** A queue's seat is cheap to take again: others may want it. */
const QUEUE_IDLE_MS = 1_000;

export class PollGroup implements Keeper {
  readonly guest: Guest;
  readonly #idleMs: number;
  readonly #onIdle: () => void;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(guest: Guest, idleMs: number, onIdle: () => void) {
    this.guest = guest;
    this.#idleMs = idleMs;
    this.#onIdle = onIdle;
  }

  /** A request uses it, or a message of it is held. */
  use(): void {
    clearTimeout(this.#timer);
    this.#users += 1;
  }

  settled(): void {
    this.release();
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#timer = setTimeout(this.#onIdle, this.#idleMs).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

export class PollGroups {
  readonly #guests: Guests;
  readonly #groups = new Map<string, Promise<PollGroup>>();

  constructor(guests: Guests) {
    this.#guests = guests;
  }

  /**
   * The group of a name, in use by the caller until release().
   * @throws NARU_LIMIT  too many groups, or the relation leaves no seat
   */
  async enter(name: string): Promise<PollGroup> {
    for (;;) {
      const found = this.#groups.get(name) ?? this.#make(name);
      const group = await found;
      // It may have been given back while this call waited for it.
      if (this.#groups.get(name) !== found) continue;
      group.use();
      return group;
    }
  }

  close(): void {
    for (const group of this.#groups.values())
      void group.then(
        (made) => made.stop(),
        () => undefined,
      );
    this.#groups.clear();
  }

  #make(name: string): Promise<PollGroup> {
    if (this.#groups.size >= HTTP.groupsMax) {
      throw new NaruError('NARU_LIMIT', `${HTTP.groupsMax} groups are known, that is the limit`, {
        place: 'http',
      });
    }
    const made = this.#open(name);
    this.#groups.set(name, made);
    made.catch(() => {
      if (this.#groups.get(name) === made) this.#groups.delete(name);
    });
    return made;
  }

  async #open(name: string): Promise<PollGroup> {
    const guest = await this.#guests.open(name === '' ? {} : { group: name });
    try {
      await guest.connect('consumer');
    } catch (error) {
      await guest.close({ flushMs: 0 });
      throw error;
    }
    return new PollGroup(guest, name === '' ? QUEUE_IDLE_MS : HTTP.groupIdleMs, () => {
      this.#groups.delete(name);
      void guest.close({ flushMs: 0 });
    });
  }
}
