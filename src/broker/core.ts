// The state of a broker: virtual hosts, users, messages, and the turn in which everything that came up is brought to an end. No
// sockets; the disk, time and randomness are given to it.

import { NaruError } from '../errors/index.ts';
import type { Damage } from '../log/index.ts';
import { Reader, PropertyScan } from '../wire/amqp091/index.ts';
import type { Clock } from './clock.ts';
import { SlabPool, type Output } from './connection/output.ts';
import { DeadLetters } from './dead-letters.ts';
import { checkNameLength, limitsOf, type Limits } from './limits.ts';
import { MessageTable } from './message-table.ts';
import type { DeathReason, Queue } from './queue/queue.ts';
import type { Change } from './storage/change.ts';
import type { DefinitionLog } from './storage/definition-log.ts';
import { Keeper } from './storage/keeper.ts';
import type { Store } from './storage/store.ts';
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
  /** Where what is durable is kept; call recover() before anything else. Default: nowhere, all is in memory. */
  readonly store?: Store | undefined;
  /** Storage has stopped for good: nothing is confirmed any more, and the broker must end. */
  readonly storageFailed?: (error: NaruError) => void;
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
  readonly store: Store | undefined;
  readonly keeper: Keeper | undefined;
  /** Writes down definitions that change; undefined while they are read. */
  definitions: DefinitionLog | undefined;
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
  #isBehind = false;
  readonly #alarmed = new Set<() => void>();

  constructor(init: CoreInit) {
    this.#init = init;
    this.clock = init.clock;
    this.limits = limitsOf(init.limits);
    this.users = new Users(this.limits.usersMax, (change) => this.#note(change));
    this.product = init.product ?? { name: 'RabbitMQ', version: '3.13.7' };
    this.store = init.store;
    this.keeper = init.store === undefined ? undefined : this.#keeperOf(init.store);
    this.#deadLetters = new DeadLetters(this, this.clock, () => this.#soon());
  }

  #keeperOf(store: Store): Keeper {
    store.hooks = {
      full: () => this.#soon(),
      progressed: () => {
        if (this.#isBehind) this.#soon();
      },
      damaged: (damage) => this.quarantine(damage),
      failed: (error) => this.#init.storageFailed?.(error),
    };
    return new Keeper({
      messages: this.messages,
      store,
      clock: this.clock,
      contentBytesMax: this.limits.storedBytesInMemoryMax,
      failed: (error) => this.#init.storageFailed?.(error as NaruError),
    });
  }

  #note(change: Change, level?: 'disk'): void {
    this.definitions?.note(change, level);
  }

  /** Everything that outlives a restart, as changes that make it. */
  changes(withTransient = false): Change[] {
    const places = [...this.vhosts.values()];
    const vhosts = places.map(({ name }): Change => ({ do: 'vhost', name }));
    return [...vhosts, ...this.users.changes(), ...places.flatMap((place) => place.changes(withTransient))];
  }

  /** Resolves when everything that is durable so far is as safe as what is confirmed. */
  async settled(): Promise<void> {
    await this.store?.settled();
  }

  /** Messages cannot be read: the queues that have them give and take nothing. */
  quarantine({ file, offset, what, streams }: Damage): void {
    const queues = [...this.vhosts.values()].flatMap((place) => [...place.queues.values()]);
    for (const queue of queues) {
      if (streams?.includes(queue.stream) === true) queue.quarantine(`${file} at byte ${offset}: ${what}`);
    }
    this.#soon();
  }

  /** Queues with messages that cannot be read. */
  get quarantined(): Queue[] {
    const queues = [...this.vhosts.values()].flatMap((place) => [...place.queues.values()]);
    return queues.filter(({ damage }) => damage !== undefined);
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
      keep: this.keeper,
      limits: this.limits,
      dirty: (queue: Queue): void => this.#markDirty(queue),
      died: (queue: Queue, slot: number, reason: DeathReason, wasIn: boolean): void =>
        this.#deadLetters.add(vhost, queue, slot, reason, wasIn),
      note: (change: Change, level?: 'disk'): void => this.#note(change, level),
      takeStream: (): number => this.store?.takeStream() ?? 0,
    };
    const vhost = new Vhost(name, host);
    this.vhosts.set(name, vhost);
    this.#note({ do: 'vhost', name });
    return vhost;
  }

  deleteVhost(name: string): boolean {
    this.vhosts.get(name)?.clear();
    this.users.forgetVhost(name);
    this.#note({ do: 'delete-vhost', name });
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

  /** Whether publishers are not read from for a moment, without a word: the disk is behind. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Calls `fn` whenever `blocked` or `isBehind` changes. @returns stops that */
  onAlarm(fn: () => void): () => void {
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

  /** Dead letters that wait: for their bytes, or for room on the disk. */
  get deadLettersWaiting(): number {
    return this.#deadLetters.waiting;
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
    const { memoryBytesMax, unwrittenBytesMax } = this.limits;
    const over = this.messages.bytes > memoryBytesMax;
    const isFull = this.store?.isFull === true;
    const reason = this.#forced ?? (isFull ? 'low on disk' : over ? 'low on memory' : undefined);
    const waiting = this.store?.pendingBytes ?? 0;
    const isBehind = waiting > (this.#isBehind ? unwrittenBytesMax / 2 : unwrittenBytesMax);
    if (reason === this.#blocked && isBehind === this.#isBehind) return;
    this.#blocked = reason;
    this.#isBehind = isBehind;
    for (const fn of this.#alarmed) fn();
  }
}
