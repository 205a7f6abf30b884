// Messages that were handed out to be settled by a later request: known by an id of this delivery, and back in the mailbox when
// their lease is over.

import { randomBytes } from 'node:crypto';
import { NaruError } from '../../errors/index.ts';
import type { Message } from '../../mailbox/message.ts';
import { HTTP } from './limits.ts';

/** Whoever keeps the consumer's seat that a message was taken with. */
export interface Keeper {
  /** One of its messages was settled, or its lease is over. */
  settled(): void;
}

interface Lease {
  readonly message: Message<Uint8Array>;
  readonly keeper: Keeper;
  timer: NodeJS.Timeout;
}

export class Leases {
  readonly #held = new Map<string, Lease>();
  /** Ids of another life of the host are nobody's here. */
  readonly #life = randomBytes(6).toString('base64url');
  #count = 0;

  get size(): number {
    return this.#held.size;
  }

  /** @throws NARU_OVERLOADED  too many are held already */
  checkRoom(): void {
    if (this.#held.size < HTTP.heldMax) return;
    throw new NaruError(
      'NARU_OVERLOADED',
      `${HTTP.heldMax} messages are taken and not settled, that is the limit: ack them, or let their leases end`,
      { place: 'http' },
    );
  }

  /** @returns the id by which it is settled */
  hold(message: Message<Uint8Array>, keeper: Keeper, leaseMs: number): string {
    this.#count += 1;
    const id = `${this.#life}.${this.#count.toString(36)}`;
    this.#held.set(id, { message, keeper, timer: this.#start(id, leaseMs) });
    return id;
  }

  /** Takes it out, to be settled by the caller. @returns undefined when the lease is over, or it was settled before */
  take(id: string): Message<Uint8Array> | undefined {
    const lease = this.#held.get(id);
    if (lease === undefined) return undefined;
    clearTimeout(lease.timer);
    this.#held.delete(id);
    lease.keeper.settled();
    return lease.message;
  }

  look(id: string): Message<Uint8Array> | undefined {
    return this.#held.get(id)?.message;
  }

  /** @returns false when there is none */
  extend(id: string, leaseMs: number): boolean {
    const lease = this.#held.get(id);
    if (lease === undefined) return false;
    clearTimeout(lease.timer);
    lease.timer = this.#start(id, leaseMs);
    return true;
  }

  /** Its keeper has gone, and its messages went back with the seat. */
  forget(keeper: Keeper): void {
    for (const [id, lease] of this.#held) {
      if (lease.keeper !== keeper) continue;
      clearTimeout(lease.timer);
      this.#held.delete(id);
    }
  }

  close(): void {
    for (const { timer } of this.#held.values()) clearTimeout(timer);
    this.#held.clear();
  }

  #start(id: string, leaseMs: number): NodeJS.Timeout {
    const end = (): void => {
      // It is delivered again, marked. Where it cannot be, the mailbox is gone.
      this.take(id)
        ?.nack()
        .catch(() => undefined);
    };
    return setTimeout(end, leaseMs).unref();
  }
}
