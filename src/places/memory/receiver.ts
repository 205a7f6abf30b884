// The receiving end of a memory handle: one subscription of the box's store.

import { NaruError } from '../../errors/index.ts';
import type { Delivery, Outcome, Receiver } from '../../mailbox/driver.ts';
import { Hold } from '../../mailbox/keep-alive.ts';
import type { PlaceOptions } from '../../mailbox/place.ts';
import type { Entry, Subscription } from '../../store/types.ts';
import type { Box, BoxUser } from './box.ts';
import { type MemoryDelivery, type Parcel, toDelivery } from './parcel.ts';

export class MemoryReceiver implements Receiver {
  readonly #box: Box;
  readonly #subscription: Subscription<Parcel>;
  readonly #hold = new Hold();
  readonly #isRendezvous: boolean;
  readonly #copies: boolean;
  readonly #onClose: (end: MemoryReceiver) => void;
  readonly #hand = (entry: Entry<Parcel>): Delivery => toDelivery(entry, this.#copies);
  #scheduled = false;
  #closed = false;
  readonly extend?: (delivery: Delivery, ms: number) => void;
  readonly takeView?: () => Delivery | undefined;

  constructor(
    box: Box,
    user: BoxUser,
    options: Pick<PlaceOptions, 'group' | 'from'>,
    onClose: (end: MemoryReceiver) => void,
  ) {
    this.#box = box;
    this.#onClose = onClose;
    const { settings } = box;
    this.#isRendezvous = settings.capacityMessages === 0;
    this.#copies = settings.deliver === 'all';
    const tell = (): void => {
      this.#scheduled = false;
      if (!this.#closed) user.hooks.readable();
    };
    const ready = (): void => {
      if (this.#scheduled) return;
      this.#scheduled = true;
      queueMicrotask(tell);
    };
    this.#subscription = box.store.subscribe(ready, { group: options.group, from: options.from });
    if (settings.capabilities.features.lease === 'native') {
      this.extend = (delivery, ms) => {
        this.#subscription.extend(delivery.token, ms);
      };
    }
    if (settings.capabilities.features.views === 'native') this.takeView = () => this.#takeView();
  }

  /** Rendezvous hands out one at a time: a batch fetched ahead would be a buffer by another name. */
  take(max: number, out: Delivery[]): number {
    return this.#subscription.takeAs(this.#isRendezvous ? Math.min(max, 1) : max, out, this.#hand);
  }

  want(count: number): void {
    this.#subscription.want(this.#isRendezvous ? Math.min(count, 1) : count);
    this.#hold.set(count > 0 && !this.#closed);
  }

  settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: (error?: Error) => void): void {
    const settled = this.#subscription.settle(delivery.token, outcome, delayMs);
    if (done === undefined) return;
    if (settled || this.#box.gone !== undefined) done();
    else done(this.#lateError(outcome));
  }

  ackAll(deliveries: readonly Delivery[]): void {
    this.#subscription.ackAll(deliveries);
  }

  received(delivery: Delivery): void {
    const { parcel } = delivery as MemoryDelivery;
    const { confirm } = parcel;
    parcel.confirm = undefined;
    confirm?.();
  }

  get ended(): boolean {
    return this.#subscription.ended;
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#hold.set(false);
    this.#subscription.close();
    this.#box.detach('consumer');
    this.#onClose(this);
    return Promise.resolve();
  }

  /** The parcel's own bytes, also where other consumers of a topic read the same. */
  #takeView(): Delivery | undefined {
    const { settings, text } = this.#box;
    if (settings.deliver === 'all' && settings.dropOldest) {
      throw new NaruError(
        'NARU_UNSUPPORTED',
        `${text}: a topic that drops its oldest message (full: "drop-oldest") has no views; use receive(), which copies`,
        { place: 'memory', mailbox: text },
      );
    }
    const taken: Delivery[] = [];
    this.#subscription.takeAs(1, taken, (entry) => toDelivery(entry, false));
    return taken[0];
  }

  #lateError(outcome: Outcome): NaruError {
    return new NaruError(
      'NARU_SETTLED',
      `${this.#box.text}: ${outcome} came too late: the message was settled before, or its lease of ${this.#box.settings.leaseMs} ms was over and it went back`,
      { place: 'memory', mailbox: this.#box.text },
    );
  }
}
