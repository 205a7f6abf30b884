// The sending half of a handle: order among waiting sends, what to do when there is no room or nobody there, and waiting
// for a receipt. Knows envelopes, not data: encoding is in mailbox.ts.

import { NaruError } from '../errors/index.ts';
import type { Confirm } from './capabilities.ts';
import type { Driver, Outgoing, Sender } from './driver.ts';
import type { EventHub } from './events.ts';
import type { FullPolicy, NobodyPolicy } from './options.ts';
import { Seat } from './seat.ts';
import { timeoutError, watchLimits, type WaitLimits } from './waiting.ts';

const RANK: Readonly<Record<Confirm, number>> = { accepted: 0, placed: 1, durable: 2, received: 3 };

/** Whether level `a` says more than level `b`. */
export function exceeds(a: Confirm, b: Confirm): boolean {
  return RANK[a] > RANK[b];
}

const NOTHING: readonly Outgoing[] = [];

/** How the outbox of one handle behaves. */
export interface OutboxSettings {
  readonly mailbox: string;
  readonly full: FullPolicy;
  readonly nobody: NobodyPolicy;
  readonly maxWaiting: number;
}

/** Messages of one call that wait for room, in order. */
interface WaitingSend {
  readonly batch: readonly Outgoing[];
  from: number;
  readonly taken: () => void;
  readonly failed: (error: unknown) => void;
}

/** What became of an attempt to send without waiting. */
export type Offered = 'taken' | 'full' | 'dropped' | 'ask';

export class Outbox {
  readonly #driver: Driver;
  readonly #events: EventHub;
  readonly #settings: OutboxSettings;
  readonly #dropped: Record<string, number> = {};
  readonly #single: Outgoing[] = [];
  readonly #seat: Seat<Sender>;
  #waiting: WaitingSend[] = [];
  #waitingMessages = 0;
  #toldFull = false;
  #flushing = false;
  #flushAgain = false;
  #idle: (() => void)[] = [];
  #closed: Error | undefined;
  sent = 0;

  constructor(driver: Driver, events: EventHub, settings: OutboxSettings) {
    this.#driver = driver;
    this.#seat = new Seat(() => driver.attachSender(), 'producer', settings.mailbox);
    this.#events = events;
    this.#settings = settings;
  }

  get waitingMessages(): number {
    return this.#waitingMessages;
  }

  /** Being full ends a send, rather than making it wait. */
  get endsWhenFull(): boolean {
    return this.#settings.full === 'fail' || this.#settings.full === 'drop-newest';
  }

  /** A message that finds no room is dropped and counted. */
  get dropsNewest(): boolean {
    return this.#settings.full === 'drop-newest';
  }

  get dropped(): Readonly<Record<string, number>> {
    return this.#dropped;
  }

  /** The attached end, for synchronous use. @throws NARU_INVALID_ARGUMENT when there is none yet */
  get attached(): Sender | undefined {
    return this.#seat.end;
  }

  /** Takes the producer's seat. Idempotent. */
  attach(limits: WaitLimits = {}): Promise<Sender> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return this.#seat.take(limits);
  }

  /** Gives the seat back; waiting sends of this handle fail. */
  async detach(): Promise<void> {
    const sender = await this.#seat.leave();
    if (sender === undefined) return;
    this.#rejectAll(this.#disconnected());
    await sender.close();
  }

  /**
   * One message, without waiting, behind those that wait already. Needs an attached sender.
   * @param mayAsk  where only the place knows whether there is room, and the answer matters: `ask` (sender.poll) before giving up
   */
  offerOne(sender: Sender, message: Outgoing, mayAsk = false): Offered {
    if (this.#waitingMessages > 0) return this.#noRoom();
    const absent = this.#nobody();
    if (absent !== 'present') return absent;
    this.#single[0] = message;
    if (sender.offer(this.#single, 0) === 1) {
      this.sent += 1;
      return 'taken';
    }
    if (mayAsk && sender.poll !== undefined) return 'ask';
    this.#giveUp(sender);
    return this.#noRoom();
  }

  /**
   * Sends a batch, waiting for room as long as the limits allow.
   *
   * @returns undefined when everything was taken at once, else a promise of it
   * @throws NARU_TIMEOUT, NARU_OVERLOADED, the signal's reason; `onPartial` has heard how many were taken
   */
  sendBatch(
    sender: Sender,
    batch: readonly Outgoing[],
    limits: WaitLimits,
    onPartial: (taken: number) => void,
  ): Promise<void> | undefined {
    let from = 0;
    if (this.#waitingMessages === 0 && !this.#mustWaitForSomebody()) {
      from = sender.offer(batch, 0);
      this.sent += from;
      if (from === batch.length) return undefined;
    }
    if (limits.timeoutMs === 0 && sender.poll !== undefined && this.#waitingMessages === 0) {
      return this.#askOnce(sender, batch, from, limits, onPartial);
    }
    return this.#wait(batch, from, limits, onPartial);
  }

  /** The driver says there may be room, or a consumer came. It may say so from inside offer(): then once more, afterwards. */
  flush(): void {
    const sender = this.#seat.end;
    this.#flushAgain = true;
    if (sender === undefined || this.#flushing) return;
    this.#flushing = true;
    while (this.#flushAgain) {
      this.#flushAgain = false;
      this.#flushOnce(sender);
    }
    this.#flushing = false;
  }

  #flushOnce(sender: Sender): void {
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      const taken = this.#offerWaiting(sender, head);
      if (taken < 0) continue;
      head.from += taken;
      this.sent += taken;
      this.#waitingMessages -= taken;
      if (head.from < head.batch.length) return;
      this.#remove(head);
      head.taken();
    }
    this.#toldFull = false;
  }

  /** Rejects everything that waits and everything that comes. @returns messages that were still waiting */
  close(error: Error): number {
    const left = this.#waitingMessages;
    this.#closed = error;
    this.#rejectAll(error);
    return left;
  }

  /** Resolves when no send waits any more. */
  whenIdle(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  async #askOnce(
    sender: Sender,
    batch: readonly Outgoing[],
    from: number,
    limits: WaitLimits,
    onPartial: (taken: number) => void,
  ): Promise<void> {
    await sender.poll?.(batch[from] as Outgoing);
    let taken = 0;
    if (this.#waitingMessages === 0 && !this.#mustWaitForSomebody()) taken = sender.offer(batch, from);
    this.sent += taken;
    if (from + taken < batch.length) await this.#wait(batch, from + taken, limits, onPartial);
  }

  #wait(
    batch: readonly Outgoing[],
    from: number,
    limits: WaitLimits,
    onPartial: (taken: number) => void,
  ): Promise<void> {
    const { mailbox, maxWaiting } = this.#settings;
    const left = batch.length - from;
    // The seat may have been given back while the caller was taking it.
    if (this.#seat.end === undefined) {
      onPartial(from);
      return Promise.reject(this.#disconnected());
    }
    if (limits.timeoutMs === 0) {
      onPartial(from);
      this.#giveUp(this.#seat.end);
      return Promise.reject(timeoutError('there was no room', 0, mailbox));
    }
    if (this.#waitingMessages + 1 > maxWaiting) {
      onPartial(from);
      return Promise.reject(
        new NaruError(
          'NARU_OVERLOADED',
          `${mailbox}: ${this.#waitingMessages} messages wait for room already, the limit is maxWaiting ${maxWaiting}; await each send`,
          { mailbox },
        ),
      );
    }
    return new Promise<void>((resolve, reject) => {
      let stop = (): void => undefined;
      const entry: WaitingSend = {
        batch,
        from,
        taken: () => {
          stop();
          resolve();
        },
        failed: (error) => {
          stop();
          this.#waitingMessages -= entry.batch.length - entry.from;
          this.#remove(entry);
          onPartial(entry.from);
          reject(error);
          // What waited behind it may fit where it did not.
          if (this.#waiting.length > 0) this.flush();
          else this.#giveUp(this.#seat.end);
        },
      };
      if (limits.signal !== undefined || limits.timeoutMs !== undefined) {
        stop = watchLimits(limits, 'no room came free', mailbox, entry.failed);
      }
      this.#waiting.push(entry);
      this.#waitingMessages += left;
      this.#tellFull();
    });
  }

  /** A send that turns out to be impossible while it waits fails alone. @returns how many were taken; -1 = it failed */
  #offerWaiting(sender: Sender, entry: WaitingSend): number {
    try {
      return this.#mustWaitForSomebody() ? 0 : sender.offer(entry.batch, entry.from);
    } catch (error) {
      entry.failed(error);
      return -1;
    }
  }

  #rejectAll(error: Error): void {
    const all = this.#waiting;
    this.#waiting = [];
    for (const entry of all) entry.failed(error);
  }

  /** Nobody waits for room any more: the driver need not call for it, nor keep the process for it (R3). */
  #giveUp(sender: Sender | undefined): void {
    if (sender === undefined || this.#waiting.length > 0) return;
    try {
      sender.offer(NOTHING, 0);
    } catch {
      // Closed or gone: then it waits for nothing either.
    }
  }

  #disconnected(): NaruError {
    return new NaruError('NARU_CLOSED', `${this.#settings.mailbox}: the producer was disconnected`);
  }

  #remove(entry: WaitingSend): void {
    const index = this.#waiting.indexOf(entry);
    if (index >= 0) this.#waiting.splice(index, 1);
    if (this.#waiting.length > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const listener of idle) listener();
  }

  #nobody(): 'present' | 'full' | 'dropped' {
    const { nobody, mailbox } = this.#settings;
    if (nobody === 'keep' || this.#driver.peers.consumers > 0) return 'present';
    if (nobody === 'wait') return 'full';
    if (nobody === 'fail') {
      throw new NaruError('NARU_NO_CONSUMER', `${mailbox}: nobody is there to receive (nobody: "fail")`, {
        mailbox,
      });
    }
    if (this.#driver.facts.deliver === 'all') return 'present';
    this.#drop('nobody');
    return 'dropped';
  }

  #mustWaitForSomebody(): boolean {
    return this.#settings.nobody !== 'keep' && this.#nobody() === 'full';
  }

  #noRoom(): Offered {
    const { full, mailbox } = this.#settings;
    if (full === 'fail') {
      this.#tellFull();
      throw new NaruError('NARU_FULL', `${mailbox}: the mailbox is full (full: "fail")`, { mailbox });
    }
    if (full === 'drop-newest') {
      this.#drop('full');
      return 'dropped';
    }
    return 'full';
  }

  #drop(reason: string): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
    this.#events.emit('drop', { reason, count: 1 });
  }

  #tellFull(): void {
    if (this.#toldFull) return;
    this.#toldFull = true;
    this.#events.emit('full', { waitingSends: this.#waitingMessages });
  }
}
