// The receiving end: joins the group when somebody waits, leaves it when nobody does, reads ahead within bounds, and moves the group's
// offsets over what is settled. A message that is nacked stays here and is given again.

import { isNaruError, type NaruError } from '../../errors/index.ts';
import type { Delivery, DriverHooks, Outcome, Receiver } from '../../mailbox/driver.ts';
import { Backlog } from './backlog.ts';
import type { ConsumerEvents, InRecord, KafkaConsumer, Range } from './client.ts';
import { Commits } from './commits.ts';
import { goneElsewhere, heldUp } from './failures.ts';
import { GROUP, HELD } from './limits.ts';
import { RecordReader } from './record.ts';
import { Entry, Window } from './window.ts';

/** How long a look for what is there may take, in milliseconds. */
const POLL_MS = 3_000;

/** Where a partition is to be read from. */
export interface Place extends Range {
  readonly at: number;
  /** Nobody remembers it: neither the group nor this handle. */
  readonly isNew: boolean;
}

export interface ReceiverInit {
  readonly hooks: DriverHooks;
  readonly text: string;
  /** Whether the group's offsets are moved; without a group nobody remembers them. */
  readonly commits: boolean;
  /** Joins. */
  readonly join: (events: ConsumerEvents, signal: AbortSignal) => Promise<KafkaConsumer>;
  /** Where to begin with partitions that are new here. */
  readonly positions: (partitions: readonly number[]) => Promise<ReadonlyMap<number, Place>>;
  /** Reading of partitions has begun where `positions` said. */
  readonly began: (partitions: readonly number[]) => void;
  readonly ranges: () => Promise<readonly Range[]>;
  readonly trouble: (error: unknown) => void;
  readonly worked: () => void;
  readonly lost: (reason: string, count: number, error: Error) => void;
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => void;
}

export class KafkaReceiver implements Receiver, ConsumerEvents {
  readonly ended = false;
  readonly #init: ReceiverInit;
  readonly #reader = new RecordReader();
  readonly #backlog = new Backlog();
  readonly #windows = new Map<number, Window>();
  readonly #commits: Commits;
  #unsettled = 0;
  #wanted = 0;
  #consumer: KafkaConsumer | undefined;
  #joining: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** When messages were asked for last, by performance.now(). */
  #asked = 0;
  #due: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  /** Those who wait until there is room for more, and those who wait for anything to come. */
  #room: (() => void)[] = [];
  #arrivals: (() => void)[] = [];
  readonly #ending = new AbortController();
  /** Since when the group has not answered, by performance.now(). */
  #waitsSince: number | undefined;
  #closed: Promise<void> | undefined;

  constructor(init: ReceiverInit) {
    this.#init = init;
    this.#commits = new Commits({
      text: init.text,
      commit: async (positions) => {
        if (this.#consumer === undefined) throw new Error('it has left the group');
        await this.#consumer.commit(positions);
        init.worked();
      },
      trouble: init.trouble,
    });
  }

  /** Messages handed out and not settled. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** Where it stands in each partition that it reads. */
  get positions(): ReadonlyMap<number, number> {
    return new Map(Array.from(this.#windows.values(), (window) => [window.partition, window.position]));
  }

  /** Why it is not in the group yet, when that takes long. */
  late(): NaruError | undefined {
    const waitedMs = performance.now() - (this.#waitsSince ?? Number.POSITIVE_INFINITY);
    return waitedMs > GROUP.lateMs ? heldUp(this.#init.text, waitedMs) : undefined;
  }

  /** Joins for the first time. @throws what the broker says */
  async start(): Promise<void> {
    await this.#join();
    // Where a new group begins, it begins also when this consumer is gone before anything was settled.
    await this.#commits.whenIdle();
    this.#restLater();
  }

  take(max: number, out: Delivery[]): number {
    if (this.#closed !== undefined) return 0;
    const now = performance.now();
    let count = 0;
    for (; count < max; count += 1) {
      const entry = this.#backlog.take(now);
      if (entry === undefined) break;
      out.push(entry);
    }
    this.#unsettled += count;
    this.#asked = now;
    if (count > 0) this.#makeRoom();
    if (count < max) this.#watchDue(now);
    return count;
  }

  want(count: number): void {
    if (this.#closed !== undefined) return;
    this.#wanted = count;
    this.#init.hold(count > 0);
    if (count === 0) {
      this.#restLater();
      return;
    }
    this.#rouse();
    if (this.#backlog.hasSome(performance.now())) this.#init.hooks.readable();
  }

  async poll(): Promise<void> {
    this.#asked = performance.now();
    const deadline = performance.now() + POLL_MS;
    try {
      await this.#join();
      const ranges = await this.#init.ranges();
      const isBehind = (): boolean =>
        Array.from(this.#windows.values()).some(
          ({ partition, next }) => next < (ranges[partition]?.high ?? 0),
        );
      while (this.#closed === undefined && isBehind() && performance.now() < deadline) {
        if (this.#backlog.hasSome(performance.now())) break;
        await this.#arrival(deadline);
      }
    } catch (error) {
      this.#init.trouble(error);
    }
    this.#restLater();
  }

  settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: (error?: Error) => void): void {
    const entry = this.#settled(delivery);
    if (entry === undefined || entry.window.isLost) done?.(goneElsewhere(this.#init.text));
    else if (outcome === 'ack' || outcome === 'reject') this.#commits.add(this.#finish(entry), done);
    else this.#giveBack(entry, outcome === 'release', delayMs, done);
    this.#restLater();
  }

  ackAll(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      const entry = this.#settled(delivery);
      if (entry !== undefined && !entry.window.isLost) this.#commits.add(this.#finish(entry), undefined);
    }
    this.#restLater();
  }

  received(): void {
    // Nobody waits for it: the place has no receipts.
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  joining(): void {
    this.#waitsSince ??= performance.now();
  }

  async assigned(partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    this.#waitsSince = undefined;
    const found = await this.#init.positions(partitions);
    for (const [partition, window] of this.#windows) {
      const place = found.get(partition);
      if (place === undefined || hasMoved(window, place)) this.#forget(window);
    }
    for (const [partition, { at, isNew }] of found) {
      if (this.#windows.has(partition)) continue;
      const window = new Window(partition, at);
      this.#windows.set(partition, window);
      // A new group begins here, also when this consumer dies before it has settled anything.
      if (isNew && this.#init.commits) this.#commits.add(window, undefined);
    }
    this.#init.began(partitions);
    this.#init.worked();
    return new Map(Array.from(this.#windows.values(), ({ partition, next }) => [partition, next]));
  }

  records(partition: number, records: readonly InRecord[]): Promise<void> | undefined {
    const window = this.#windows.get(partition);
    if (window === undefined || this.#closed !== undefined) return undefined;
    for (const record of records) if (record.offset >= window.next) this.#add(window, record);
    this.#init.worked();
    for (const arrived of this.#arrivals.splice(0)) arrived();
    if (this.#wanted > 0) this.#init.hooks.readable();
    if (this.#hasRoom(window)) return undefined;
    return new Promise((resolve) => {
      const look = (): void => {
        if (window.isLost || this.#closed !== undefined || this.#hasRoom(window)) resolve();
        else this.#room.push(look);
      };
      this.#room.push(look);
    });
  }

  trouble(error: unknown): void {
    this.#init.trouble(error);
  }

  /** What take() gave and nobody has settled yet. */
  #settled(delivery: Delivery): Entry | undefined {
    if (!(delivery instanceof Entry) || delivery.state !== 'handed') return undefined;
    this.#unsettled -= 1;
    return delivery;
  }

  #add(window: Window, record: InRecord): void {
    try {
      this.#backlog.add(window.add(record.offset, this.#reader.read(record, window.partition)));
    } catch (error) {
      // Somebody wrote it who only thinks to know envelopes: it would fail for ever.
      const entry = window.add(record.offset, {
        body: new Uint8Array(0),
        sender: '',
        sequence: 0,
        time: 0,
        fields: undefined,
      });
      window.finish(entry);
      this.#commits.add(window, undefined);
      this.#init.lost('undecodable', 1, error as Error);
    }
  }

  #hasRoom(window: Window): boolean {
    const { readAheadMax, readAheadBytesMax, windowMax } = HELD;
    const { count, bytes } = this.#backlog;
    return count < readAheadMax && bytes < readAheadBytesMax && window.length < windowMax;
  }

  #makeRoom(): void {
    if (this.#room.length === 0) return;
    for (const look of this.#room.splice(0)) look();
  }

  /** @returns the window when its position moved */
  #finish(entry: Entry): Window | undefined {
    this.#backlog.done(entry);
    const isFurther = entry.window.finish(entry);
    this.#makeRoom();
    if (this.#wanted > 0 && this.#backlog.hasSome(performance.now())) this.#init.hooks.readable();
    return isFurther && this.#init.commits ? entry.window : undefined;
  }

  #giveBack(entry: Entry, isRelease: boolean, delayMs: number, done?: (error?: Error) => void): void {
    const again = entry.window.renew(entry);
    if (isRelease) again.deliveries -= 1;
    this.#backlog.putBack(again, delayMs > 0 ? performance.now() + delayMs : 0);
    done?.();
    if (this.#wanted === 0) return;
    if (delayMs > 0) this.#watchDue(performance.now());
    else this.#init.hooks.readable();
  }

  /** Tells when what has to wait is due. */
  #watchDue(now: number): void {
    const due = this.#backlog.nextDue();
    if (due === undefined || due <= now) return;
    clearTimeout(this.#due);
    this.#due = setTimeout(
      () => {
        if (this.#wanted > 0) this.#init.hooks.readable();
      },
      due - now + 1,
    ).unref();
  }

  /** Joins in the background. */
  #rouse(): void {
    if (this.#consumer !== undefined || this.#joining !== undefined || this.#again !== undefined) return;
    this.#join().catch((error: unknown) => {
      this.#init.trouble(error);
      this.#again = setTimeout(() => {
        this.#again = undefined;
        if (this.#wanted > 0 && this.#closed === undefined) this.#rouse();
      }, GROUP.heartbeatMs).unref();
    });
  }

  async #join(): Promise<void> {
    await this.#leaving;
    if (this.#consumer !== undefined) return;
    this.#joining ??= this.#joinNow().finally(() => {
      this.#joining = undefined;
    });
    await this.#joining;
  }

  async #joinNow(): Promise<void> {
    try {
      this.#consumer = await this.#init.join(this, this.#ending.signal);
    } catch (error) {
      const late = this.late();
      this.#waitsSince = undefined;
      throw late ?? error;
    }
    this.#commits.flush();
  }

  /** Nobody asks for anything, nothing is in hand, and nobody waits to hear that the group has moved. */
  get #isIdle(): boolean {
    return (
      this.#wanted === 0 && this.#unsettled === 0 && !this.#commits.isAwaited && this.#closed === undefined
    );
  }

  /** While it is idle others may have its partitions: after a while. The timer of before goes on: to set one for each message costs. */
  #restLater(): void {
    if (this.#wanted > 0 || this.#unsettled > 0 || this.#closed !== undefined) return;
    this.#idle ??= setTimeout(() => {
      this.#idle = undefined;
      const isLong = performance.now() - this.#asked >= GROUP.idleMs;
      if (isLong && this.#isIdle) void this.#leave();
      else this.#restLater();
    }, GROUP.idleMs).unref();
  }

  #leave(): Promise<void> {
    this.#leaving ??= this.#leaveNow().finally(() => {
      this.#leaving = undefined;
      if (this.#wanted > 0) this.#rouse();
    });
    return this.#leaving;
  }

  async #leaveNow(): Promise<void> {
    await this.#joining?.catch(() => undefined);
    await this.#commits.whenIdle();
    const consumer = this.#consumer;
    this.#consumer = undefined;
    await consumer?.close().catch(() => undefined);
    // Without a group its place is known here alone.
    if (this.#init.commits || this.#closed !== undefined)
      for (const window of Array.from(this.#windows.values())) this.#forget(window);
  }

  #forget(window: Window): void {
    window.isLost = true;
    this.#windows.delete(window.partition);
    this.#commits.forget(window);
    this.#backlog.drop(window);
    this.#makeRoom();
  }

  #arrival(deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, deadline - performance.now()));
      this.#arrivals.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async #close(): Promise<void> {
    this.#wanted = 0;
    this.#ending.abort();
    this.#init.hold(false);
    for (const timer of [this.#idle, this.#due, this.#again]) clearTimeout(timer);
    this.#makeRoom();
    await this.#leaving;
    await this.#leaveNow().catch((error: unknown) => {
      if (!isNaruError(error)) throw error;
    });
    this.#commits.close();
    this.#init.onClose();
  }
}

/** Another consumer had the partition meanwhile and went on, or what is to come next is not there any more. */
function hasMoved(window: Window, { at, isNew, low, high }: Place): boolean {
  return (!isNew && at > window.position) || window.next < low || window.next > high;
}
