// The receiving end. It takes from the engine what somebody asked for and no more; what nobody wanted in the end goes back. Settling is
// collected for a turn of the event loop, and goes with the next taking in one transaction.

import { isNaruError } from '../errors/index.ts';
import type { Delivery, DriverHooks, Outcome, Receiver } from '../mailbox/driver.ts';
import { NamedReader } from '../wire/named-envelope.ts';
import type { Backend, Outlook, Taken, TakenRow } from './backend.ts';
import { type Batch, Settlements } from './settlements.ts';

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
  readonly seat: number;
  readonly leaseMs: number;
  /** Frees what the dead hold. */
  readonly reap: () => Promise<void>;
  readonly expired: (count: number) => void;
  /** Messages went back, or went for good. */
  readonly settled: (wentBack: boolean) => void;
  readonly lost: (reason: string, count: number, error: Error) => void;
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => Promise<void>;
}

export class EngineReceiver implements Receiver {
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
  #mustLookForDead = false;
  #settleSoon: NodeJS.Immediate | undefined;
  #keep: NodeJS.Timeout | undefined;
  #alarm: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  /** The engine refused: whatever it tells meanwhile, the next attempt is that of the alarm. */
  #isPausing = false;
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
      // What comes by time alone is looked for when somebody wants something again.
      if (this.#alarm !== undefined) this.#isDirty = true;
      clearTimeout(this.#alarm);
      this.#alarm = undefined;
      this.#isPausing = false;
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
      await this.#claim(Math.min(this.#asked, POLL_MAX), false);
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
    this.#settleInTime();
  }

  ackAll(deliveries: readonly Delivery[]): void {
    for (const { token } of deliveries) {
      this.#inHand.delete(token);
      this.#settlements.add(token, 'ack', 0, undefined);
    }
    this.#settleInTime();
  }

  received(): void {
    // Nobody waits for it: the place has no receipts.
  }

  extend(delivery: Delivery, ms: number): void {
    const { backend, seat } = this.#init;
    backend.extend(seat, delivery.token, ms).catch((error: unknown) => this.#fail(error));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #work(): void {
    if (this.#working !== undefined || this.#isPausing) return;
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
      if (this.#mustLookForDead) await this.#lookForDead();
      const { rows, outlook } = await this.#claim(Math.min(missing, CLAIM_MAX), this.#wanted > 0);
      if (rows.length > 0) {
        // There may be more than was asked for.
        this.#isDirty = true;
        this.#offer();
      } else if (outlook !== undefined) {
        this.#setAlarm(outlook);
      } else {
        // Whoever wants something next has to look for itself: nobody tells an end that does not sleep.
        this.#isDirty = true;
        return;
      }
    }
  }

  #offer(): void {
    if (this.#wanted > 0) this.#init.hooks.readable();
    else if (this.#fetched.length > 0) this.#keep ??= setTimeout(() => this.#giveBack(), KEEP_MS);
  }

  async #lookForDead(): Promise<void> {
    this.#mustLookForDead = false;
    await this.#init.reap();
  }

  /** For what comes without anybody telling: a delay that is over, a lease, a death. */
  #setAlarm({ dueMs, othersHold }: Outlook): void {
    if (this.#wanted === 0) {
      this.#isDirty = true;
      return;
    }
    const soon = dueMs === undefined ? OUTLOOK_MS_MAX : Math.max(0, dueMs) + 1;
    clearTimeout(this.#alarm);
    const look = (): void => {
      this.#mustLookForDead = othersHold;
      this.wake();
    };
    this.#alarm = setTimeout(look, Math.min(soon, othersHold ? LOOK_MS : OUTLOOK_MS_MAX));
  }

  async #claim(max: number, sleeps: boolean): Promise<Taken> {
    const { backend, seat, leaseMs } = this.#init;
    const settling = this.#settlements.take();
    const known = this.#mustForget ? [...this.#inHand] : undefined;
    let taken: Taken;
    try {
      taken = await backend.take({ seat, max, leaseMs, settling, known, sleeps });
      if (known !== undefined) this.#mustForget = false;
      this.#told(settling);
    } catch (error) {
      this.#mustForget = true;
      this.#notSettled(settling, error as Error);
      throw error;
    }
    if (taken.expired > 0) this.#init.expired(taken.expired);
    for (const row of taken.rows) this.#decode(row);
    return taken;
  }

  #decode({ id, deliveries, message }: TakenRow): void {
    try {
      const envelope = this.#reader.decode(message, 0, message.length);
      this.#inHand.add(id);
      const { body, sender, sequence, time, fields } = envelope;
      this.#fetched.push({ body, sender, sequence, time, fields, deliveries, receipt: false, token: id });
    } catch (error) {
      // Somebody wrote into the table who knows nothing of envelopes: it would fail for ever.
      this.#settlements.add(id, 'reject', 0, undefined);
      this.#settleInTime();
      this.#init.lost('undecodable', 1, error as Error);
    }
  }

  /** Whoever takes more does so at the end of a turn, or in the next one: these go with that taking, or alone in the turn behind. */
  #settleInTime(): void {
    this.#settleSoon ??= setImmediate(() => {
      this.#settleSoon = setImmediate(() => this.#settleNow());
    });
  }

  #settleNow(): void {
    clearImmediate(this.#settleSoon);
    this.#settleSoon = undefined;
    const { backend, seat } = this.#init;
    const settling = this.#settlements.take();
    if (settling.isEmpty) return;
    const running = backend.settle(seat, settling).then(
      () => this.#told(settling),
      (error: unknown) => {
        this.#notSettled(settling, error as Error);
        this.#fail(error);
      },
    );
    this.#settlements.running(running);
  }

  #notSettled(settling: Batch, error: Error): void {
    this.#settlements.failed(settling, error);
    if (settling.isEmpty || this.#closed !== undefined) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#settleNow(), LOOK_MS).unref();
  }

  #told(settling: Batch): void {
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
    this.#isPausing = !isOfConnection(error);
    this.#alarm = setTimeout(() => {
      this.#isPausing = false;
      this.wake();
    }, LOOK_MS);
  }

  #fail(error: unknown): void {
    // Of these the mailbox hears in another way, and what was taken without an answer goes back.
    if (isOfConnection(error) || this.#closed !== undefined) return;
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

/** The connection broke, or is over: there is news when it is back. */
function isOfConnection(error: unknown): boolean {
  const codes = ['NARU_CLOSED', 'NARU_DISCONNECTED', 'NARU_OUTCOME_UNKNOWN'];
  return isNaruError(error) && codes.includes(error.code);
}
