// The sending end of a memory handle: copies messages into the box, or lets them be written there, and keeps account of the
// receipts it waits for.

import { NaruError } from '../../errors/index.ts';
import type { ClaimRequest, DriverClaim, Outgoing, Sender } from '../../mailbox/driver.ts';
import { Hold } from '../../mailbox/keep-alive.ts';
import { copyBody } from './body.ts';
import type { Box, BoxUser } from './box.ts';
import { MemoryClaim } from './claim.ts';
import { newParcel, type Parcel } from './parcel.ts';

export class MemorySender implements Sender {
  readonly #box: Box;
  readonly #user: BoxUser;
  readonly #flushMs: number;
  readonly #onClose: (end: MemorySender) => void;
  /** Parcels whose receipt somebody waits for. */
  readonly #unconfirmed = new Set<Parcel>();
  readonly #hold = new Hold();
  #holdUntil: NodeJS.Timeout | undefined;
  #closed = false;
  readonly end?: () => Promise<void>;
  readonly claim?: (request: ClaimRequest) => DriverClaim | undefined;

  /** @param flushMs  how long a refused offer may keep the process alive */
  constructor(box: Box, user: BoxUser, flushMs: number, onClose: (end: MemorySender) => void) {
    this.#box = box;
    this.#user = user;
    this.#flushMs = flushMs;
    this.#onClose = onClose;
    if (box.settings.capabilities.features.end === 'native') {
      this.end = () => {
        this.#box.end();
        return Promise.resolve();
      };
    }
    if (box.settings.capabilities.features.claim === 'native') this.claim = (request) => this.#claim(request);
  }

  /** @throws NARU_CLOSED  the mailbox has ended or is gone */
  offer(batch: readonly Outgoing[], from: number): number {
    let next = from;
    for (; next < batch.length; next += 1) {
      const message = batch[next];
      if (message === undefined || !this.#offerOne(message, next > from)) break;
    }
    if (next === batch.length) this.#stopWaiting();
    return next - from;
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#stopWaiting();
    this.abandon(
      new NaruError(
        'NARU_OUTCOME_UNKNOWN',
        `${this.#box.text}: the producer was closed before the receipt came; the message may still be received`,
        { place: 'memory', mailbox: this.#box.text },
      ),
    );
    this.#box.detach('producer');
    this.#onClose(this);
    return Promise.resolve();
  }

  /** Whoever waits for a receipt gets this instead. */
  abandon(error: Error): void {
    for (const parcel of this.#unconfirmed) {
      const { confirm } = parcel;
      parcel.confirm = undefined;
      confirm?.(error);
    }
  }

  #offerOne(message: Outgoing, isLater: boolean): boolean {
    const box = this.#box;
    if (this.#closed || box.gone !== undefined) throw box.gone ?? box.unlinkedError();
    const parcel = newParcel(message, this.#user.identity, box.settings.capacityBytes, undefined);
    if (message.confirm === 'received' && message.done !== undefined) this.#expect(parcel, message.done);
    const result = box.store.offer(parcel, parcel);
    if (result === 'taken') {
      // Nobody can have looked at it yet: consumers are only told in a microtask.
      parcel.body = copyBody(parcel.body);
      return true;
    }
    if (result === 'dropped') return true;
    parcel.confirm = undefined;
    this.#forget(parcel);
    if (result === 'full') this.#startWaiting();
    // What was taken before must be reported first; the next offer throws.
    else if (!isLater) throw box.endedError();
    return false;
  }

  #claim(request: ClaimRequest): DriverClaim | undefined {
    const box = this.#box;
    if (this.#closed || box.gone !== undefined) throw box.gone ?? box.unlinkedError();
    if (box.store.isEnded) throw box.endedError();
    const claim = MemoryClaim.open(box, this.#user.identity, request);
    if (claim === undefined) this.#startWaiting();
    else this.#stopWaiting();
    return claim;
  }

  #expect(parcel: Parcel, done: (error?: Error) => void): void {
    this.#unconfirmed.add(parcel);
    this.#hold.set(true);
    parcel.confirm = (error) => {
      this.#forget(parcel);
      queueMicrotask(() => done(error));
    };
  }

  #forget(parcel: Parcel): void {
    if (this.#unconfirmed.delete(parcel) && this.#unconfirmed.size === 0) this.#hold.set(false);
  }

  /** The driver does not learn when a send gives up waiting, so the process is held for a limited time only. */
  #startWaiting(): void {
    this.#box.refused(this.#user);
    if (this.#holdUntil === undefined) this.#holdUntil = setTimeout(() => undefined, this.#flushMs);
    else this.#holdUntil.refresh();
  }

  #stopWaiting(): void {
    clearTimeout(this.#holdUntil);
    this.#holdUntil = undefined;
  }
}
