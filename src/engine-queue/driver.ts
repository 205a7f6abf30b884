// The driver of a mailbox that lies in an engine: its seats, its ends, its numbers. Who is there, who has died and what becomes of messages
// the backend knows.

import { isNaruError, NaruError } from '../errors/index.ts';
import type {
  Delivery,
  Driver,
  DriverFacts,
  DriverHooks,
  PlaceStats,
  Receiver,
  ReplyPort,
  Sender,
} from '../mailbox/driver.ts';
import { KeepAlive } from '../mailbox/keep-alive.ts';
import { decodeNamed } from '../wire/named-envelope.ts';
import type { Backend, BoxSettings, ChangeListener, SeatRole } from './backend.ts';
import { EngineReceiver } from './receiver.ts';
import { EngineReplies } from './replies.ts';
import { EngineSender } from './sender.ts';

/** Whoever asks who is there gets what was known so long ago at most, in milliseconds; the next question is answered better. */
const PEERS_MS = 100;
const UNLIMITED = 2 ** 31 - 1;

interface Seat {
  readonly id: number;
  readonly role: SeatRole;
  readonly wake: () => void;
}

export interface EngineDriverInit {
  readonly facts: DriverFacts;
  readonly settings: BoxSettings;
  readonly hooks: DriverHooks;
  /** A full mailbox throws out its oldest messages, and no send waits for room. */
  readonly dropsOldest?: boolean;
}

export class EngineDriver implements Driver, ChangeListener {
  readonly facts: DriverFacts;
  readonly #init: EngineDriverInit;
  /** Set by start(), before anybody has this driver; a backend may call back before that. */
  #opened: Backend | undefined;
  readonly #seats = new Map<number, Seat>();
  readonly #ends = new Set<{ close(): Promise<void> }>();
  readonly #alive = new KeepAlive();
  readonly #dropped: Record<string, number> = {};
  #peers = { producers: 0, consumers: 0 };
  #peersTime = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #undelivered = 0;
  #failure: Error | undefined;
  #closed: Promise<{ undelivered: number }> | undefined;

  private constructor(init: EngineDriverInit) {
    this.#init = init;
    this.facts = init.facts;
  }

  /** @param open  makes the backend, which tells this driver of changes */
  static async start(
    init: EngineDriverInit,
    open: (listener: ChangeListener) => Promise<Backend>,
  ): Promise<EngineDriver> {
    const driver = new EngineDriver(init);
    driver.#opened = await open(driver);
    return driver;
  }

  get #backend(): Backend {
    return this.#opened as Backend;
  }

  get peers(): { readonly producers: number; readonly consumers: number } {
    if (performance.now() - this.#peersTime > PEERS_MS) void this.#lookAtPeers(true);
    return this.#peers;
  }

  async attachSender(): Promise<Sender> {
    const { capacityBytes, capacityMessages, relation } = this.#init.settings;
    const hasLimits = capacityBytes !== undefined || capacityMessages !== undefined;
    const isLimited = hasLimits && this.#init.dropsOldest !== true;
    // News may come as soon as the seat is there.
    let woken: EngineSender | undefined;
    const seat = await this.#enter('p', relation.startsWith('1') ? 1 : UNLIMITED, () => woken?.wake());
    const sender: EngineSender = new EngineSender({
      backend: this.#backend,
      hooks: this.#init.hooks,
      identity: this.facts.identity,
      capacityBytes: capacityBytes ?? Number.POSITIVE_INFINITY,
      look: isLimited ? () => this.#backend.room() : undefined,
      sleep: () => (isLimited ? this.#backend.sleeps(seat) : Promise.resolve()),
      placed: (dropped) => {
        if (dropped > 0) this.#lose('full', dropped);
        this.#wake('c');
      },
      lost: (count, error) => {
        this.#undelivered += count;
        this.#lose('failed', count, error);
      },
      hold: (isNeeded) => this.#alive.hold('sender', isNeeded),
      onClose: () => this.#leave(seat, sender),
    });
    woken = sender;
    this.#ends.add(sender);
    if (isLimited) await sender.poll();
    return sender;
  }

  async attachReceiver(): Promise<Receiver> {
    const { relation, leaseMs, capacityBytes, capacityMessages } = this.#init.settings;
    const isLimited = capacityBytes !== undefined || capacityMessages !== undefined;
    let woken: EngineReceiver | undefined;
    const seat = await this.#enter('c', relation.endsWith('1') ? 1 : UNLIMITED, () => woken?.wake());
    const receiver: EngineReceiver = new EngineReceiver({
      backend: this.#backend,
      hooks: this.#init.hooks,
      seat,
      leaseMs,
      reap: async () => {
        await this.#reap();
      },
      expired: (count) => this.#expired(count),
      settled: (wentBack) => {
        if (wentBack) {
          this.#wake('c');
          void this.#tell('message');
        }
        if (isLimited) {
          this.#wake('p');
          void this.#tell('room');
        }
      },
      lost: (reason, count, error) => this.#lose(reason, count, error),
      hold: (isNeeded) => this.#alive.hold('receiver', isNeeded),
      onClose: () => this.#leave(seat, receiver),
    });
    woken = receiver;
    this.#ends.add(receiver);
    return receiver;
  }

  openReplies(): Promise<ReplyPort> {
    const { replies } = this.#backend;
    if (replies === undefined) return Promise.reject(noReplies(this.facts));
    return EngineReplies.open(replies, this.facts, this.#init.hooks);
  }

  async stats(): Promise<PlaceStats> {
    this.#expired(await this.#backend.tend());
    await this.#lookAtPeers(false);
    const counted = await this.#backend.stats();
    const { capacityBytes, capacityMessages } = this.#init.settings;
    return {
      ...counted,
      ...this.#peers,
      capacityBytes: capacityBytes ?? -1,
      capacityMessages: capacityMessages ?? -1,
      dropped: this.#dropped,
      extra: {},
    };
  }

  async peek(max: number): Promise<Delivery[]> {
    const rows = await this.#backend.peek(max);
    return rows.map(({ id, deliveries, message }) => ({
      ...decodeNamed(message),
      deliveries,
      receipt: false,
      token: id,
    }));
  }

  async purge(): Promise<number> {
    const count = await this.#backend.purge();
    this.#wake('p');
    await this.#tell('room');
    return count;
  }

  close(): Promise<{ undelivered: number }> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async unlink(): Promise<void> {
    try {
      await this.#backend.remove();
    } catch (error) {
      if (!isNaruError(error, 'NARU_CLOSED')) throw error;
    }
  }

  changed(): void {
    this.#wake('c');
    this.#wake('p');
  }

  seatsChanged(): void {
    void this.#lookAtPeers(false);
  }

  disconnected(reason: string): void {
    this.#init.hooks.event('disconnect', { reason });
  }

  /** The seats' rows may be gone, and what they held be somebody else's. */
  reconnected(attempts: number): void {
    this.#init.hooks.event('reconnect', { attempts });
    this.changed();
  }

  seats(): readonly Seat[] {
    return [...this.#seats.values()];
  }

  gone(error: Error): void {
    this.#fail(error);
  }

  async #enter(role: SeatRole, most: number, wake: () => void): Promise<number> {
    for (let attempt = 1; ; attempt += 1) {
      const id = await this.#backend.enter(role, this.facts.identity, most);
      if (id !== undefined) {
        this.#seats.set(id, { id, role, wake });
        await this.#lookAtPeers(false);
        void this.#tell('seats');
        return id;
      }
      // One of those who are there may have died.
      if (attempt > 1 || (await this.#reap()) === 0) throw this.#tooMany(role);
    }
  }

  async #leave(id: number, end: { close(): Promise<void> }): Promise<void> {
    this.#ends.delete(end);
    this.#seats.delete(id);
    if (this.#failure !== undefined) return;
    try {
      await this.#backend.leave(id);
      await this.#lookAtPeers(false);
      this.changed();
      await this.#tell('message');
      await this.#tell('seats');
    } catch (error) {
      // Whoever looks next finds that this handle is gone.
      if (!isNaruError(error)) throw error;
    }
  }

  #expired(count: number): void {
    if (count === 0) return;
    this.#lose('expired', count);
    this.#wake('p');
    void this.#tell('room');
  }

  async #reap(): Promise<number> {
    const count = await this.#backend.reap();
    if (count === 0) return 0;
    this.changed();
    await this.#tell('message');
    await this.#tell('seats');
    await this.#lookAtPeers(false);
    return count;
  }

  #lookAtPeers(alsoDead: boolean): Promise<void> {
    this.#peersTime = performance.now();
    this.#looking ??= this.#readPeers(alsoDead)
      .catch(() => undefined)
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #readPeers(alsoDead: boolean): Promise<void> {
    if (this.#opened === undefined || this.#closed !== undefined || this.#failure !== undefined) return;
    const isMoreThanOwn = this.#peers.producers + this.#peers.consumers > this.#seats.size;
    if (alsoDead && isMoreThanOwn && (await this.#backend.reap()) > 0) {
      this.changed();
      void this.#tell('message');
      void this.#tell('seats');
    }
    const peers = await this.#backend.peers();
    const before = this.#peers;
    this.#peers = peers;
    if (peers.producers !== before.producers || peers.consumers !== before.consumers)
      this.#init.hooks.peers();
  }

  #wake(role: SeatRole): void {
    for (const seat of this.#seats.values()) if (seat.role === role) seat.wake();
  }

  /** Those who sleep are told; a message that nobody is told of is found at the next look. */
  async #tell(what: 'message' | 'room' | 'seats'): Promise<void> {
    try {
      await this.#backend.tell(what);
    } catch (error) {
      if (!isNaruError(error)) throw error;
    }
  }

  #lose(reason: string, count: number, error?: Error): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#init.hooks.event('drop', { reason, count });
    if (error !== undefined) this.#init.hooks.event('error', { error });
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined || this.#closed !== undefined) return;
    this.#failure = error;
    this.#init.hooks.failed(error);
  }

  async #close(): Promise<{ undelivered: number }> {
    await Promise.all(Array.from(this.#ends, (end) => end.close()));
    this.#alive.end();
    this.#backend.close();
    return { undelivered: this.#undelivered };
  }

  #tooMany(role: SeatRole): NaruError {
    const { address, capabilities } = this.facts;
    const what = role === 'p' ? 'producer' : 'consumer';
    return new NaruError(
      'NARU_LIMIT',
      `${address}: its relation is ${this.#init.settings.relation}, and its one ${what} is there already`,
      { place: capabilities.scheme, mailbox: address },
    );
  }
}

function noReplies({ address, capabilities }: DriverFacts): NaruError {
  const what = `${address}: this place has no way back for replies`;
  return new NaruError('NARU_UNSUPPORTED', what, { place: capabilities.scheme, mailbox: address });
}
