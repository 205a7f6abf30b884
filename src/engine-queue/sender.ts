// The sending end. What offer() takes waits here until the transaction that inserts it is over; what comes meanwhile goes into the next
// one, so that many sends share one commit. Both are bounded.

import { isNaruError, NaruError } from '../errors/index.ts';
import type { DriverHooks, Outgoing, Sender } from '../mailbox/driver.ts';
import { namedSize } from '../wire/named-envelope.ts';
import type { Backend, NewRow, Room } from './backend.ts';
import { Parcel } from './parcel.ts';

/** Messages and bytes that may wait for their transaction. */
const PENDING_MAX = 1_024;
const PENDING_BYTES_MAX = 8_388_608;

export interface SenderInit {
  readonly backend: Backend;
  readonly hooks: DriverHooks;
  readonly identity: string;
  /** No message counts for more, whatever headers it has: a body as large as the mailbox must fit. */
  readonly capacityBytes: number;
  /** The room there is now; undefined: the mailbox has no limits. */
  readonly look: (() => Promise<Room>) | undefined;
  /** Says that this end sleeps until there is room. */
  readonly sleep: () => Promise<void>;
  /** Something was inserted, and so many older messages thrown out for it. */
  readonly placed: (dropped: number) => void;
  readonly lost: (count: number, error: Error) => void;
  /** Keeps the process alive. */
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => Promise<void>;
}

export class EngineSender implements Sender {
  readonly batch?: number;
  readonly #init: SenderInit;
  #pending = new Parcel();
  #flushing: Promise<void> | undefined;
  #scheduled: NodeJS.Immediate | undefined;
  /** As it was when somebody looked, less what was taken since. */
  #room: { messages: number; bytes: number } | undefined;
  /** What was taken, and what was given to the database, since this end was attached. */
  readonly #taken = { messages: 0, bytes: 0 };
  readonly #given = { messages: 0, bytes: 0 };
  #looking: Promise<void> | undefined;
  #nextLook: Promise<void> | undefined;
  /** offer() refused something, and its caller waits. */
  #isWaiting = false;
  /** Others took the room that was seen: what is pending waits for more of it, and everything else behind. */
  #isStuck = false;
  #closed: Promise<void> | undefined;

  constructor(init: SenderInit) {
    this.#init = init;
    if (init.backend.waitsForPut === true) this.batch = PENDING_MAX;
  }

  offer(batch: readonly Outgoing[], from: number): number {
    let at = from;
    for (; at < batch.length; at += 1) {
      const message = batch[at] as Outgoing;
      const size = namedSize(message, this.#init.identity);
      if (!this.#fits(Math.min(size, this.#init.capacityBytes))) break;
      this.#take(message, size);
    }
    this.#wait(at < batch.length);
    return at - from;
  }

  /** Waits until what was taken is in, and then for what the table itself says. */
  async poll(): Promise<void> {
    await this.#flushing;
    await this.#look().catch((error: unknown) => this.#fail(error));
  }

  /** Room may have come free. */
  wake(): void {
    const waits = this.#isStuck || (this.#isWaiting && this.#closed === undefined);
    if (waits && this.#flushing === undefined) void this.#lookAndSleep();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #fits(size: number): boolean {
    if (this.#isStuck) return false;
    const isBusy = this.#pending.rows.length > 0 && this.#pending.size + size > PENDING_BYTES_MAX;
    if (isBusy || this.#pending.rows.length >= PENDING_MAX) return false;
    if (this.#init.look === undefined) return true;
    const room = this.#room;
    return room !== undefined && room.messages >= 1 && room.bytes >= size;
  }

  #take(message: Outgoing, size: number): void {
    const { identity, capacityBytes } = this.#init;
    const counted = Math.min(size, capacityBytes);
    this.#pending.add(message, identity, size, counted);
    this.#taken.messages += 1;
    this.#taken.bytes += counted;
    if (this.#room !== undefined) {
      this.#room.messages -= 1;
      this.#room.bytes -= counted;
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#flushing !== undefined) return;
    this.#scheduled ??= setImmediate(() => this.#flush());
  }

  #flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const parcel = this.#pending;
    if (parcel.rows.length === 0 || this.#flushing !== undefined || this.#isStuck) return;
    this.#pending = new Parcel(parcel.bytes.byteLength);
    Object.assign(this.#given, this.#taken);
    this.#flushing = this.#insert(parcel)
      .then(() => undefined)
      .finally(() => this.#flushed());
  }

  #flushed(): void {
    this.#flushing = undefined;
    if (this.#pending.rows.length > 0) this.#flush();
    if (!this.#isWaiting && !this.#isStuck) return;
    if (this.#init.look === undefined) this.#init.hooks.writable();
    else void this.#lookAndSleep();
  }

  /**
   * @param behind  goes in later, and before everything else
   * @returns whether all of it is over; else what found no room is pending, and `behind` with it
   */
  async #insert(parcel: Parcel, behind?: Parcel): Promise<boolean> {
    const { backend, placed } = this.#init;
    const { rows } = parcel;
    const isDurable = rows.some(({ message }) => message.confirm === 'durable');
    try {
      const stored = await backend.put(parcel, isDurable);
      if (stored.placed < rows.length) this.#keep(parcel, stored.placed, behind);
      for (const { message } of rows.slice(0, stored.placed)) message.done?.();
      placed(stored.dropped);
      return stored.placed === rows.length;
    } catch (error) {
      if (rows.length > 1 && isNaruError(error, 'NARU_TOO_LARGE')) return this.#insertHalves(parcel, behind);
      this.#failed(rows, error as Error);
      return true;
    }
  }

  /** The engine takes no transaction of this size: one message may be to blame, and the others are not lost for it. */
  async #insertHalves(parcel: Parcel, behind?: Parcel): Promise<boolean> {
    const middle = parcel.rows.length >> 1;
    const [first, second, after] = [new Parcel(), new Parcel(), new Parcel()];
    first.addAll(parcel, 0, middle);
    second.addAll(parcel, middle);
    after.addAll(second);
    if (behind !== undefined) after.addAll(behind);
    return (await this.#insert(first, after)) && this.#insert(second, behind);
  }

  /** What found no room, from the nth, goes first when there is some. */
  #keep(parcel: Parcel, nth: number, behind?: Parcel): void {
    const kept = new Parcel();
    kept.addAll(parcel, nth);
    if (behind !== undefined) kept.addAll(behind);
    this.#given.messages -= kept.rows.length;
    this.#given.bytes -= kept.size;
    kept.addAll(this.#pending);
    this.#pending = kept;
    this.#isStuck = true;
    this.#init.hold(true);
  }

  #wait(isRefused: boolean): void {
    const isNew = isRefused && !this.#isWaiting;
    this.#isWaiting = isRefused;
    this.#init.hold(isRefused || this.#isStuck);
    if (
      isNew &&
      this.#init.look !== undefined &&
      this.#flushing === undefined &&
      this.#pending.rows.length === 0
    )
      void this.#lookAndSleep();
  }

  /** Says that it sleeps before it looks: what comes free after the look finds it asleep. */
  async #lookAndSleep(): Promise<void> {
    try {
      // The calls go out one behind the other.
      await Promise.all([this.#init.sleep(), this.#look()]);
      this.#goOn();
      if (this.#isWaiting && !this.#isStuck) this.#init.hooks.writable();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Whether there is room is seen by trying: the first of those that wait may fit where the sum of all does not. */
  #goOn(): void {
    const [first] = this.#pending.rows;
    if (!this.#isStuck || first === undefined) return;
    // Its own room was taken off already.
    if (
      (this.#room?.messages ?? 0) + this.#pending.rows.length < 1 ||
      (this.#room?.bytes ?? 0) + this.#pending.size < first.size
    )
      return;
    this.#isStuck = false;
    this.#init.hold(this.#isWaiting);
    this.#flush();
  }

  /** One that begins after this call: what another one under way is answered may be older than what the caller has heard. */
  #look(): Promise<void> {
    const { look } = this.#init;
    if (look === undefined) return Promise.resolve();
    if (this.#looking !== undefined) {
      this.#nextLook ??= this.#looking
        .catch(() => undefined)
        .then(() => {
          this.#nextLook = undefined;
          return this.#look();
        });
      return this.#nextLook;
    }
    this.#looking = this.#lookNow(look).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookNow(look: () => Promise<Room>): Promise<void> {
    // What is given to the database after this is not in what it counts.
    const given = { ...this.#given };
    const room = await look();
    this.#room = {
      messages: room.messages - (this.#taken.messages - given.messages),
      bytes: room.bytes - (this.#taken.bytes - given.bytes),
    };
  }

  #fail(error: unknown): void {
    if (isNaruError(error, 'NARU_DISCONNECTED')) return;
    if (this.#closed === undefined && !isNaruError(error, 'NARU_CLOSED'))
      this.#init.hooks.event('error', { error: error as Error });
  }

  /** What waits for room when its handle closes was never placed. */
  #loseStuck(): void {
    if (!this.#isStuck) return;
    this.#isStuck = false;
    const error = new NaruError('NARU_CLOSED', 'the handle was closed while its message waited for room');
    this.#failed(this.#pending.rows, error);
    this.#pending = new Parcel();
  }

  #failed(rows: readonly NewRow[], error: Error): void {
    for (const { message } of rows) message.done?.(error);
    const untold = rows.filter(({ message }) => message.done === undefined).length;
    if (untold > 0) this.#init.lost(untold, error);
  }

  async #close(): Promise<void> {
    this.#isWaiting = false;
    this.#init.hold(false);
    this.#loseStuck();
    while (this.#pending.rows.length > 0 || this.#flushing !== undefined) {
      this.#flush();
      await this.#flushing;
      this.#loseStuck();
    }
    await this.#init.onClose();
  }
}
