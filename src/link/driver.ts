// The driver of a mailbox that is reached over a link: one handle, going from session to session. It owns what outlives a
// connection (which ends are attached, what they want) and makes the next session when one is lost.

import { isNaruError, NaruError } from '../errors/index.ts';
import type { Capabilities } from '../mailbox/capabilities.ts';
import type {
  Delivery,
  Driver,
  DriverFacts,
  DriverHooks,
  Outcome,
  Outgoing,
  PlaceStats,
  Receiver,
  ReplyPort,
  Sender,
} from '../mailbox/driver.ts';
import { KeepAlive } from '../mailbox/keep-alive.ts';
import { Backoff } from './backoff.ts';
import { lateError } from './local-session.ts';
import { Hold } from './session.ts';
import type {
  ConsumerOptions,
  ConsumerSeat,
  Peers,
  ProducerSeat,
  Session,
  SessionEvents,
  SessionReplies,
} from './session.ts';
import type { MailboxSettings } from './settings.ts';

/** What a place gives for one handle. */
export interface LinkInit {
  readonly capabilities: Capabilities;
  readonly identity: string;
  /** The mailbox's URL, for errors. */
  readonly mailbox: string;
  readonly place: string;
  readonly hooks: DriverHooks;
  readonly consumer: ConsumerOptions;
  /** As DriverFacts. */
  readonly secrets?: Readonly<Record<string, unknown>>;
  /**
   * Makes a session, once, without trying again.
   * @param previous  what the mailbox was before its host was lost; undefined at the first time
   */
  readonly connect: (
    events: SessionEvents,
    signal: AbortSignal,
    previous: MailboxSettings | undefined,
  ) => Promise<Session>;
  /** A number from 0 to 1, for the backoff. */
  readonly random?: () => number;
}

/** Errors of an attempt to connect that another attempt may not meet. */
const PASSING: ReadonlySet<string> = new Set([
  'NARU_DISCONNECTED',
  'NARU_PEER_GONE',
  'NARU_NOT_FOUND',
  'NARU_LIMIT',
  'NARU_TIMEOUT',
]);

/** Opens the driver. @throws what `connect` throws the first time */
export async function openLink(init: LinkInit, signal: AbortSignal): Promise<Driver> {
  const driver = new LinkDriver(init);
  await driver.open(signal);
  return driver;
}

class LinkDriver implements Driver {
  readonly #init: LinkInit;
  readonly #alive = new KeepAlive();
  readonly #closing = new AbortController();
  #facts: DriverFacts | undefined;
  #session: Session | undefined;
  #sender: LinkSender | undefined;
  #receiver: LinkReceiver | undefined;
  #replies: LinkReplies | undefined;
  #settings: MailboxSettings | undefined;
  #host = '';
  #waiting: (() => void)[] = [];
  #closed: Promise<{ undelivered: number }> | undefined;
  #failed: NaruError | undefined;
  /** This handle has asked to remove the mailbox: that it goes is no failure, and the host's farewell may come with its answer. */
  #isUnlinking = false;
  #reconnecting = false;
  #returning: Promise<void> | undefined;

  constructor(init: LinkInit) {
    this.#init = init;
  }

  get facts(): DriverFacts {
    if (this.#facts === undefined) throw this.#disconnected();
    return this.#facts;
  }

  get peers(): Peers {
    return this.#session?.peers ?? { producers: 0, consumers: 0 };
  }

  async open(signal: AbortSignal): Promise<void> {
    const session = await this.#connect(signal);
    const { capabilities, identity, secrets } = this.#init;
    const { settings, address, created, offered, host } = session;
    this.#host = host;
    this.#facts = {
      capabilities,
      offered,
      maxMessageBytes: settings.maxMessageBytes,
      identity,
      address,
      deliver: settings.deliver,
      secrets,
      created,
    };
  }

  attachSender(): Promise<Sender> {
    return this.#attach(
      (session) => session.attachProducer(),
      (seat) => {
        this.#sender = new LinkSender(seat, this.#alive, () => {
          this.#sender = undefined;
        });
        return this.#sender;
      },
    );
  }

  attachReceiver(): Promise<Receiver> {
    return this.#attach(
      (session) => session.attachConsumer(this.#init.consumer),
      (seat) => {
        this.#receiver = new LinkReceiver(seat, this.#alive, this.#init, () => {
          this.#receiver = undefined;
        });
        return this.#receiver;
      },
    );
  }

  openReplies(): Promise<ReplyPort> {
    return this.#attach(
      (session) => session.openReplies(),
      (replies) => {
        this.#replies = new LinkReplies(replies, () => this.#disconnected());
        return this.#replies;
      },
    );
  }

  async stats(): Promise<PlaceStats> {
    return this.#current().stats();
  }

  async peek(max: number): Promise<Delivery[]> {
    return this.#current().peek(max);
  }

  async purge(): Promise<number> {
    return this.#current().purge();
  }

  async unlink(): Promise<void> {
    const session = this.#current();
    this.#isUnlinking = true;
    try {
      await session.unlink();
    } catch (error) {
      this.#isUnlinking = false;
      throw error;
    }
  }

  close(flushMs?: number): Promise<{ undelivered: number }> {
    this.#closed ??= this.#close(flushMs);
    return this.#closed;
  }

  async #close(flushMs: number | undefined): Promise<{ undelivered: number }> {
    this.#closing.abort();
    const session = this.#session;
    await Promise.all([this.#receiver?.close(), this.#sender?.close()]);
    this.#alive.end();
    this.#session = undefined;
    this.#wake();
    // Nothing of an attempt that is under way may be left.
    await this.#returning;
    return session === undefined ? { undelivered: 0 } : session.close(flushMs);
  }

  /** Takes a seat, also through a reconnection. */
  async #attach<S, E>(take: (session: Session) => Promise<S>, made: (seat: S) => E): Promise<E> {
    for (;;) {
      const session = await this.#whenConnected();
      try {
        const seat = await take(session);
        if (session === this.#session) return made(seat);
      } catch (error) {
        if (session === this.#session || this.#closing.signal.aborted) throw error;
      }
    }
  }

  async #whenConnected(): Promise<Session> {
    while (this.#session === undefined) {
      if (this.#failed !== undefined) throw this.#failed;
      if (this.#closing.signal.aborted) throw this.#disconnected();
      this.#alive.hold(Hold.request, true);
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
      this.#alive.hold(Hold.request, false);
    }
    return this.#session;
  }

  #current(): Session {
    if (this.#failed !== undefined) throw this.#failed;
    if (this.#session === undefined) throw this.#disconnected();
    return this.#session;
  }

  async #connect(signal: AbortSignal): Promise<Session> {
    const { hooks, connect } = this.#init;
    let session: Session | undefined;
    let lost: [NaruError, boolean] | undefined;
    const events: SessionEvents = {
      readable: () => hooks.readable(),
      writable: () => {
        this.#alive.hold(Hold.offer, false);
        hooks.writable();
      },
      peers: () => hooks.peers(),
      reply: (delivery) => hooks.reply(delivery),
      event: (type, detail) => hooks.event(type, detail),
      lost: (error, final) => {
        if (session === undefined) lost = [error, final];
        else this.#onLost(session, error, final);
      },
    };
    session = await connect(events, signal, this.#settings);
    if (lost !== undefined) throw lost[0];
    this.#session = session;
    this.#settings = session.settings;
    return session;
  }

  #onLost(session: Session, error: NaruError, final: boolean): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    this.#sender?.lose();
    this.#receiver?.lose();
    this.#replies?.lose();
    // While a reconnection is under way it sees for itself that this session did not last.
    if (this.#closing.signal.aborted || this.#failed !== undefined) return;
    if (final) this.#fail(error);
    else if (!this.#reconnecting) {
      this.#init.hooks.event('disconnect', { reason: error.message });
      this.#returning = this.#reconnect();
    }
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff(this.#init.random);
    const lostHost = this.#host;
    this.#reconnecting = true;
    while (this.#failed === undefined) {
      await backoff.wait(signal, false);
      if (signal.aborted) return;
      let session: Session | undefined;
      try {
        session = await this.#connect(signal);
        await this.#takeSeats(session, session.host === lostHost);
        if (this.#session !== session) continue;
      } catch (error) {
        if (session !== undefined && this.#session === session) this.#session = undefined;
        await session?.close();
        if (signal.aborted) return;
        if (isNaruError(error) && PASSING.has(error.code)) continue;
        this.#fail(isNaruError(error) ? error : this.#disconnected(error));
        return;
      }
      this.#reconnecting = false;
      this.#host = session.host;
      this.#init.hooks.event('reconnect', { attempts: backoff.attempts });
      this.#wake();
      this.#init.hooks.peers();
      this.#init.hooks.writable();
      this.#init.hooks.readable();
      return;
    }
  }

  async #takeSeats(session: Session, isSameHost: boolean): Promise<void> {
    // A topic that lives on replays nothing to a subscriber who has had it.
    const { consumer } = this.#init;
    const from = { ...consumer, isBack: true, ...(isSameHost ? { from: 'now' as const } : {}) };
    if (this.#sender !== undefined) this.#sender.find(await session.attachProducer());
    if (this.#receiver !== undefined) this.#receiver.find(await session.attachConsumer(from));
    if (this.#replies !== undefined) this.#replies.find(await session.openReplies());
  }

  #fail(error: NaruError): void {
    this.#failed = error;
    this.#alive.end();
    this.#wake();
    if (!this.#isUnlinking) this.#init.hooks.failed(error);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #disconnected(cause?: unknown): NaruError {
    const { mailbox, place } = this.#init;
    return new NaruError(
      'NARU_DISCONNECTED',
      `${mailbox}: there is no connection to the host at the moment`,
      {
        place,
        mailbox,
        cause,
      },
    );
  }
}

/** The sending end of a handle, over all its sessions. */
class LinkSender implements Sender {
  readonly #alive: KeepAlive;
  readonly #onClose: () => void;
  #seat: ProducerSeat | undefined;
  #closed = false;

  constructor(seat: ProducerSeat, alive: KeepAlive, onClose: () => void) {
    this.#seat = seat;
    this.#alive = alive;
    this.#onClose = onClose;
  }

  offer(batch: readonly Outgoing[], from: number): number {
    const taken = this.#seat?.offer(batch, from) ?? 0;
    if (from + taken < batch.length) this.#alive.hold(Hold.offer, true);
    else if (batch.length === 0) this.#alive.hold(Hold.offer, false);
    return taken;
  }

  async poll(message: Outgoing): Promise<void> {
    await this.#seat?.poll(message);
  }

  async end(): Promise<void> {
    await this.#seat?.end();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#alive.hold(Hold.offer, false);
    this.#onClose();
    await this.#seat?.close();
  }

  lose(): void {
    this.#seat = undefined;
  }

  find(seat: ProducerSeat): void {
    this.#seat = seat;
  }
}

/** The receiving end of a handle, over all its sessions. */
class LinkReceiver implements Receiver {
  readonly #alive: KeepAlive;
  readonly #at: LinkInit;
  readonly #onClose: () => void;
  #seat: ConsumerSeat | undefined;
  #wanted = 0;
  #closed = false;
  #hasEnded = false;

  constructor(seat: ConsumerSeat, alive: KeepAlive, at: LinkInit, onClose: () => void) {
    this.#seat = seat;
    this.#alive = alive;
    this.#at = at;
    this.#onClose = onClose;
  }

  /** What has ended stays so, also when its host is gone. */
  get ended(): boolean {
    return this.#seat?.ended ?? this.#hasEnded;
  }

  take(max: number, out: Delivery[]): number {
    return this.#seat?.take(max, out) ?? 0;
  }

  want(count: number): void {
    if (this.#closed) return;
    this.#wanted = count;
    this.#alive.hold(Hold.want, count > 0);
    this.#seat?.want(count);
  }

  async poll(): Promise<void> {
    await this.#seat?.poll();
  }

  settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: (error?: Error) => void): void {
    if (this.#seat !== undefined) this.#seat.settle(delivery, outcome, delayMs, done);
    else if (done !== undefined) process.nextTick(done, lateError(this.#at));
  }

  ackAll(deliveries: readonly Delivery[]): void {
    this.#seat?.ackAll(deliveries);
  }

  received(delivery: Delivery): void {
    this.#seat?.received(delivery);
  }

  extend(delivery: Delivery, ms: number): void {
    this.#seat?.extend(delivery, ms);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#alive.hold(Hold.want, false);
    this.#onClose();
    await this.#seat?.close();
  }

  lose(): void {
    this.#hasEnded = this.ended;
    this.#seat = undefined;
  }

  find(seat: ConsumerSeat): void {
    this.#seat = seat;
    if (this.#wanted > 0) seat.want(this.#wanted);
  }
}

/** Where answers arrive; the address is another one after each reconnection. */
class LinkReplies implements ReplyPort {
  readonly #disconnected: () => NaruError;
  #replies: SessionReplies | undefined;
  #address: string;

  constructor(replies: SessionReplies, disconnected: () => NaruError) {
    this.#replies = replies;
    this.#address = replies.address;
    this.#disconnected = disconnected;
  }

  get address(): string {
    return this.#address;
  }

  async send(replyTo: string, message: Outgoing): Promise<void> {
    if (this.#replies === undefined) throw this.#disconnected();
    await this.#replies.send(replyTo, message);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  lose(): void {
    this.#replies = undefined;
  }

  find(replies: SessionReplies): void {
    this.#replies = replies;
    this.#address = replies.address;
  }
}
