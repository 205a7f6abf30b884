// One memory mailbox: its contents, who has it open, who is attached, and how it ends. A handle's own side is in driver.ts.

import { type NaruErrorCode, NaruError } from '../../errors/index.ts';
import type { DriverHooks } from '../../mailbox/driver.ts';
import { Store } from '../../store/store.ts';
import type { ItemStore } from '../../store/types.ts';
import { systemClock } from './clock.ts';
import type { MemorySettings } from './options.ts';
import type { Parcel } from './parcel.ts';

/** A handle, as the box sees it. */
export interface BoxUser {
  readonly identity: string;
  readonly hooks: DriverHooks;
  /** The box is destroyed: receipts that are waited for never come. */
  abandon(error: Error): void;
}

/** Numbers of attached ends. */
export interface Peers {
  readonly producers: number;
  readonly consumers: number;
}

/** What a sender that waits for its receipt is told when the message was lost, by the store's reason. */
const LOSSES: Readonly<Record<string, readonly [NaruErrorCode, string]>> = {
  full: ['NARU_FULL', 'it was dropped to make room (full: "drop-oldest")'],
  nobody: ['NARU_NO_CONSUMER', 'nobody was there to receive it'],
  expired: ['NARU_TIMEOUT', 'it expired (ttlMs) before anybody received it'],
  duplicate: ['NARU_OUTCOME_UNKNOWN', 'a message with this id was sent before; only that one has a receipt'],
  rejected: ['NARU_REMOTE', 'it was rejected before it was handed out'],
  purged: ['NARU_CLOSED', 'it was purged'],
};

export class Box {
  readonly settings: MemorySettings;
  readonly text: string;
  readonly store: ItemStore<Parcel>;
  readonly #creator: string;
  readonly #onGone: (box: Box) => void;
  readonly #users = new Map<string, BoxUser>();
  /** Handles whose offers were refused, in the order of refusal. */
  #refused = new Set<BoxUser>();
  #wakeScheduled = false;
  #peersScheduled = false;
  #turn = 0;
  #peers: Peers = { producers: 0, consumers: 0 };
  #gone: NaruError | undefined;
  readonly #undelivered = new Map<string, number>();

  /**
   * @param creator  identity of the handle that creates it; with `owner: 'process'` the box goes when that one closes
   * @param onGone   called when it is destroyed: its name is free again
   */
  constructor(settings: MemorySettings, creator: string, onGone: (box: Box) => void) {
    this.settings = settings;
    this.text = `memory://${settings.name}`;
    this.#creator = creator;
    this.#onGone = onGone;
    const { limits } = settings.capabilities;
    this.store = new Store<Parcel>(
      {
        capacityMessages: settings.capacityMessages,
        capacityBytes: settings.capacityBytes,
        deliver: settings.deliver,
        dropOldest: settings.dropOldest,
        keepForNobody: settings.keepForNobody,
        retain: settings.retain,
        dedup: settings.dedup,
        leaseMs: settings.leaseMs,
        priorityMin: limits.priorityMin,
        priorityMax: limits.priorityMax,
      },
      systemClock,
      {
        room: () => this.#wakeRefused(),
        drop: (reason, count) => this.#tellDrop(reason, count),
        lost: (parcel, reason) => this.#tellLost(parcel, reason),
      },
    );
  }

  get peers(): Peers {
    return this.#peers;
  }

  /** Set once the box is destroyed. */
  get gone(): NaruError | undefined {
    return this.#gone;
  }

  join(user: BoxUser): void {
    this.#users.set(user.identity, user);
  }

  /** A handle closes; the mailbox may go with it. */
  leave(user: BoxUser): void {
    if (!this.#users.delete(user.identity)) return;
    this.#refused.delete(user);
    const { owner } = this.settings;
    if (owner === 'process' && user.identity === this.#creator) {
      this.destroy(this.#error('NARU_PEER_GONE', 'its owner closed it (owner: "process")'));
    } else if (owner === 'users' && this.#users.size === 0) {
      this.destroy(this.#error('NARU_CLOSED', 'its last handle was closed'));
    }
  }

  /**
   * Takes a seat.
   * @throws NARU_LIMIT  the relation, or the place it stands in for, allows no more
   */
  attach(role: 'producer' | 'consumer'): void {
    const { relation, capabilities, as } = this.settings;
    const { maxProducers, maxConsumers } = capabilities.limits;
    const [word, limit, attached] =
      role === 'producer'
        ? [relation.slice(0, 1), maxProducers, this.#peers.producers]
        : [relation.slice(2), maxConsumers, this.#peers.consumers];
    const isRelation = word === '1';
    const most = isRelation ? 1 : limit;
    if (attached >= most) {
      const rule = isRelation ? `relation ${relation}` : as === undefined ? 'the place' : `as=${as}`;
      throw this.#error(
        'NARU_LIMIT',
        `${rule} allows ${most} ${role}${most === 1 ? '' : 's'}, and ${attached} ${attached === 1 ? 'is' : 'are'} attached; close one first`,
      );
    }
    this.#count(role, 1);
  }

  detach(role: 'producer' | 'consumer'): void {
    this.#count(role, -1);
  }

  /** An offer of this handle found no room: it is told when there is some. */
  refused(user: BoxUser): void {
    this.#refused.add(user);
  }

  end(): void {
    this.store.end();
    // Who waits for room must learn that there will be none.
    this.#wakeRefused();
  }

  /**
   * Removes the mailbox for everybody.
   * @param except  a handle that knows already
   */
  destroy(error: NaruError, except?: BoxUser): void {
    if (this.#gone !== undefined) return;
    this.#gone = error;
    this.#onGone(this);
    for (const { item } of this.store.peek(Number.POSITIVE_INFINITY)) {
      this.#undelivered.set(item.sender, (this.#undelivered.get(item.sender) ?? 0) + 1);
    }
    this.store.dispose();
    for (const user of this.#users.values()) {
      user.abandon(error);
      if (user !== except) user.hooks.failed(error);
    }
    this.#users.clear();
    this.#refused.clear();
  }

  /** What was waiting from this handle when the mailbox was destroyed. */
  undeliveredOf(identity: string): number {
    return this.#undelivered.get(identity) ?? 0;
  }

  /** The error of somebody who unlinks it, for everybody else. */
  unlinkedError(): NaruError {
    return this.#error('NARU_CLOSED', 'it was unlinked');
  }

  endedError(): NaruError {
    return this.#error('NARU_CLOSED', 'it has ended (end() was called): it takes no more messages');
  }

  #error(code: NaruErrorCode, what: string): NaruError {
    return new NaruError(code, `${this.text}: ${what}`, { place: 'memory', mailbox: this.text });
  }

  #count(role: 'producer' | 'consumer', change: number): void {
    const { producers, consumers } = this.#peers;
    this.#peers =
      role === 'producer'
        ? { producers: producers + change, consumers }
        : { producers, consumers: consumers + change };
    if (this.#peersScheduled) return;
    this.#peersScheduled = true;
    queueMicrotask(() => {
      this.#peersScheduled = false;
      for (const user of this.#users.values()) user.hooks.peers();
    });
  }

  /** All who were refused, from a different one each time: the first may take all the room there is. */
  #wakeRefused(): void {
    if (this.#wakeScheduled || this.#refused.size === 0) return;
    this.#wakeScheduled = true;
    queueMicrotask(() => {
      this.#wakeScheduled = false;
      const users = [...this.#refused];
      this.#refused = new Set();
      this.#turn += 1;
      for (let n = 0; n < users.length; n += 1) users[(n + this.#turn) % users.length]?.hooks.writable();
    });
  }

  /** Rejecting is the consumer's decision, which its own handle counts: no loss of the place's. */
  #tellDrop(reason: string, count: number): void {
    if (reason === 'rejected') return;
    for (const user of this.#users.values()) user.hooks.event('drop', { reason, count });
  }

  #tellLost(parcel: Parcel, reason: string): void {
    const { confirm } = parcel;
    if (confirm === undefined) return;
    parcel.confirm = undefined;
    const [code, what] = LOSSES[reason] ?? [
      'NARU_CLOSED',
      'the mailbox was closed before anybody received it',
    ];
    confirm(this.#error(code, `the message will not be received: ${what}`));
  }
}
