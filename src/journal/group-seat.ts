// One consumer of a group: what the store gives it, and what it settles, so that the log hears of it.

import type { LinkMessage } from '../link/item.ts';
import type { Entry, SettleOutcome, Subscription } from '../store/types.ts';

/** What a seat needs of its group. */
export interface SeatGroup {
  earlier(number: number): number;
  settled(item: LinkMessage): void;
  feed(): void;
}

const same = (entry: Entry<LinkMessage>): Entry<LinkMessage> => entry;

export class GroupSeat implements Subscription<LinkMessage> {
  readonly #inner: Subscription<LinkMessage>;
  readonly #group: SeatGroup;
  readonly #left: () => void;
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
    return this.#inner.flying;
  }

  flight(token: number): Entry<LinkMessage> | undefined {
    return this.#inner.flight(token);
  }

  flights(): Entry<LinkMessage>[] {
    return this.#inner.flights();
  }

  take(max: number, out: Entry<LinkMessage>[]): number {
    return this.takeAs(max, out, same);
  }

  takeAs<D>(max: number, out: D[], make: (entry: Entry<LinkMessage>) => D): number {
    const taken = this.#inner.takeAs(max, out, (entry) => {
      const earlier = this.#group.earlier(entry.item.at);
      return make(earlier === 0 ? entry : { ...entry, deliveries: entry.deliveries + earlier });
    });
    if (taken > 0) this.#group.feed();
    return taken;
  }

  want(count: number): void {
    this.#inner.want(count);
  }

  settle(token: number, outcome: SettleOutcome, delayMs: number): boolean {
    const item = this.#inner.flight(token)?.item;
    if (!this.#inner.settle(token, outcome, delayMs)) return false;
    if (outcome === 'ack' && item !== undefined) this.#group.settled(item);
    this.#group.feed();
    return true;
  }

  ackAll(entries: readonly { readonly token: number }[]): void {
    const items: LinkMessage[] = [];
    for (const { token } of entries) {
      const item = this.#inner.flight(token)?.item;
      if (item !== undefined) items.push(item);
    }
    this.#inner.ackAll(entries);
    for (const item of items) this.#group.settled(item);
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
