// The receiving end. Credit is what the server may send: whoever wants one message gives credit for one, a stream for what may be fetched
// ahead. What nobody wanted in the end goes back, and so does what is behind a message that goes back.

import { Demand } from '../../client/demand.ts';
import { tooLate } from '../../client/too-late.ts';
import type { NaruError } from '../../errors/index.ts';
import type { Delivery, DriverHooks, Outcome, Receiver } from '../../mailbox/driver.ts';
import type { ActivemqConnection, Settlement } from './client.ts';
import { CONDITION } from './failures.ts';
import { decodeMessage } from './message.ts';
import type { RheaContext, RheaDelivery, RheaReceiver } from './protocol.ts';

/** How long what nobody wants is kept before it goes back, in milliseconds: an aborted receive is often followed by another. */
const KEEP_MS = 5;
/** How long until a link that the server ended is made again. */
const AGAIN_MS = 300;
const POLL_MAX = 256;
/** How long until credit is asked for again, in milliseconds: Artemis forgets a question that comes while it is done with the one before. */
const DRAIN_MS = 50;

export interface ReceiverInit {
  readonly hooks: DriverHooks;
  readonly text: string;
  /** How many messages may be fetched ahead. */
  readonly prefetch: number;
  /** Makes the link. */
  readonly attach: (connection: ActivemqConnection) => Promise<RheaReceiver>;
  /** The link is left, and what it stood for stays. */
  readonly isLasting: boolean;
  /** The mailbox was removed. */
  readonly removed: () => void;
  readonly trouble: (error: unknown) => void;
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => void;
}

interface GoingBack {
  readonly token: number;
  readonly done: ((error?: Error) => void) | undefined;
}

export class ActivemqReceiver implements Receiver {
  readonly ended = false;
  readonly #init: ReceiverInit;
  readonly #demand: Demand;
  #connection: ActivemqConnection | undefined;
  #link: RheaReceiver | undefined;
  /** Everything that is not settled, by token. */
  readonly #open = new Map<number, RheaDelivery>();
  readonly #delayed = new Map<number, NodeJS.Timeout>();
  #token = 0;
  #fetched: Delivery[] = [];
  #asked = 1;
  #keep: NodeJS.Timeout | undefined;
  #draining: Promise<void> | undefined;
  #drained: (() => void) | undefined;
  #goingBack: GoingBack[] = [];
  #returning: Promise<void> | undefined;
  /** Something went back since the link was made. */
  #gaveBack = false;
  #renewing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(init: ReceiverInit) {
    this.#init = init;
    this.#demand = new Demand(init.hold);
  }

  /** Begins on a connection. What came over the one before is void: the server gives it to somebody again. */
  async start(connection: ActivemqConnection): Promise<void> {
    this.lost();
    const link = await this.#init.attach(connection);
    this.#connection = connection;
    this.#link = link;
    this.#gaveBack = false;
    link.on('message', (context: RheaContext) => this.#arrived(connection, link, context));
    link.on('receiver_drained', () => {
      if (link !== this.#link) return;
      if (this.#drained === undefined) this.#work();
      else this.#drained();
    });
    link.once('receiver_close', () => this.#ended(connection, link));
    this.#work();
  }

  /** The connection is lost: nothing of it counts any more. */
  lost(): void {
    this.#link = undefined;
    this.#connection = undefined;
    this.#open.clear();
    this.#fetched = [];
    for (const timer of this.#delayed.values()) clearTimeout(timer);
    this.#delayed.clear();
    const goingBack = this.#goingBack;
    this.#goingBack = [];
    for (const { done } of goingBack) done?.(this.#tooLate());
    this.#drained?.();
  }

  take(max: number, out: Delivery[]): number {
    if (this.#closed !== undefined || this.#returning !== undefined) return 0;
    this.#asked = max;
    const fetched = this.#fetched;
    const count = Math.min(max, fetched.length);
    for (let i = 0; i < count; i += 1) out.push(fetched[i] as Delivery);
    this.#fetched = count === fetched.length ? [] : fetched.slice(count);
    this.#demand.taken(count);
    return count;
  }

  want(count: number): void {
    if (this.#closed !== undefined) return;
    this.#demand.want(count);
    if (count === 0) {
      this.#rest();
      return;
    }
    clearTimeout(this.#keep);
    this.#keep = undefined;
    this.#work();
  }

  async poll(): Promise<void> {
    await this.#demand.polling(async () => {
      await this.#renewing;
      await this.#returning;
      await this.#draining;
      const most = Math.min(this.#asked, POLL_MAX) - this.#fetched.length;
      const credit = this.#link?.credit ?? 0;
      if (most > credit) this.#link?.add_credit(most - credit);
      await this.#drain();
    });
    if (this.#demand.wanted === 0) this.#rest();
    else this.#work();
  }

  settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: (error?: Error) => void): void {
    const tell = done === undefined ? undefined : this.#awaited(done);
    const { token } = delivery;
    if (!this.#open.has(token) || this.#delayed.has(token)) {
      if (tell !== undefined) setImmediate(() => tell(this.#tooLate()));
      return;
    }
    if (outcome === 'ack') this.#finish(token, 'accepted', tell);
    else if (outcome === 'reject') this.#finish(token, 'rejected', tell);
    else if (outcome === 'release') this.#finish(token, 'released', tell);
    else if (delayMs > 0) this.#requeueLater(token, delayMs, tell);
    else this.#goBack({ token, done: tell });
  }

  ackAll(deliveries: readonly Delivery[]): void {
    for (const { token } of deliveries) this.#finish(token, 'accepted');
  }

  received(): void {
    // Nobody waits for it: the place has no receipts.
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #arrived(connection: ActivemqConnection, link: RheaReceiver, { delivery, message }: RheaContext): void {
    if (delivery === undefined || message === undefined) return;
    // rhea has room for so many from the oldest that is not settled on; this end counts what is open itself.
    delivery.settled = true;
    if (link !== this.#link) return;
    this.#token += 1;
    this.#open.set(this.#token, delivery);
    this.#fetched.push(decodeMessage(connection.library.message, message, this.#token));
    if (link.credit === 0) this.#drained?.();
    if (this.#returning !== undefined) return;
    if (this.#demand.wanted > 0) this.#init.hooks.readable();
    else this.#rest();
  }

  /** The server ended the link. */
  #ended(connection: ActivemqConnection, link: RheaReceiver): void {
    if (link !== this.#link) return;
    // Whoever closes may wait for the rest of a link that gives nothing any more.
    this.lost();
    if (this.#closed !== undefined) return;
    if (link.error?.condition === CONDITION.deleted) this.#init.removed();
    else if (!connection.isOver) setTimeout(() => void this.#again(connection), AGAIN_MS);
  }

  async #again(connection: ActivemqConnection): Promise<void> {
    if (connection.isOver || this.#closed !== undefined || this.#link !== undefined) return;
    try {
      await this.start(connection);
    } catch (error) {
      this.#init.trouble(error);
      setTimeout(() => void this.#again(connection), AGAIN_MS).unref();
    }
  }

  /** Gives the server credit for what is wanted. */
  #work(): void {
    const link = this.#link;
    if (link === undefined || this.#draining !== undefined || this.#returning !== undefined) return;
    if (this.#demand.wanted === 0 || this.#closed !== undefined) return;
    const has = this.#fetched.length + link.credit;
    const ahead = this.#ahead();
    if (has < this.#demand.wanted || has <= ahead / 2) link.add_credit(ahead - has);
    if (this.#fetched.length > 0) this.#init.hooks.readable();
  }

  /** How many may be on their way for whoever wants so many. */
  #ahead(): number {
    const { prefetch } = this.#init;
    return this.#demand.isBulk ? Math.max(this.#demand.wanted, prefetch) : this.#demand.ahead(prefetch);
  }

  /** Takes back the credit. Comes when nothing more is on its way. */
  #drain(): Promise<void> {
    if (this.#draining !== undefined) return this.#draining;
    const link = this.#link;
    if (link === undefined || link.credit === 0) return Promise.resolve();
    this.#draining = new Promise<void>((resolve) => {
      const again = setInterval(() => link.drain_credit(), DRAIN_MS).unref();
      const over = (): void => {
        clearInterval(again);
        // rhea would ask for it again with each credit.
        link.drain = false;
        this.#draining = undefined;
        this.#drained = undefined;
        resolve();
        this.#work();
      };
      this.#drained = over;
      link.drain_credit();
    });
    return this.#draining;
  }

  /** Nobody wants anything now: in a moment the credit is taken back, and what came goes back. */
  #rest(): void {
    if (this.#closed !== undefined || this.#demand.isAsked) return;
    this.#keep ??= setTimeout(() => void this.#lapse(), KEEP_MS).unref();
  }

  async #lapse(): Promise<void> {
    this.#keep = undefined;
    if (this.#demand.isAsked) return;
    this.#demand.rested();
    await this.#drain();
    if (this.#demand.isAsked) return;
    this.#giveBack();
    this.#renew();
  }

  /**
   * Classic keeps what was given back for the link that had it: while nothing of it is in hand, it is made anew for the sake of others. Who is
   * still to hear that something went back may ask for it next, and finds it marked on the same link.
   */
  #renew(): void {
    const connection = this.#connection;
    const link = this.#link;
    if (connection === undefined || link === undefined || connection.server.isArtemis) return;
    if (!this.#gaveBack || this.#open.size > 0 || this.#demand.settling > 0 || this.#closed !== undefined)
      return;
    this.#link = undefined;
    this.#renewing = connection
      .leave(link, !this.#init.isLasting)
      .then(() => this.#again(connection))
      .finally(() => {
        this.#renewing = undefined;
      });
  }

  #giveBack(): void {
    const fetched = this.#fetched;
    this.#fetched = [];
    for (const { token } of fetched) this.#finish(token, 'released');
  }

  /** What goes back must not be overtaken by what came after it: that goes back as well, once nothing more is on its way. */
  #goBack(going: GoingBack): void {
    this.#goingBack.push(going);
    if (this.#returning !== undefined) return;
    const link = this.#link;
    if (this.#draining === undefined && link?.credit === 0) return this.#returnAll();
    this.#returning = this.#drain().finally(() => {
      this.#returning = undefined;
      this.#returnAll();
    });
  }

  #returnAll(): void {
    const goingBack = this.#goingBack;
    this.#goingBack = [];
    for (const { token, done } of goingBack) this.#finish(token, 'failed', done);
    this.#giveBack();
    this.#work();
  }

  /** It stays in hand until then: a server has no such thing. */
  #requeueLater(token: number, delayMs: number, done: ((error?: Error) => void) | undefined): void {
    const timer = setTimeout(() => {
      this.#delayed.delete(token);
      this.#goBack({ token, done: undefined });
    }, delayMs).unref();
    this.#delayed.set(token, timer);
    if (done !== undefined) setImmediate(done);
  }

  /** @param done  called when the server has it: it gives no answer to what is said of a message, but to a question behind it */
  #finish(token: number, what: Settlement, done?: (error?: Error) => void): void {
    const delivery = this.#open.get(token);
    const connection = this.#connection;
    if (delivery === undefined || connection === undefined) {
      if (done !== undefined) setImmediate(() => done(this.#tooLate()));
      return;
    }
    this.#open.delete(token);
    if (what === 'released' || what === 'failed') this.#gaveBack = true;
    connection.settle(delivery, what);
    if (done !== undefined) void this.#tell(connection, done);
  }

  async #tell(connection: ActivemqConnection, done: (error?: Error) => void): Promise<void> {
    let failure: Error | undefined;
    try {
      await connection.barrier();
    } catch (error) {
      failure = connection.isOver ? this.#tooLate() : (error as Error);
    }
    done(failure);
  }

  /** Who has heard that something went back, and wants nothing more, may have left it marked for this link alone. */
  #awaited(done: (error?: Error) => void): (error?: Error) => void {
    return this.#demand.awaited((error) => {
      done(error);
      if (this.#gaveBack && this.#demand.settling === 0 && this.#demand.wanted === 0) this.#rest();
    });
  }

  #tooLate(): NaruError {
    return tooLate('activemq', this.#init.text);
  }

  async #close(): Promise<void> {
    this.#demand.want(0);
    clearTimeout(this.#keep);
    await this.#renewing;
    await this.#returning;
    await this.#drain();
    this.#giveBack();
    for (const timer of this.#delayed.values()) clearTimeout(timer);
    this.#delayed.clear();
    for (const token of this.#open.keys()) this.#finish(token, 'failed');
    const link = this.#link;
    this.#link = undefined;
    await this.#connection?.leave(link, !this.#init.isLasting);
    this.#init.onClose();
  }
}
