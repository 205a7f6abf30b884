// One queue: its messages in order (by priority), who takes them, what happens when it is full, too old or unused. Knows
// consumers and messages, neither channels nor exchanges; what dies here is handed to its host.

import type { FieldTable } from '../../wire/amqp091/index.ts';
import type { Clock } from '../clock.ts';
import type { MessageTable } from '../message-table.ts';
import type { Keep } from '../storage/keeper.ts';
import type { QueuePolicy } from './arguments.ts';
import { Consumers, type Consumer } from './consumers.ts';
import { EntryRing, type Entry } from './ring.ts';

export type DeathReason = 'expired' | 'maxlen' | 'rejected' | 'delivery_limit';

/** What a queue needs from its surroundings. */
export interface QueueHost {
  readonly clock: Clock;
  readonly messages: MessageTable;
  /** Where messages are stored; undefined: in memory only. */
  readonly keep: Keep | undefined;
  /** The queue may have something to deliver: call its dispatch() soon. */
  dirty(queue: Queue): void;
  /** A message died; its slot is the host's to release. @param wasIn  it was in the queue, not refused by it */
  died(queue: Queue, slot: number, reason: DeathReason, wasIn: boolean): void;
  /** The queue wants to be deleted: unused for too long, or its last consumer left. */
  unwanted(queue: Queue): void;
}

/** A connection that has queues of its own. */
export interface QueueOwner {
  readonly owned: Set<Queue>;
}

export interface QueueInit {
  readonly name: string;
  readonly vhost: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** The connection that alone may use it, and with which it goes. */
  readonly owner: QueueOwner | undefined;
  readonly args: FieldTable;
  readonly policy: QueuePolicy;
  /** Storage's number for it, where it had one before. */
  readonly stream?: number;
}

/** What happened in a queue since it was made. */
export interface QueueCounters {
  published: number;
  delivered: number;
  acked: number;
  returned: number;
  dropped: number;
}

/** Deliveries in one call of dispatch(), so that one queue does not hold up the others. */
const DISPATCH_MAX = 2000;
/** Messages behind so many others may be on the disk only. */
const REST_DEPTH = 512;

export class Queue {
  readonly name: string;
  readonly vhost: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly owner: QueueOwner | undefined;
  readonly args: FieldTable;
  /** Every message is stored, transient ones too, and on the disk before it is confirmed. */
  readonly isQuorum: boolean;
  /** What its arguments and its operator's policy mean. Changed by usePolicy() only. */
  policy: QueuePolicy;
  /** The policy that counts for it. */
  policyName: string | undefined;
  readonly consumers: Consumers;
  readonly counters: QueueCounters = { published: 0, delivered: 0, acked: 0, returned: 0, dropped: 0 };
  /** Which routing found it last: a message reaches a queue once. The router's own mark. */
  mark = 0;
  /** Waits for dispatch(). The host's own mark. */
  isDirty = false;
  /** Storage's number for its messages; 0: none is stored. */
  stream = 0;
  /** Why nothing is given or taken: some of its messages cannot be read. */
  #damage: string | undefined;
  /** Waits for the bytes of its first message. */
  #isLoading = false;
  /** Wait for the same, besides consumers. */
  readonly #readers: (() => void)[] = [];
  #deleted = false;
  /** During one dispatch(): what came this moment with a ttl of 0 is not too old. */
  #givesExpired = false;
  readonly #host: QueueHost;
  /** By priority; those never used are missing. */
  readonly #rings: (EntryRing | undefined)[] = [];
  #ready = 0;
  #readyBytes = 0;
  #unacked = 0;
  #position = 0;
  #usedAt: number;
  #expiryAt = Infinity;
  #cancelExpiry: (() => void) | undefined;
  #cancelUnused: (() => void) | undefined;

  constructor(init: QueueInit, host: QueueHost) {
    this.name = init.name;
    this.vhost = init.vhost;
    this.durable = init.durable;
    this.autoDelete = init.autoDelete;
    this.owner = init.owner;
    this.args = init.args;
    this.policy = init.policy;
    this.isQuorum = init.policy.type === 'quorum';
    this.consumers = new Consumers(init.policy.singleActiveConsumer);
    this.#host = host;
    this.#usedAt = host.clock.now();
    this.#rings[0] = new EntryRing();
    this.#watchUse();
  }

  /** Messages that wait. */
  get ready(): number {
    return this.#ready;
  }

  /** Bytes of the bodies that wait. */
  get readyBytes(): number {
    return this.#readyBytes;
  }

  /** Messages that consumers have and have not settled. */
  get unacked(): number {
    return this.#unacked;
  }

  get deleted(): boolean {
    return this.#deleted;
  }

  /** Whether the length of the queue has a bound. For each message: no private getter, which is a call into the engine. */
  #isLimited(): boolean {
    return this.policy.maxLength !== undefined || this.policy.maxLengthBytes !== undefined;
  }

  /** Why its messages cannot be read. Purging it or deleting it ends that. */
  get damage(): string | undefined {
    return this.#damage;
  }

  /** Its operator's policy changed what it does. Messages that are there keep the time they have. */
  usePolicy(policy: QueuePolicy, name: string | undefined): void {
    this.policyName = name;
    this.policy = policy;
    this.#cancelUnused?.();
    this.#watchUse();
    if (policy.overflow === 'drop-head' && this.#over()) this.#shorten();
  }

  /** Some of its messages cannot be read: nobody is given any, consumers are told to go. */
  quarantine(damage: string): void {
    this.#damage ??= damage;
    this.#loaded();
    this.#endConsumers();
  }

  /**
   * Puts a message in; the queue keeps it in the table. The same as admit() and insert().
   * @param ttlMs  of the message; Infinity: none
   * @returns false when the queue does not take it; then nothing was kept
   */
  enqueue(slot: number, ttlMs: number): boolean {
    if (!this.admit(slot)) return false;
    this.insert(slot, ttlMs);
    return true;
  }

  /** Whether the queue takes a message: one that is full may refuse, one with damage does. */
  admit(slot: number): boolean {
    if (this.#damage !== undefined) return false;
    if (!this.#isLimited()) return true;
    const { policy } = this;
    if (this.consumers.size > 0) this.dispatch();
    if (policy.overflow === 'drop-head' || !this.#full(slot)) return true;
    this.counters.dropped += 1;
    if (policy.overflow === 'reject-publish-dlx') {
      this.#host.messages.keep(slot);
      this.#host.died(this, slot, 'maxlen', false);
    }
    return false;
  }

  /** Puts a message in that was admitted. */
  insert(slot: number, ttlMs: number): void {
    this.#host.messages.keep(slot);
    this.counters.published += 1;
    this.#position += 1;
    const expiresAt = this.#expiryOf(ttlMs);
    const isFleeting = expiresAt !== Infinity && expiresAt <= this.#host.clock.now();
    if (isFleeting) this.#expireHeads();
    this.#insert(slot, this.#position, expiresAt, 0);
    if (isFleeting) this.#giveOrExpire();
    if (this.#isLimited() && this.policy.overflow === 'drop-head' && this.#over()) this.#shorten();
    if (this.#ready > REST_DEPTH) this.#host.keep?.rest(slot);
    this.#touch();
  }

  /** A message that may not wait: who is ready gets it, else it is gone. */
  #giveOrExpire(): void {
    this.#givesExpired = true;
    this.dispatch();
    this.#givesExpired = false;
    this.#expireHeads();
  }

  /**
   * A message that storage had, behind those that are there.
   * @param expiresAt  in the clock's time
   */
  restore(slot: number, expiresAt: number, returns: number): void {
    this.#host.messages.keep(slot);
    this.#position += 1;
    this.#insert(slot, this.#position, expiresAt, returns);
  }

  /** Gives messages to consumers while there are both. */
  dispatch(): void {
    if (this.consumers.size === 0) return;
    const { keep } = this.#host;
    for (let count = 0; count < DISPATCH_MAX; count += 1) {
      const ring = this.#frontRing();
      if (ring === undefined) return;
      const slot = ring.firstSlot();
      if (keep !== undefined && !this.#isThere(keep, slot)) return;
      const consumer = this.consumers.next();
      if (consumer === undefined) return;
      const position = ring.firstPosition();
      const expiresAt = ring.firstExpiry();
      const returns = ring.firstReturns();
      this.#removeFirst(ring, slot);
      this.counters.delivered += 1;
      if (!consumer.noAck) this.#unacked += 1;
      else if (this.stream !== 0) keep?.drop(this.stream, slot);
      consumer.take(slot, position, expiresAt, returns);
      if (keep !== undefined && !consumer.noAck) keep.rest(slot);
    }
    this.#touch();
  }

  /** Whether the first message can be given: its bytes may have to be read. */
  #isThere(keep: Keep, slot: number): boolean {
    if (this.#isLoading) return false;
    if (keep.ensure(slot, () => this.#loaded())) return true;
    this.#isLoading = true;
    return false;
  }

  #loaded(): void {
    this.#isLoading = false;
    for (const then of this.#readers.splice(0)) then();
    this.#touch();
  }

  /**
   * Whether the first message can be taken with get().
   * @param then  called when it is worth asking again
   */
  isReadable(then: () => void): boolean {
    const { keep } = this.#host;
    const ring = this.#frontRing();
    if (ring === undefined || keep === undefined) return true;
    if (this.#isThere(keep, ring.firstSlot())) return true;
    if (this.#damage !== undefined) return true;
    this.#readers.push(then);
    return false;
  }

  /**
   * Takes the first message for basic.get.
   * @param noAck  it is gone from the queue at once
   * @returns undefined when the queue is empty; the slot is the caller's to release
   */
  get(noAck: boolean): Entry | undefined {
    this.used();
    const ring = this.#frontRing();
    if (ring === undefined || this.#damage !== undefined) return undefined;
    const entry = {
      slot: ring.firstSlot(),
      position: ring.firstPosition(),
      expiresAt: ring.firstExpiry(),
      returns: ring.firstReturns(),
    };
    this.#removeFirst(ring, entry.slot);
    this.counters.delivered += 1;
    if (!noAck) this.#unacked += 1;
    else this.#drop(entry.slot);
    return entry;
  }

  /** A message was dealt with; its slot is released. */
  ack(slot: number): void {
    this.#unacked -= 1;
    this.counters.acked += 1;
    this.#drop(slot);
    this.#host.messages.release(slot);
  }

  /** A message was refused for good: to the dead letters, or gone. */
  reject(slot: number): void {
    this.#unacked -= 1;
    this.#die(slot, 'rejected');
  }

  /** Messages come back from a consumer, to where they were. */
  requeue(entries: readonly Entry[]): void {
    this.#unacked -= entries.length;
    if (this.#deleted) {
      for (const { slot } of entries) {
        this.#drop(slot);
        this.#host.messages.release(slot);
      }
      return;
    }
    const limit = this.policy.deliveryLimit ?? Infinity;
    const byPriority = new Map<number, Entry[]>();
    for (const entry of entries) {
      const returns = Math.min(entry.returns + 1, 0xffff);
      if (returns > limit) {
        this.#die(entry.slot, 'delivery_limit');
        continue;
      }
      this.counters.returned += 1;
      if (limit !== Infinity && this.stream !== 0)
        this.#host.keep?.noteReturns(this.stream, entry.slot, returns);
      const level = this.#level(entry.slot);
      const list = byPriority.get(level) ?? [];
      list.push({ ...entry, returns });
      byPriority.set(level, list);
    }
    for (const [level, list] of byPriority) {
      list.sort((a, b) => a.position - b.position);
      this.#ringOf(level).restore(list);
      for (const { slot } of list) {
        this.#ready += 1;
        this.#readyBytes += this.#host.messages.bodyBytes(slot);
      }
    }
    // What came back may be too much or too old: it is not given out again.
    if (this.policy.overflow === 'drop-head') this.#dropToFit();
    this.#expireHeads();
    this.#touch();
  }

  /** Throws away all that waits. @returns how many */
  purge(): number {
    const count = this.#ready;
    for (const ring of this.#rings) {
      if (ring !== undefined) this.#empty(ring);
    }
    this.#damage = undefined;
    return count;
  }

  /** Ends the queue: what waits is thrown away, consumers are told. @returns how many messages waited */
  delete(): number {
    if (this.#deleted) return 0;
    this.#deleted = true;
    this.#cancelExpiry?.();
    this.#cancelUnused?.();
    const count = this.purge();
    this.#endConsumers();
    return count;
  }

  #endConsumers(): void {
    const { consumers } = this;
    for (let consumer = consumers.all[0]; consumer !== undefined; consumer = consumers.all[0]) {
      consumers.remove(consumer);
      consumer.cancelled();
    }
  }

  /** A message left the queue for good: storage forgets it. */
  #drop(slot: number): void {
    if (this.stream !== 0) this.#host.keep?.drop(this.stream, slot);
  }

  addConsumer(consumer: Consumer): void {
    this.used();
    this.consumers.add(consumer);
    this.#touch();
  }

  removeConsumer(consumer: Consumer): void {
    if (!this.consumers.remove(consumer)) return;
    this.used();
    if (this.consumers.size === 0 && this.autoDelete) this.#host.unwanted(this);
    else this.#touch();
  }

  /** A consumer that could not take can again. */
  wake(consumer: Consumer): void {
    this.consumers.wake(consumer);
    this.#touch();
  }

  /** The queue was declared, consumed from or read: its expiry starts anew. */
  used(): void {
    this.#usedAt = this.#host.clock.now();
  }

  /** Entries in the order in which they would be delivered. */
  *entries(): Generator<Entry> {
    for (let level = this.#rings.length - 1; level >= 0; level -= 1)
      yield* this.#rings[level]?.entries() ?? [];
  }

  #empty(ring: EntryRing): void {
    while (ring.size > 0) {
      const slot = ring.firstSlot();
      this.#removeFirst(ring, slot);
      this.#drop(slot);
      this.#host.messages.release(slot);
    }
  }

  #touch(): void {
    if (this.#ready > 0 && !this.isDirty && this.consumers.size > 0) this.#host.dirty(this);
  }

  /** How long it keeps a message that comes now. @param ttlMs  of the message; Infinity: none */
  ttlOf(ttlMs: number): number {
    return Math.min(ttlMs, this.policy.ttlMs ?? Infinity);
  }

  #expiryOf(ttlMs: number): number {
    const ttl = this.ttlOf(ttlMs);
    return ttl === Infinity ? Infinity : this.#host.clock.now() + ttl;
  }

  #insert(slot: number, position: number, expiresAt: number, returns: number): void {
    const ring = this.#ringOf(this.policy.maxPriority === undefined ? 0 : this.#level(slot));
    ring.push(slot, position, expiresAt, returns);
    this.#ready += 1;
    this.#readyBytes += this.#host.messages.bodyBytes(slot);
    if (expiresAt < this.#expiryAt && ring.size === 1) this.#watchExpiry(expiresAt);
  }

  #level(slot: number): number {
    const { maxPriority } = this.policy;
    return maxPriority === undefined ? 0 : Math.min(this.#host.messages.priority(slot), maxPriority);
  }

  #ringOf(level: number): EntryRing {
    this.#rings[level] ??= new EntryRing();
    return this.#rings[level];
  }

  /** The ring that the next message comes from, expired ones thrown out; undefined when nothing waits. */
  #frontRing(): EntryRing | undefined {
    for (let level = this.#rings.length - 1; level >= 0; level -= 1) {
      const ring = this.#rings[level];
      if (ring === undefined) continue;
      while (ring.size > 0) {
        const expiresAt = ring.firstExpiry();
        if (expiresAt === Infinity || this.#givesExpired || expiresAt > this.#host.clock.now()) return ring;
        this.#expireFirst(ring);
      }
    }
    return undefined;
  }

  #removeFirst(ring: EntryRing, slot: number): void {
    ring.shift();
    this.#ready -= 1;
    this.#readyBytes -= this.#host.messages.bodyBytes(slot);
    if (ring.size > 0) {
      const next = ring.firstExpiry();
      if (next < this.#expiryAt) this.#watchExpiry(next);
    }
  }

  #expireFirst(ring: EntryRing): void {
    const slot = ring.firstSlot();
    this.#removeFirst(ring, slot);
    this.#die(slot, 'expired');
  }

  #die(slot: number, reason: DeathReason): void {
    this.counters.dropped += 1;
    this.#host.died(this, slot, reason, true);
  }

  /** Whether a message does not fit. */
  #full(slot: number): boolean {
    const { maxLength = Infinity, maxLengthBytes = Infinity } = this.policy;
    const bytes = this.#readyBytes + this.#host.messages.bodyBytes(slot);
    return this.#ready + 1 > maxLength || bytes > maxLengthBytes;
  }

  #over(): boolean {
    const { maxLength, maxLengthBytes } = this.policy;
    return this.#ready > (maxLength ?? Infinity) || this.#readyBytes > (maxLengthBytes ?? Infinity);
  }

  /** Drops from the head, lowest priority first, until the queue fits; who can be served is served first. */
  #shorten(): void {
    if (this.consumers.size > 0) this.dispatch();
    this.#dropToFit();
  }

  #dropToFit(): void {
    while (this.#over()) {
      const ring = this.#rings.find((candidate) => candidate !== undefined && candidate.size > 0);
      if (ring === undefined) return;
      const slot = ring.firstSlot();
      this.#removeFirst(ring, slot);
      this.#die(slot, 'maxlen');
    }
  }

  #watchExpiry(at: number): void {
    this.#cancelExpiry?.();
    this.#expiryAt = at;
    this.#cancelExpiry = this.#host.clock.schedule(at, () => {
      this.#expiryAt = Infinity;
      this.#cancelExpiry = undefined;
      this.#expireHeads();
    });
  }

  /** Messages expire at the head of their queue only, as in RabbitMQ. */
  #expireHeads(): void {
    const now = this.#host.clock.now();
    let next = Infinity;
    for (const ring of this.#rings) {
      if (ring === undefined) continue;
      while (ring.size > 0 && ring.firstExpiry() <= now) this.#expireFirst(ring);
      if (ring.size > 0) next = Math.min(next, ring.firstExpiry());
    }
    if (next < this.#expiryAt) this.#watchExpiry(next);
  }

  #watchUse(): void {
    const { expiresMs } = this.policy;
    if (expiresMs === undefined) return;
    this.#cancelUnused = this.#host.clock.schedule(this.#usedAt + expiresMs, () => {
      if (this.consumers.size > 0) this.used();
      if (this.#host.clock.now() - this.#usedAt >= expiresMs) this.#host.unwanted(this);
      else this.#watchUse();
    });
  }
}
