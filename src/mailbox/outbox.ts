// The sending half of a handle: order among sends and claims, and waiting for room. Knows envelopes, not data: encoding is in
// outgoing.ts, what a claim is in claim.ts, what to do without room or consumers in policies.ts.

import { NaruError } from '../errors/index.ts';
import type { Confirm } from './capabilities.ts';
import type { Driver, Outgoing, Sender } from './driver.ts';
import type { EventHub } from './events.ts';
import { Policies, type PolicySettings } from './policies.ts';
import { Seat } from './seat.ts';
import { timeoutError, watchLimits, type WaitLimits } from './waiting.ts';

const RANK: Readonly<Record<Confirm, number>> = { accepted: 0, placed: 1, durable: 2, received: 3 };

/** Whether level `a` says more than level `b`. */
export function exceeds(a: Confirm, b: Confirm): boolean {
  return RANK[a] > RANK[b];
}

const NOTHING: readonly Outgoing[] = [];

/** How the outbox of one handle behaves. */
export interface OutboxSettings extends PolicySettings {
  readonly maxWaiting: number;
}

/** What one call wants to send. */
interface Attempt {
  /** Messages in all. */
  readonly count: number;
  /** How many of them were taken. */
  from: number;
  /** Goes on where it stands. @returns how many were taken */
  readonly offer: (sender: Sender, from: number) => number;
  /** It wants room for a message that is yet to be written. */
  readonly isClaim: boolean;
}

/** A call that waits for room, in its turn. */
interface WaitingSend extends Attempt {
  readonly taken: () => void;
  readonly failed: (error: unknown) => void;
}

/** A claim, as far as the order of sends goes. */
export interface ClaimSlot {
  /** Asks the place for room. @returns false when there is none */
  open(sender: Sender): boolean;
  /** A policy says that its message is to be dropped: there is room without the place. */
  openToDrop(reason: string): void;
  /** It is open, and its seat or its handle goes. */
  end(error: Error): void;
}

/** What became of an attempt to send without waiting. */
export type Offered = 'taken' | 'full' | 'dropped' | 'ask';

export class Outbox {
  readonly #settings: OutboxSettings;
  readonly #policies: Policies;
  readonly #single: Outgoing[] = [];
  readonly #seat: Seat<Sender>;
  #waiting: WaitingSend[] = [];
  #waitingMessages = 0;
  /** The open claim: everything else of this handle waits behind it, or its message could not keep its place. */
  #claim: ClaimSlot | undefined;
  #flushing = false;
  #flushAgain = false;
  #idle: (() => void)[] = [];
  #closed: Error | undefined;
  sent = 0;

  constructor(driver: Driver, events: EventHub, settings: OutboxSettings) {
    this.#seat = new Seat(() => driver.attachSender(), 'producer', settings.mailbox);
    this.#policies = new Policies(driver, events, settings);
    this.#settings = settings;
  }

  get waitingMessages(): number {
    return this.#waitingMessages;
  }

  /** Being full ends a send, rather than making it wait. */
  get endsWhenFull(): boolean {
    return this.#policies.full === 'fail' || this.dropsNewest;
  }

  /** A message that finds no room is dropped and counted. */
  get dropsNewest(): boolean {
    return this.#policies.full === 'drop-newest';
  }

  get dropped(): Readonly<Record<string, number>> {
    return this.#policies.dropped;
  }

  get hasClaim(): boolean {
    return this.#claim !== undefined;
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
    this.#withdraw();
    const sender = await this.#seat.leave();
    if (sender === undefined) return;
    this.#rejectAll(this.#disconnected());
    this.#endClaim(this.#disconnected());
    await sender.close();
  }

  /**
   * One message, without waiting, behind those that wait already. Needs an attached sender.
   * @param mayAsk  where only the place knows whether there is room, and the answer matters: `ask` (sender.poll) before giving up
   */
  offerOne(sender: Sender, message: Outgoing, mayAsk = false): Offered {
    // Not full: the claim's message goes first, whatever the policy for a full mailbox.
    if (this.#claim !== undefined) return 'full';
    if (this.#waitingMessages > 0) return this.#policies.noRoom(this.#waitingMessages);
    const presence = this.#policies.presence();
    if (presence === 'drop') return this.#policies.drop('nobody');
    if (presence === 'wait') return 'full';
    this.#single[0] = message;
    if (sender.offer(this.#single, 0) === 1) {
      this.sent += 1;
      return 'taken';
    }
    if (mayAsk && sender.poll !== undefined) return 'ask';
    this.#giveUp(sender);
    return this.#policies.noRoom(this.#waitingMessages);
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
    if (this.#isFirst && !this.#policies.mustWaitForSomebody()) {
      from = sender.offer(batch, 0);
      this.sent += from;
      if (from === batch.length) return undefined;
    }
    if (limits.timeoutMs === 0 && sender.poll !== undefined && this.#isFirst) {
      return this.#askOnce(sender, batch, from, limits, onPartial);
    }
    return this.#wait(attemptOf(batch, from), limits, onPartial);
  }

  /**
   * Opens a claim if there is room now and nothing waits before it.
   * @throws NARU_FULL, NARU_NO_CONSUMER  as the policies say
   */
  tryClaim(sender: Sender, claim: ClaimSlot): boolean {
    if (this.#claim !== undefined || this.#policies.presence() !== 'present') return false;
    if (this.#isFirst && this.#open(sender, claim)) return true;
    this.#giveUp(sender);
    this.#policies.failIfFull(this.#waitingMessages);
    return false;
  }

  /**
   * Opens a claim, waiting for room as long as the limits allow.
   *
   * @returns undefined when it is open at once, else a promise of it
   * @throws NARU_TIMEOUT, NARU_FULL, NARU_NO_CONSUMER, NARU_OVERLOADED, the signal's reason
   */
  claim(sender: Sender, claim: ClaimSlot, limits: WaitLimits): Promise<void> | undefined {
    if (this.#claim === undefined) {
      const presence = this.#policies.presence();
      if (presence === 'present') {
        if (this.#isFirst && this.#open(sender, claim)) return undefined;
        this.#policies.failIfFull(this.#waitingMessages);
        if (this.dropsNewest) return this.#openToDrop(sender, claim, 'full');
      }
      if (presence === 'drop') return this.#openToDrop(sender, claim, 'nobody');
    }
    const offer = (end: Sender): number => (this.#open(end, claim) ? 1 : 0);
    return this.#wait({ count: 1, from: 0, offer, isClaim: true }, limits, () => undefined);
  }

  /** The open claim was committed or aborted: what waits behind it goes on. */
  letGo(outcome: 'sent' | 'aborted' | { readonly dropped: string }): void {
    this.#claim = undefined;
    if (outcome === 'sent') this.sent += 1;
    else if (outcome !== 'aborted') this.#policies.drop(outcome.dropped);
    if (this.#waiting.length > 0) this.flush();
    else if (this.#idle.length > 0) this.#tellIdle();
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
      if (this.#claim !== undefined) return;
      const taken = this.#offerWaiting(sender, head);
      if (taken < 0) continue;
      head.from += taken;
      // A claim counts when it is committed.
      if (!head.isClaim) this.sent += taken;
      this.#waitingMessages -= taken;
      if (head.from < head.count) {
        this.#policies.tellFull(this.#waitingMessages);
        return;
      }
      this.#remove(head);
      head.taken();
    }
    this.#policies.roomAgain();
  }

  /** Rejects everything that waits and everything that comes; aborts the open claim. @returns messages that were still waiting */
  close(error: Error): number {
    this.#withdraw();
    let left = 0;
    for (const { isClaim, count, from } of this.#waiting) if (!isClaim) left += count - from;
    this.#closed = error;
    this.#rejectAll(error);
    this.#endClaim(error);
    return left;
  }

  /** Resolves when no send waits and no claim is open any more. */
  whenIdle(): Promise<void> {
    if (this.#waiting.length === 0 && this.#claim === undefined) return Promise.resolve();
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
    if (this.#isFirst && !this.#policies.mustWaitForSomebody()) taken = sender.offer(batch, from);
    this.sent += taken;
    if (from + taken < batch.length) await this.#wait(attemptOf(batch, from + taken), limits, onPartial);
  }

  #wait(attempt: Attempt, limits: WaitLimits, onPartial: (taken: number) => void): Promise<void> {
    const { mailbox, maxWaiting } = this.#settings;
    const { count, from } = attempt;
    // The seat may have been given back while the caller was taking it.
    if (this.#seat.end === undefined) {
      onPartial(from);
      return Promise.reject(this.#disconnected());
    }
    if (limits.timeoutMs === 0) {
      onPartial(from);
      this.#giveUp(this.#seat.end);
      const what =
        this.#claim === undefined ? 'there was no room' : 'the open claim of this handle did not end';
      return Promise.reject(timeoutError(what, 0, mailbox));
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
        ...attempt,
        taken: () => {
          stop();
          resolve();
        },
        failed: (error) => {
          stop();
          if (this.#waiting[0] === entry) this.#withdraw();
          // Too late to fail: it was taken.
          if (entry.from === entry.count) return;
          this.#waitingMessages -= entry.count - entry.from;
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
      this.#waitingMessages += count - from;
      if (this.#claim === undefined) this.#policies.tellFull(this.#waitingMessages);
    });
  }

  /** A send that turns out to be impossible while it waits fails alone. @returns how many were taken; -1 = it failed */
  #offerWaiting(sender: Sender, entry: WaitingSend): number {
    try {
      return this.#policies.mustWaitForSomebody() ? 0 : entry.offer(sender, entry.from);
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

  /** The first that waits gives up; where its next message has gone in all the same, it was taken (R16). */
  #withdraw(): void {
    const head = this.#waiting[0];
    if (head === undefined || head.isClaim || this.#seat.end?.withdraw?.() !== true) return;
    head.from += 1;
    this.sent += 1;
    this.#waitingMessages -= 1;
    if (head.from < head.count) return;
    this.#remove(head);
    head.taken();
    if (this.#waiting.length > 0) queueMicrotask(() => this.flush());
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
    if (this.#waiting.length === 0 && this.#claim === undefined) this.#tellIdle();
  }

  #tellIdle(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const listener of idle) listener();
  }

  /** Nothing of this handle comes before what comes now. */
  get #isFirst(): boolean {
    return this.#waitingMessages === 0 && this.#claim === undefined;
  }

  #open(sender: Sender, claim: ClaimSlot): boolean {
    if (!claim.open(sender)) return false;
    this.#claim = claim;
    this.#policies.roomAgain();
    return true;
  }

  #openToDrop(sender: Sender, claim: ClaimSlot, reason: string): undefined {
    this.#giveUp(sender);
    claim.openToDrop(reason);
    this.#claim = claim;
  }

  #endClaim(error: Error): void {
    const claim = this.#claim;
    if (claim === undefined) return;
    this.#claim = undefined;
    claim.end(error);
    this.#tellIdle();
  }
}

/** A batch of which `from` messages were taken already. */
function attemptOf(batch: readonly Outgoing[], from: number): Attempt {
  return { count: batch.length, from, offer: (sender, next) => sender.offer(batch, next), isClaim: false };
}
