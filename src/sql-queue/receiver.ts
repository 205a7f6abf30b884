// The receiving end. It takes from the table what somebody asked for and no more; what nobody wanted in the end goes back. Settling is
// collected for a turn of the event loop, and goes with the next taking in one transaction.

import { isNaruError } from '../errors/index.ts';
import type { Delivery, DriverHooks, Outcome, Receiver } from '../mailbox/driver.ts';
import { NamedReader } from '../wire/named-envelope.ts';
import type { Backend, SqlRow, Step } from './backend.ts';
import { Settlements } from './settlements.ts';
import type { BoxStatements } from './statements.ts';

/** Rows taken in one statement. */
const CLAIM_MAX = 1_024;
const POLL_MAX = 256;
/** How long what nobody wants is kept before it goes back: an aborted receive is often followed by another. */
const KEEP_MS = 5;
/** While others hold messages: how often a waiting end looks whether one of them has died. */
const LOOK_MS = 700;
/** Longest time between two looks at what changes with time alone. */
const OUTLOOK_MS_MAX = 60_000;

export interface ReceiverInit {
  readonly backend: Backend;
  readonly hooks: DriverHooks;
  readonly statements: BoxStatements;
  readonly seat: number;
  readonly leaseMs: number;
  /** Removes what has expired and frees what the dead hold. */
  readonly tend: (alsoDead: boolean) => Promise<void>;
  /** Messages went back, or went for good. */
  readonly settled: (wentBack: boolean) => void;
  readonly lost: (reason: string, count: number, error: Error) => void;
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => Promise<void>;
}

export class SqlReceiver implements Receiver {
  readonly ended = false;
  readonly #init: ReceiverInit;
  readonly #reader = new NamedReader();
  readonly #settlements = new Settlements();
  /** Taken from the table and not yet given out, in order. */
  #fetched: Delivery[] = [];
  /** Handed out or fetched, and not settled. */
  readonly #inHand = new Set<number>();
  /** A taking broke off: what it took, nobody here has. */
  #mustForget = false;
  #wanted = 0;
  /** What take() asked for last: what poll() brings. */
  #asked = 1;
  #working: Promise<void> | undefined;
  /** Something may have come since the last look. */
  #isDirty = true;
  #othersHold = false;
  #settleSoon: NodeJS.Immediate | undefined;
  #keep: NodeJS.Timeout | undefined;
  #alarm: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  constructor(init: ReceiverInit) {
    this.#init = init;
  }

  take(max: number, out: Delivery[]): number {
    if (this.#closed !== undefined) return 0;
    this.#asked = max;
    const given = this.#fetched.length <= max ? this.#fetched : this.#fetched.slice(0, max);
    this.#fetched = given === this.#fetched ? [] : this.#fetched.slice(max);
    for (const delivery of given) out.push(delivery);
    if (given.length > 0) this.#isDirty = true;
    return given.length;
  }

  want(count: number): void {
    if (this.#closed !== undefined) return;
    this.#wanted = count;
    this.#init.hold(count > 0);
    if (count === 0) {
      clearTimeout(this.#alarm);
      this.#alarm = undefined;
      if (this.#fetched.length > 0) this.#keep ??= setTimeout(() => this.#giveBack(), KEEP_MS);
      return;
    }
    clearTimeout(this.#keep);
    this.#keep = undefined;
    this.#work();
  }

  async poll(): Promise<void> {
    await this.#working;
    if (this.#fetched.length > 0 || this.#closed !== undefined) return;
    try {
      await this.#claim(Math.min(this.#asked, POLL_MAX));
    } catch (error) {
      this.#fail(error);
    }
    if (this.#wanted === 0 && this.#fetched.length > 0)
      this.#keep ??= setTimeout(() => this.#giveBack(), KEEP_MS);
  }

  /** Something in the table has changed. */
  wake(): void {
    this.#isDirty = true;
    if (this.#wanted > 0) this.#work();
  }

  settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: (error?: Error) => void): void {
    this.#inHand.delete(delivery.token);
    this.#settlements.add(delivery.token, outcome, delayMs, done);
    this.#settleSoon ??= setImmediate(() => this.#settleNow());
  }

  ackAll(deliveries: readonly Delivery[]): void {
    for (const { token } of deliveries) {
      this.#inHand.delete(token);
      this.#settlements.add(token, 'ack', 0, undefined);
    }
    this.#settleSoon ??= setImmediate(() => this.#settleNow());
  }

  received(): void {
    // Nobody waits for it: the place has no receipts.
  }

  extend(delivery: Delivery, ms: number): void {
    const { backend, statements, seat } = this.#init;
    backend
      .run([{ statement: statements.extend, values: [seat, [delivery.token], ms] }])
      .catch((error: unknown) => this.#fail(error));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #work(): void {
    if (this.#working !== undefined) return;
    this.#working = this.#fetchAll()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#working = undefined;
        if (this.#wanted > this.#fetched.length && this.#isDirty && this.#closed === undefined) this.#work();
      });
  }

  /** Until there is enough, or nothing more. */
  async #fetchAll(): Promise<void> {
    while (this.#isDirty && this.#closed === undefined) {
      const missing = this.#wanted - this.#fetched.length;
      if (missing <= 0) return;
      this.#isDirty = false;
      const count = await this.#claim(Math.min(missing, CLAIM_MAX));
      if (count > 0) {
        // There may be more than was asked for.
        this.#isDirty = true;
        this.#offer();
      } else if (this.#wanted > 0) {
        await this.#sleep();
      }
    }
  }

  #offer(): void {
    if (this.#wanted > 0) this.#init.hooks.readable();
    else if (this.#fetched.length > 0) this.#keep ??= setTimeout(() => this.#giveBack(), KEEP_MS);
  }

  /** Says that it sleeps, then looks once more: what comes after that finds it asleep. */
  async #sleep(): Promise<void> {
    const { backend, tend, seat } = this.#init;
    await tend(this.#othersHold);
    await backend.sleeps(seat);
    const count = await this.#claim(Math.min(Math.max(1, this.#wanted - this.#fetched.length), CLAIM_MAX));
    if (count > 0) {
      this.#isDirty = true;
      this.#offer();
    } else {
      await this.#setAlarm();
    }
  }

  /** For what comes without anybody telling: a delay that is over, a lease, a death. */
  async #setAlarm(): Promise<void> {
    const { backend, statements, seat } = this.#init;
    const [rows] = await backend.run([{ statement: statements.outlook, values: [seat] }]);
    const [dueMs, held] = rows?.[0] ?? [];
    this.#othersHold = Number(held ?? 0) > 0;
    if (this.#wanted === 0) return;
    const soon = dueMs === null || dueMs === undefined ? OUTLOOK_MS_MAX : Math.max(0, Number(dueMs)) + 1;
    clearTimeout(this.#alarm);
    const delayMs = Math.min(soon, this.#othersHold ? LOOK_MS : OUTLOOK_MS_MAX);
    this.#alarm = setTimeout(() => this.wake(), delayMs);
  }

  async #claim(max: number): Promise<number> {
    const { backend, statements, seat, leaseMs } = this.#init;
    const settling = this.#settlements.take();
    const steps = settling.steps(statements, seat);
    if (this.#mustForget) steps.push({ statement: statements.forget, values: [seat, [...this.#inHand]] });
    steps.push({ statement: statements.claim, values: [seat, max, leaseMs] });
    let rows: readonly SqlRow[];
    try {
      const results = await backend.run(steps);
      rows = results.at(-1) ?? [];
      this.#mustForget = false;
      this.#told(settling);
    } catch (error) {
      this.#mustForget = true;
      this.#notSettled(settling, error as Error);
      throw error;
    }
    // Nothing says in which order changed rows come back.
    const sorted = rows.toSorted((a, b) => Number(b[3]) - Number(a[3]) || Number(a[0]) - Number(b[0]));
    for (const row of sorted) this.#decode(row);
    return rows.length;
  }

  #decode(row: SqlRow): void {
    const [id, deliveries, message] = row;
    const bytes = message as Uint8Array;
    try {
      const envelope = this.#reader.decode(bytes, 0, bytes.length);
      this.#inHand.add(Number(id));
      this.#fetched.push({
        ...envelope,
        deliveries: Number(deliveries),
        receipt: false,
        token: Number(id),
      });
    } catch (error) {
      // Somebody wrote into the table who knows nothing of envelopes: it would fail for ever.
      this.#settlements.add(Number(id), 'reject', 0, undefined);
      this.#settleSoon ??= setImmediate(() => this.#settleNow());
      this.#init.lost('undecodable', 1, error as Error);
    }
  }

  #settleNow(): void {
    clearImmediate(this.#settleSoon);
    this.#settleSoon = undefined;
    const { backend, statements, seat } = this.#init;
    const settling = this.#settlements.take();
    const steps: Step[] = settling.steps(statements, seat);
    if (steps.length === 0) return;
    const running = backend.run(steps).then(
      () => this.#told(settling),
      (error: unknown) => {
        this.#notSettled(settling, error as Error);
        this.#fail(error);
      },
    );
    this.#settlements.running(running);
  }

  #notSettled(settling: ReturnType<Settlements['take']>, error: Error): void {
    this.#settlements.failed(settling, error);
    if (settling.isEmpty || this.#closed !== undefined) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#settleNow(), LOOK_MS).unref();
  }

  #told(settling: ReturnType<Settlements['take']>): void {
    settling.done();
    if (settling.isEmpty) return;
    this.#init.settled(settling.wentBack);
  }

  #giveBack(): void {
    clearTimeout(this.#keep);
    this.#keep = undefined;
    if (this.#wanted > 0) return;
    for (const { token } of this.#fetched) {
      this.#inHand.delete(token);
      this.#settlements.add(token, 'release', 0, undefined);
    }
    this.#fetched = [];
    this.#isDirty = true;
    this.#settleNow();
  }

  /** A call that was asked for in the background: the next one tries again. */
  #failed(error: unknown): void {
    this.#fail(error);
    if (this.#wanted === 0 || this.#closed !== undefined) return;
    clearTimeout(this.#alarm);
    this.#alarm = setTimeout(() => this.wake(), LOOK_MS);
  }

  #fail(error: unknown): void {
    // Of both the mailbox hears in another way.
    if (isNaruError(error, 'NARU_CLOSED') || isNaruError(error, 'NARU_DISCONNECTED')) return;
    if (this.#closed !== undefined) return;
    this.#init.hooks.event('error', { error: error as Error });
  }

  async #close(): Promise<void> {
    this.#wanted = 0;
    this.#init.hold(false);
    clearTimeout(this.#alarm);
    clearTimeout(this.#again);
    await this.#working;
    this.#giveBack();
    this.#settleNow();
    await this.#settlements.whenIdle();
    await this.#init.onClose();
  }
}
