// The state of a broker: virtual hosts, users, messages, and the turn in which everything that came up is brought to an end. No
// sockets, no disk; time and randomness are given to it.

import { NaruError } from '../errors/index.ts';
import { Reader, PropertyScan } from '../wire/amqp091/index.ts';
import type { Clock } from './clock.ts';
import { SlabPool, type Output } from './connection/output.ts';
import { DeadLetters } from './dead-letters.ts';
import { checkNameLength, limitsOf, type Limits } from './limits.ts';
import { MessageTable } from './message-table.ts';
import type { DeathReason, Queue } from './queue/queue.ts';
import { Users } from './users.ts';
import { Vhost } from './vhost.ts';

/** What the core is given. */
export interface CoreInit {
  readonly clock: Clock;
  /** Random bytes. */
  readonly random: (bytes: number) => Uint8Array;
  /** Calls `fn` once, soon, when others had their turn. */
  readonly later: (fn: () => void) => void;
  readonly limits?: Partial<Limits>;
  /** What clients are told of the broker; see server-properties.ts. */
  readonly product?: { readonly name: string; readonly version: string };
}

/** Whoever has something to finish when a turn ends: confirms of a channel. */
export interface Finisher {
  finishTurn(): void;
}

/** Who waits for replies to amq.rabbitmq.reply-to. */
export interface ReplyTarget {
  /** Gives it a message; the slot is its to release. */
  takeReply(slot: number): void;
}

/** What happened since the start. */
export interface CoreCounters {
  published: number;
  unroutable: number;
  returned: number;
  connections: number;
  channels: number;
}

/** Rounds of dead letters and deliveries in one turn, before others get theirs. */
const ROUNDS_MAX = 64;

export class Core {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly product: { readonly name: string; readonly version: string };
  readonly messages: MessageTable = new MessageTable();
  readonly users: Users;
  readonly vhosts: Map<string, Vhost> = new Map<string, Vhost>();
  readonly slabs: SlabPool = new SlabPool();
  readonly counters: CoreCounters = { published: 0, unroutable: 0, returned: 0, connections: 0, channels: 0 };
  /** Shared by all connections: used within one frame only. */
  readonly reader: Reader = new Reader();
  readonly scan: PropertyScan = new PropertyScan();
  readonly replies: Map<string, ReplyTarget> = new Map<string, ReplyTarget>();
  /** Publishes left that are refused with a nack, for tests. */
  failingPublishes = 0;
  readonly #init: CoreInit;
  readonly #deadLetters: DeadLetters;
  #dirty: Queue[] = [];
  #outputs: Output[] = [];
  #finishers: Finisher[] = [];
  #isLater = false;
  #isEnding = false;
  #blocked: string | undefined;
  #forced: string | undefined;
  readonly #alarmed = new Set<(reason: string | undefined) => void>();

  constructor(init: CoreInit) {
    this.#init = init;
    this.clock = init.clock;
    this.limits = limitsOf(init.limits);
    this.users = new Users(this.limits.usersMax);
    this.product = init.product ?? { name: 'RabbitMQ', version: '3.13.7' };
    this.#deadLetters = new DeadLetters(this.messages, this.clock, () => this.#soon());
  }

  /** Why publishers wait; undefined: they do not. */
  get blocked(): string | undefined {
    return this.#blocked;
  }

  /** @throws NARU_LIMIT  there are as many as may be @throws NARU_INVALID_ARGUMENT  its name is too long */
  addVhost(name: string): Vhost {
    const existing = this.vhosts.get(name);
    if (existing !== undefined) return existing;
    checkNameLength('name of the virtual host', name);
    if (this.vhosts.size >= this.limits.vhostsMax) {
      throw new NaruError(
        'NARU_LIMIT',
        `vhost '${name}' cannot be added: the limit of ${this.limits.vhostsMax} is reached; delete others or raise vhostsMax`,
      );
    }
    const host = {
      clock: this.clock,
      messages: this.messages,
      limits: this.limits,
      dirty: (queue: Queue): void => this.#markDirty(queue),
      died: (queue: Queue, slot: number, reason: DeathReason): void =>
        this.#deadLetters.add(vhost, queue, slot, reason),
    };
    const vhost = new Vhost(name, host);
    this.vhosts.set(name, vhost);
    return vhost;
  }

  deleteVhost(name: string): boolean {
    this.vhosts.get(name)?.clear();
    this.users.forgetVhost(name);
    return this.vhosts.delete(name);
  }

  /** A name nobody can guess: `prefix` and 22 characters. */
  uniqueName(prefix: string): string {
    return prefix + Buffer.from(this.#init.random(16)).toString('base64url');
  }

  random(bytes: number): Uint8Array {
    return this.#init.random(bytes);
  }

  /** A connection has bytes to send when the turn ends. */
  hasOutput(output: Output): void {
    this.#outputs.push(output);
    this.#soon();
  }

  finishLater(finisher: Finisher): void {
    this.#finishers.push(finisher);
    this.#soon();
  }

  /** Tells `fn` whenever publishers are stopped (the reason) or let go (undefined). @returns stops telling */
  onAlarm(fn: (reason: string | undefined) => void): () => void {
    this.#alarmed.add(fn);
    return () => this.#alarmed.delete(fn);
  }

  /** Stops publishers for a reason of one's own, or lets them go. */
  force(reason: string | undefined): void {
    this.#forced = reason;
    this.#checkAlarm();
  }

  /** Brings everything to an end that came up: deliveries, dead letters, confirms; then bytes leave. */
  endTurn(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    try {
      this.deliver();
      for (let finisher = this.#finishers.pop(); finisher !== undefined; finisher = this.#finishers.pop()) {
        finisher.finishTurn();
      }
      this.#checkAlarm();
      const outputs = this.#outputs;
      this.#outputs = [];
      for (const output of outputs) output.flush();
    } finally {
      this.#isEnding = false;
    }
    if (this.#dirty.length > 0) this.#soon();
  }

  /** Deliveries and dead letters now: before an answer that counts messages. */
  deliver(): void {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      if (this.#dirty.length === 0) {
        if (!this.#deadLetters.run()) return;
        continue;
      }
      const dirty = this.#dirty;
      this.#dirty = [];
      for (const queue of dirty) {
        queue.isDirty = false;
        queue.dispatch();
      }
      this.#deadLetters.run();
    }
  }

  #markDirty(queue: Queue): void {
    queue.isDirty = true;
    this.#dirty.push(queue);
    this.#soon();
  }

  /** A turn ends by itself when nobody ends it: timers bring messages too. */
  #soon(): void {
    if (this.#isLater) return;
    this.#isLater = true;
    this.#init.later(() => {
      this.#isLater = false;
      this.endTurn();
    });
  }

  #checkAlarm(): void {
    const over = this.messages.bytes > this.limits.memoryBytesMax;
    const reason = this.#forced ?? (over ? 'low on memory' : undefined);
    if (reason === this.#blocked) return;
    this.#blocked = reason;
    for (const fn of this.#alarmed) fn(reason);
  }
}
