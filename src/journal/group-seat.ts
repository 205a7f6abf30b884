// One consumer of a group: what the store gives it, with the number of each message, so that the log hears what is settled.

import type { LinkMessage } from '../link/item.ts';
import type { Entry, SettleOutcome, Subscription } from '../store/types.ts';

/** What a seat needs of its group. */
export interface SeatGroup {
  earlier(number: number): number;
  settled(number: number, bytes: number): void;
  feed(): void;
}

interface Flight {
  readonly number: number;
  /** By this host. */
  readonly deliveries: number;
  readonly bytes: number;
}

const same = (entry: Entry<LinkMessage>): Entry<LinkMessage> => entry;

export class GroupSeat implements Subscription<LinkMessage> {
  readonly #inner: Subscription<LinkMessage>;
  readonly #group: SeatGroup;
  readonly #left: () => void;
  readonly #flights = new Map<number, Flight>();
  #isClosed = false;

  constructor(inner: Subscription<LinkMessage>, group: SeatGroup, left: () => void) {
    this.#inner = inner;
    this.#group = group;
    this.#left = left;
  }

  get ended(): boolean {
    return this.#inner.ended;
  }

  get flying(): number {
    return this.#flights.size;
  }

  /** What is in flight. */
  get flights(): Iterable<Flight> {
    return this.#flights.values();
  }

  take(max: number, out: Entry<LinkMessage>[]): number {
    return this.takeAs(max, out, same);
  }

  takeAs<D>(max: number, out: D[], make: (entry: Entry<LinkMessage>) => D): number {
    const taken = this.#inner.takeAs(max, out, (entry) => {
      const number = entry.item.at;
      const earlier = this.#group.earlier(number);
      const bytes = entry.meta.sizeBytes;
      this.#flights.set(entry.token, { number, deliveries: entry.deliveries, bytes });
      return make(earlier === 0 ? entry : { ...entry, deliveries: entry.deliveries + earlier });
    });
    if (taken > 0) this.#group.feed();
    return taken;
  }

  want(count: number): void {
    this.#inner.want(count);
  }

  settle(token: number, outcome: SettleOutcome, delayMs: number): boolean {
    const flight = this.#flights.get(token);
    this.#flights.delete(token);
    if (!this.#inner.settle(token, outcome, delayMs)) return false;
    if (outcome === 'ack' && flight !== undefined) this.#group.settled(flight.number, flight.bytes);
    this.#group.feed();
    return true;
  }

  ackAll(entries: readonly { readonly token: number }[]): void {
    for (const { token } of entries) {
      const flight = this.#flights.get(token);
      this.#flights.delete(token);
      if (this.#inner.settle(token, 'ack', 0) && flight !== undefined)
        this.#group.settled(flight.number, flight.bytes);
    }
    this.#group.feed();
  }

  extend(token: number, ms: number): boolean {
    return this.#inner.extend(token, ms);
  }

  close(unseen?: Iterable<number>): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#inner.close(unseen);
    this.#left();
  }
}
