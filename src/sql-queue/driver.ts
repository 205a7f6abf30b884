// The driver of a mailbox that is a table in a database: its seats, its ends, its numbers. Who is there, and who has died, the backend
// knows; what becomes of messages is said in statements.ts.

import { isNaruError, NaruError } from '../errors/index.ts';
import type {
  Delivery,
  Driver,
  DriverFacts,
  DriverHooks,
  PlaceStats,
  Receiver,
  Sender,
} from '../mailbox/driver.ts';
import { decodeNamed } from '../wire/named-envelope.ts';
import type { Backend, BoxSettings, ChangeListener, Dialect, SqlRow, Step } from './backend.ts';
import { SqlReceiver } from './receiver.ts';
import { SqlSender } from './sender.ts';
import { boxStatements, type BoxStatements } from './statements.ts';

/** Whoever asks who is there gets what was known so long ago at most, in milliseconds; the next question is answered better. */
const PEERS_MS = 100;
const UNLIMITED = 2 ** 31 - 1;

interface Seat {
  readonly id: number;
  readonly role: 'p' | 'c';
  readonly wake: () => void;
}

export interface SqlDriverInit {
  readonly facts: DriverFacts;
  readonly settings: BoxSettings;
  readonly hooks: DriverHooks;
  readonly dialect: Dialect;
}

export class SqlDriver implements Driver, ChangeListener {
  readonly facts: DriverFacts;
  readonly #init: SqlDriverInit;
  readonly #statements: BoxStatements;
  /** Set by start(), before anybody has this driver; a backend may call back before that. */
  #opened: Backend | undefined;
  readonly #seats = new Map<number, Seat>();
  readonly #ends = new Set<{ close(): Promise<void> }>();
  readonly #holders = new Set<'sender' | 'receiver'>();
  readonly #dropped: Record<string, number> = {};
  #peers = { producers: 0, consumers: 0 };
  #peersTime = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #undelivered = 0;
  #failure: Error | undefined;
  #closed: Promise<{ undelivered: number }> | undefined;

  private constructor(init: SqlDriverInit) {
    this.#init = init;
    this.facts = init.facts;
    this.#statements = boxStatements(init.dialect, init.settings.id);
  }

  /** @param open  makes the backend, which tells this driver of changes */
  static async start(
    init: SqlDriverInit,
    open: (listener: ChangeListener) => Promise<Backend>,
  ): Promise<SqlDriver> {
    const driver = new SqlDriver(init);
    driver.#opened = guarded(await open(driver), (error) => driver.#fail(error));
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
    const isLimited = capacityBytes !== undefined || capacityMessages !== undefined;
    // News may come as soon as the seat is there.
    let woken: SqlSender | undefined;
    const seat = await this.#enter('p', relation.startsWith('1') ? 1 : UNLIMITED, () => woken?.wake());
    const sender: SqlSender = new SqlSender({
      backend: this.#backend,
      hooks: this.#init.hooks,
      identity: this.facts.identity,
      capacityBytes: capacityBytes ?? Number.POSITIVE_INFINITY,
      look: isLimited ? () => this.#room() : undefined,
      sleep: () => (isLimited ? this.#backend.sleeps(seat) : Promise.resolve()),
      placed: () => {
        this.#wake('c');
      },
      lost: (count, error) => {
        this.#undelivered += count;
        this.#lose('failed', count, error);
      },
      hold: (isNeeded) => this.#hold('sender', isNeeded),
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
    let woken: SqlReceiver | undefined;
    const seat = await this.#enter('c', relation.endsWith('1') ? 1 : UNLIMITED, () => woken?.wake());
    const receiver: SqlReceiver = new SqlReceiver({
      backend: this.#backend,
      hooks: this.#init.hooks,
      statements: this.#statements,
      seat,
      leaseMs,
      tend: (alsoDead) => this.#tend(alsoDead),
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
      hold: (isNeeded) => this.#hold('receiver', isNeeded),
      onClose: () => this.#leave(seat, receiver),
    });
    woken = receiver;
    this.#ends.add(receiver);
    return receiver;
  }

  async stats(): Promise<PlaceStats> {
    const { stats } = this.#statements;
    await this.#tend(false);
    await this.#lookAtPeers(false);
    const [row] = await this.#query({ statement: stats, values: [] });
    const [depth = 0, depthBytes = 0, unsettled = 0] = (row ?? []).map(Number);
    const { capacityBytes, capacityMessages } = this.#init.settings;
    return {
      depth,
      depthBytes,
      unsettled,
      ...this.#peers,
      capacityBytes: capacityBytes ?? -1,
      capacityMessages: capacityMessages ?? -1,
      dropped: this.#dropped,
      extra: {},
    };
  }

  async peek(max: number): Promise<Delivery[]> {
    const rows = await this.#query({ statement: this.#statements.peek, values: [max] });
    return rows.map(([id, deliveries, message]) => ({
      ...decodeNamed(message as Uint8Array),
      deliveries: Number(deliveries) + 1,
      receipt: false,
      token: Number(id),
    }));
  }

  async purge(): Promise<number> {
    const rows = await this.#query({ statement: this.#statements.purge, values: [] });
    this.#wake('p');
    await this.#tell('room');
    return rows.length;
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

  seatsAgain(lock: number | string): Step[] {
    const { enterAgain } = this.#statements;
    return Array.from(this.#seats.values(), ({ id, role }) => ({
      statement: enterAgain,
      values: [id, role, lock, this.facts.identity],
    }));
  }

  async #enter(role: 'p' | 'c', most: number, wake: () => void): Promise<number> {
    const { enter, lockBox } = this.#statements;
    for (let attempt = 1; ; attempt += 1) {
      const [box, seats] = await this.#backend.run([
        { statement: lockBox, values: [] },
        { statement: enter, values: [role, this.#backend.lock, this.facts.identity, most] },
      ]);
      if (box?.length === 0) throw this.#gone();
      const id = seats?.[0]?.[0];
      if (id !== undefined) {
        this.#seats.set(Number(id), { id: Number(id), role, wake });
        await this.#lookAtPeers(false);
        void this.#tell('seats');
        return Number(id);
      }
      // One of those who are there may have died.
      if (attempt > 1 || (await this.#reap()) === 0) throw this.#tooMany(role);
    }
  }

  async #leave(id: number, end: { close(): Promise<void> }): Promise<void> {
    this.#ends.delete(end);
    this.#seats.delete(id);
    if (this.#failure !== undefined) return;
    const { leave, free } = this.#statements;
    try {
      await this.#backend.run([
        { statement: leave, values: [[id]] },
        { statement: free, values: [] },
      ]);
      await this.#lookAtPeers(false);
      this.changed();
      await this.#tell('message');
      await this.#tell('seats');
    } catch (error) {
      // Whoever looks next finds that this handle is gone.
      if (!isNaruError(error)) throw error;
    }
  }

  /** Removes what has expired, gives back what leases and the dead have kept. */
  async #tend(alsoDead: boolean): Promise<void> {
    const { expire, endLeases } = this.#statements;
    if (alsoDead) await this.#reap();
    const steps: Step[] = [{ statement: expire, values: [] }];
    if (this.#init.settings.leaseMs > 0) steps.push({ statement: endLeases, values: [] });
    const [expired] = await this.#backend.run(steps);
    if (expired === undefined || expired.length === 0) return;
    this.#lose('expired', expired.length);
    this.#wake('p');
    await this.#tell('room');
  }

  async #reap(): Promise<number> {
    const count = await this.#backend.reap();
    if (count === 0) return 0;
    await this.#backend.run([{ statement: this.#statements.free, values: [] }]);
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
      await this.#backend.run([{ statement: this.#statements.free, values: [] }]);
      this.changed();
      void this.#tell('message');
      void this.#tell('seats');
    }
    const rows = await this.#query({ statement: this.#statements.peers, values: [] });
    const counts = new Map(rows.map(([role, count]) => [role, Number(count)]));
    const peers = { producers: counts.get('p') ?? 0, consumers: counts.get('c') ?? 0 };
    const before = this.#peers;
    this.#peers = peers;
    if (peers.producers !== before.producers || peers.consumers !== before.consumers)
      this.#init.hooks.peers();
  }

  async #room(): Promise<{ messages: number; bytes: number }> {
    const { capacityBytes, capacityMessages } = this.#init.settings;
    const [row] = await this.#query({ statement: this.#statements.room, values: [] });
    return {
      messages: (capacityMessages ?? Number.POSITIVE_INFINITY) - Number(row?.[0]),
      bytes: (capacityBytes ?? Number.POSITIVE_INFINITY) - Number(row?.[1]),
    };
  }

  async #query(step: Step): Promise<readonly SqlRow[]> {
    const [rows] = await this.#backend.run([step]);
    return rows ?? [];
  }

  #wake(role: 'p' | 'c'): void {
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

  #hold(who: 'sender' | 'receiver', isNeeded: boolean): void {
    if (isNeeded) this.#holders.add(who);
    else this.#holders.delete(who);
    this.#backend.hold(this.#holders.size > 0);
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
    this.#backend.close();
    return { undelivered: this.#undelivered };
  }

  #gone(): NaruError {
    const { address, capabilities } = this.facts;
    return new NaruError('NARU_CLOSED', `${address}: the mailbox was removed`, {
      place: capabilities.scheme,
      mailbox: address,
    });
  }

  #tooMany(role: 'p' | 'c'): NaruError {
    const { address, capabilities } = this.facts;
    const what = role === 'p' ? 'producer' : 'consumer';
    return new NaruError(
      'NARU_LIMIT',
      `${address}: its relation is ${this.#init.settings.relation}, and its one ${what} is there already`,
      { place: capabilities.scheme, mailbox: address },
    );
  }
}

/** A mailbox that was removed is the end of the handle, whichever call learns of it. */
function guarded(backend: Backend, failed: (error: Error) => void): Backend {
  const watch = async <T>(result: Promise<T>): Promise<T> => {
    try {
      return await result;
    } catch (error) {
      if (isNaruError(error, 'NARU_CLOSED')) failed(error);
      throw error;
    }
  };
  return {
    get lock() {
      return backend.lock;
    },
    run: (steps) => watch(backend.run(steps)),
    put: (rows, isDurable) => watch(backend.put(rows, isDurable)),
    tell: (what) => watch(backend.tell(what)),
    sleeps: (seat) => watch(backend.sleeps(seat)),
    reap: () => watch(backend.reap()),
    remove: () => backend.remove(),
    hold: (isNeeded) => backend.hold(isNeeded),
    close: () => backend.close(),
  };
}
