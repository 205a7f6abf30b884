// Mailbox: the class every user holds. It joins the halves (outbox, intake), encoding and decoding, requests, consumers and the life of
// the handle. Everything that can be told apart lives in the files it imports.

import { inspect } from 'node:util';
import { NaruError } from '../errors/index.ts';
import type { Capabilities, Feature } from './capabilities.ts';
import type { Claim, Claims } from './claim.ts';
import type { BlockingCalls } from './blocking-calls.ts';
import { closeHandle, type Ending, failHandle } from './closing.ts';
import type { Consumption, ConsumeOptions, Handler } from './consume.ts';
import type { Consumers } from './consumers.ts';
import { DEFAULTS } from './defaults.ts';
import type { Delivery, Driver } from './driver.ts';
import type { EventHub, MailboxEvents } from './events.ts';
import type { HookRelay } from './hooks.ts';
import type { Incoming } from './incoming.ts';
import type { Intake } from './intake.ts';
import { BatchIterator, MessageIterator, type IterationSource } from './iterate.ts';
import type { Needs, SendOptions } from './lacks.ts';
import { Life } from './life.ts';
import type { Message } from './message.ts';
import { type Encoder, unsupported } from './outgoing.ts';
import type { Outbox } from './outbox.ts';
import { assemble } from './parts.ts';
import type { Stated } from './parse-url.ts';
import type { Receipt, SendManyResult } from './receipt.ts';
import type { Receiving } from './receiving.ts';
import { PeerWaits, type ReadyOptions } from './ready.ts';
import type { Requests } from './requests.ts';
import type { Sending } from './sending.ts';
import type { CloseOptions, CloseResult, MailboxSetup } from './setup.ts';
import type { SharedHandle } from './shared-handle.ts';
import { sharedMailbox } from './shared-mailbox.ts';
import { addCounters, type MailboxStats } from './stats.ts';
import type { MessageView, Views } from './view.ts';
import { atMost, checkLimits, type WaitLimits } from './waiting.ts';

/**
 * A mailbox: producers send, consumers receive.
 *
 * `In` is what may be sent, `Out` what is received, `Has` the features the place is known to have at compile time.
 */
export class Mailbox<In = unknown, Out = In, Has extends Feature = Feature> implements AsyncDisposable {
  /**
   * structuredClone() and postMessage() would make an empty object of a handle: this own property makes them throw. One getter for
   * all: with a getter each, V8 would keep the fields of every handle after the first in a dictionary, which is slow.
   */
  static readonly #cloneTrap: PropertyDescriptor & ThisType<Mailbox> = {
    enumerable: true,
    get(): never {
      return this.#refuseClone();
    },
  };
  readonly #driver: Driver;
  readonly #stated: Stated;
  readonly #text: string;
  readonly #events: EventHub;
  readonly #encoder: Encoder;
  readonly #outbox: Outbox;
  readonly #intake: Intake;
  readonly #incoming: Incoming<Out>;
  readonly #requests: Requests<Out>;
  readonly #consumers: Consumers<Out>;
  readonly #sending: Sending;
  readonly #receiving: Receiving<Out>;
  readonly #blocking: BlockingCalls<Out>;
  readonly #claims: Claims;
  readonly #views: Views;
  readonly #isAuto: boolean;
  readonly #life: Life;
  readonly #peerWaits: PeerWaits;
  readonly #ending: Ending;

  /** @internal Use `open()`. */
  constructor(setup: MailboxSetup) {
    this.#driver = setup.driver;
    this.#stated = setup.stated;
    this.#text = setup.text;
    const life = new Life(setup.text);
    this.#life = life;
    this.#peerWaits = new PeerWaits(setup.driver, setup.text, () => life.end);
    const parts = assemble<Out>(setup, life);
    this.#ending = { ...parts, life, driver: setup.driver, peerWaits: this.#peerWaits };
    this.#events = parts.events;
    this.#encoder = parts.encoder;
    this.#outbox = parts.outbox;
    this.#intake = parts.intake;
    this.#incoming = parts.incoming;
    this.#requests = parts.requests;
    this.#consumers = parts.consumers;
    this.#sending = parts.sending;
    this.#receiving = parts.receiving;
    this.#blocking = parts.blocking;
    this.#claims = parts.claims;
    this.#views = parts.views;
    this.#isAuto = parts.isAuto;
    this.#bind(setup.hooks);
    Object.defineProperty(this, 'handle', Mailbox.#cloneTrap);
  }

  /** What the place can do. */
  get capabilities(): Capabilities {
    return this.#driver.facts.capabilities;
  }

  /** A URL that a worker thread or another process can open to reach this mailbox. Pass this, never the handle. */
  get address(): string {
    return this.#driver.facts.address;
  }

  /** This handle's identity, which its messages carry as `sender`. */
  get identity(): string {
    return this.#driver.facts.identity;
  }

  /** Largest body in bytes that this mailbox takes: what it was created with, or the place's limit. */
  get maxMessageBytes(): number {
    return this.#driver.facts.maxMessageBytes;
  }

  /** True when this `open()` created the mailbox. */
  get created(): boolean {
    return this.#driver.facts.created;
  }

  /** Last known numbers of attached producers and consumers, of all processes. */
  get peers(): { readonly producers: number; readonly consumers: number } {
    return this.#driver.peers;
  }

  /**
   * Sends one message, waiting while the mailbox is full.
   *
   * @returns how far the message got
   * @throws NARU_TIMEOUT, NARU_FULL, NARU_OVERLOADED  there was no room; the message was not sent
   * @throws NARU_TOO_LARGE, NARU_INVALID_MESSAGE, NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED  it cannot be sent like this
   * @throws NARU_NO_CONSUMER, NARU_CLOSED, NARU_PEER_GONE, NARU_LIMIT
   * @throws NARU_OUTCOME_UNKNOWN  it was sent and its receipt did not come (in time)
   */
  send(data: In, options?: SendOptions<Has>): Promise<Receipt> {
    try {
      this.#life.checkOpen();
      checkLimits(options, this.#text);
      const checked = this.#encoder.check(data);
      const sender = this.#outbox.attached;
      if (sender === undefined || checked instanceof Promise) {
        return this.#sending.sendLater(checked, options as SendOptions | undefined);
      }
      return this.#sending.send(sender, checked, options as SendOptions | undefined);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Sends one message if there is room now. Never waits.
   *
   * @returns false when the mailbox is full (or, with a drop policy, when the message was dropped and counted)
   * @throws as `send()`; NARU_INVALID_ARGUMENT when the handle has no producer's seat yet: open it with role "producer", or
   *   await `connect('producer')` or any `send()` first
   */
  trySend(...args: Needs<'trySync', Has, [data: In, options?: SendOptions<Has>]>): boolean {
    const sender = this.#attached(this.#outbox.attached, 'producer', 'trySync', 'trySend()');
    // Indexed, not destructured: that would walk an iterator for each message.
    const given = args as readonly unknown[];
    return this.#sending.offer(
      sender,
      this.#sending.encodeSync(given[0], given[1] as SendOptions | undefined),
    );
  }

  /**
   * Sends one message, blocking the thread while the mailbox is full. For worker threads and simple programs.
   *
   * @throws as `trySend()`; NARU_TIMEOUT; NARU_INTERRUPTED when a signal with a handler arrived
   */
  sendSync(...args: Needs<'waitSync', Has, [data: In, options?: SendOptions<Has>]>): void {
    const [data, options] = args as readonly unknown[] as [In, SendOptions | undefined];
    const sender = this.#attached(this.#outbox.attached, 'producer', 'waitSync', 'sendSync()');
    this.#blocking.send(sender, data, options);
  }

  /**
   * Room for a message of `sizeBytes` bytes that is written in place, waiting while the mailbox is full: fill `claim.data`, then
   * `claim.commit()`. The body is what was written, without codec and schema. Until the claim ends, the handle's other sends and
   * claims wait behind it.
   *
   * @param options  as those of `send()`, but no receipt can be waited for
   * @throws NARU_TIMEOUT, NARU_FULL, NARU_OVERLOADED, NARU_NO_CONSUMER  there was no room, or nobody
   * @throws NARU_TOO_LARGE  `sizeBytes` is over the limit: see `maxMessageBytes`
   * @throws NARU_UNSUPPORTED, NARU_INVALID_ARGUMENT, NARU_CLOSED, NARU_PEER_GONE, NARU_LIMIT
   */
  claim(...args: Needs<'claim', Has, [sizeBytes: number, options?: SendOptions<Has>]>): Promise<Claim> {
    const given = args as readonly unknown[];
    const options = given[1] as SendOptions | undefined;
    try {
      this.#life.checkOpen();
      this.#encoder.require('claim', 'claim()');
      checkLimits(options, this.#text);
      return this.#claims.claim(given[0] as number, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The same if there is room now and no other claim of this handle is open. Never waits.
   *
   * @returns undefined when there is not (also where a drop policy would drop the message)
   * @throws as `claim()`; NARU_INVALID_ARGUMENT when the handle has no producer's seat yet: see `trySend()`
   */
  tryClaim(...args: Needs<'claim', Has, [sizeBytes: number, options?: SendOptions<Has>]>): Claim | undefined {
    const sender = this.#attached(this.#outbox.attached, 'producer', 'claim', 'tryClaim()');
    // Indexed as in trySend().
    const given = args as readonly unknown[];
    return this.#claims.tryClaim(sender, given[0] as number, given[1] as SendOptions | undefined);
  }

  /**
   * Sends many messages in order, waiting for room as needed.
   *
   * @throws as `send()`; the error's `partial` says what was sent, what is unknown and what was not sent, in list order
   */
  async sendMany(
    list: Iterable<In> | AsyncIterable<In>,
    options?: SendOptions<Has>,
  ): Promise<SendManyResult> {
    this.#life.checkOpen();
    checkLimits(options, this.#text);
    return await this.#sending.sendMany(list, options as SendOptions | undefined);
  }

  /**
   * Takes the oldest message, waiting until one comes. Settles it at hand-out unless the handle settles manually: should
   * this process die right after, the message is not delivered again (at most once).
   *
   * @throws NARU_TIMEOUT, NARU_CLOSED (closed or ended), NARU_INVALID_MESSAGE (undecodable; it was rejected), NARU_LIMIT
   */
  receive(limits: WaitLimits = {}): Promise<Message<Out>> {
    try {
      this.#life.checkOpen();
      checkLimits(limits, this.#text);
      return this.#receiving.receive(limits);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Takes the oldest message if one is there. Never waits.
   * @throws NARU_INVALID_ARGUMENT when the handle has no consumer's seat yet: open it with role "consumer", or await `connect('consumer')` first
   */
  tryReceive(...args: Needs<'trySync', Has, []>): Message<Out> | undefined;
  tryReceive(): Message<Out> | undefined {
    return this.#receiving.tryReceive(
      this.#attached(this.#intake.attached, 'consumer', 'trySync', 'tryReceive()'),
    );
  }

  /**
   * Takes the oldest message, blocking the thread until one comes.
   * @throws as `tryReceive()`; NARU_TIMEOUT; NARU_CLOSED; NARU_INTERRUPTED when a signal with a handler arrived
   */
  receiveSync(...args: Needs<'waitSync', Has, [limits?: { readonly timeoutMs?: number }]>): Message<Out> {
    const [limits] = args as [{ readonly timeoutMs?: number } | undefined];
    const receiver = this.#attached(this.#intake.attached, 'consumer', 'waitSync', 'receiveSync()');
    return this.#blocking.receive(receiver, limits?.timeoutMs);
  }

  /**
   * Takes the oldest message to be read where it lies, waiting until one comes. Without codec and schema; settled by hand.
   *
   * @throws NARU_TIMEOUT, NARU_CLOSED (closed or ended), NARU_LIMIT
   * @throws NARU_UNSUPPORTED  the place has no views, or this mailbox may overwrite what a consumer reads (a topic with
   *   `full: 'drop-oldest'`)
   */
  receiveView(...args: Needs<'views', Has, [limits?: WaitLimits]>): Promise<MessageView> {
    const limits = ((args as readonly unknown[])[0] ?? {}) as WaitLimits;
    try {
      this.#life.checkOpen();
      this.#encoder.require('views', 'receiveView()');
      checkLimits(limits, this.#text);
      return this.#views.receive(limits);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The same if a message is there. Never waits.
   * @throws as `receiveView()`; NARU_INVALID_ARGUMENT when the handle has no consumer's seat yet: see `tryReceive()`
   */
  tryReceiveView(...args: Needs<'views', Has, []>): MessageView | undefined;
  tryReceiveView(): MessageView | undefined {
    return this.#views.tryReceive(
      this.#attached(this.#intake.attached, 'consumer', 'views', 'tryReceiveView()'),
    );
  }

  /**
   * Takes up to `max` messages: waits for the first, then takes what is there. Settles as `receive()`.
   * @returns at least one message
   * @throws as `receive()`; undecodable ones become `error` events
   */
  async receiveMany(max: number, limits: WaitLimits = {}): Promise<Message<Out>[]> {
    this.#life.checkOpen();
    checkLimits(limits, this.#text);
    return await this.#receiving.receiveMany(max, limits);
  }

  /** Iterates until the mailbox ends or this handle closes. A message is acked when the loop asks for the next one. */
  [Symbol.asyncIterator](): MessageIterator<Out> {
    return this.messages();
  }

  /** The same with limits: `for await (const m of mailbox.messages({ signal }))`. A timeout counts for each wait. */
  messages(limits: WaitLimits = {}): MessageIterator<Out> {
    this.#life.checkOpen();
    return new MessageIterator(this.#iteration(limits, undefined));
  }

  /** Iterates over everything that is there, in arrays of 1 to `max` (default: `prefetch`). The fastest way to receive. */
  batches(options: WaitLimits & { readonly max?: number } = {}): BatchIterator<Out> {
    this.#life.checkOpen();
    return new BatchIterator(this.#iteration(options, options.max));
  }

  /**
   * Calls `handler` for every message: acks when it resolves, tries again when it throws (see `retry`, `deadLetter`).
   * @throws NARU_INVALID_ARGUMENT
   */
  consume(handler: Handler<Out>, options: ConsumeOptions = {}): Consumption<Out> {
    this.#life.checkOpen();
    return this.#consumers.start(handler, options);
  }

  /**
   * Sends a request and waits for its answer. Any number may be in flight. Default timeout: 30 s.
   * @throws NARU_REMOTE (the handler failed), NARU_TIMEOUT, NARU_UNSUPPORTED, and what `send()` raises
   */
  async request(...args: Needs<'reply', Has, [data: In, options?: SendOptions<Has>]>): Promise<Message<Out>> {
    const [data, options] = args as readonly unknown[] as [In, SendOptions | undefined];
    this.#encoder.require('reply', 'request()');
    const timeoutMs = options?.timeoutMs ?? DEFAULTS.requestTimeoutMs;
    // An answer that nobody waits for any more need not be worked out: the request expires with its timeout.
    const ttl = this.#encoder.can('ttl') && timeoutMs > 0 ? { ttlMs: timeoutMs } : {};
    return this.#requests.request(
      (replyTo, correlationId) =>
        this.send(data, { ...ttl, ...options, timeoutMs, replyTo, correlationId } as SendOptions<Has>),
      { signal: options?.signal, timeoutMs },
    );
  }

  /** Answers requests: what `handler` returns is the answer, what it throws becomes NARU_REMOTE at the requester. */
  serve(...args: Needs<'reply', Has, [handler: Handler<Out>, options?: ConsumeOptions]>): Consumption<Out> {
    const [handler, options] = args as [Handler<Out>, ConsumeOptions | undefined];
    this.#encoder.require('reply', 'serve()');
    return this.consume((message) => this.#requests.serve(handler, message), options);
  }

  /** Takes a seat now, not at first use. @throws NARU_LIMIT when the relation leaves none; NARU_TIMEOUT, the signal's reason */
  async connect(role: 'producer' | 'consumer', limits?: WaitLimits): Promise<void> {
    this.#life.checkOpen();
    checkLimits(limits, this.#text);
    await (role === 'producer' ? this.#outbox.attach(limits) : this.#intake.attach(limits));
  }

  /** Gives a seat back; the handle stays open and can connect again. Waiting calls of that side reject. */
  async disconnect(role: 'producer' | 'consumer'): Promise<void> {
    await (role === 'producer' ? this.#outbox.detach() : this.#intake.detach());
  }

  /**
   * Waits until so many producers and consumers are attached: the cure for slow joiners.
   * @throws NARU_TIMEOUT, NARU_CLOSED, the signal's reason
   */
  ready(options: ReadyOptions): Promise<void> {
    this.#life.checkOpen();
    checkLimits(options, this.#text);
    return this.#peerWaits.wait(options);
  }

  /** No more messages from anybody: consumers finish after what is there. @throws NARU_UNSUPPORTED, NARU_CLOSED */
  async end(): Promise<void> {
    this.#life.checkOpen();
    this.#encoder.require('end', 'end()');
    const sender = await this.#outbox.attach();
    await this.#outbox.whenIdle();
    await sender.end?.();
  }

  /** Numbers of this handle and of the place. */
  async stats(): Promise<MailboxStats> {
    const place = await this.#driver.stats();
    const { acked, requeued, rejected } = this.#incoming;
    return {
      sent: this.#outbox.sent,
      received: this.#intake.received,
      acked,
      requeued,
      rejected,
      waitingSends: this.#outbox.waitingMessages,
      waitingReceives: this.#intake.waitingReceives,
      pendingRequests: this.#requests.pending,
      dropped: addCounters(this.#outbox.dropped, this.#incoming.dropped, place.dropped),
      place,
    };
  }

  /** Looks at up to `max` waiting messages, oldest first, and leaves them there. @throws NARU_UNSUPPORTED */
  async peek(max = 1): Promise<Message<Out>[]> {
    this.#life.checkOpen();
    const { capabilities } = this.#driver.facts;
    if (this.#driver.peek === undefined) throw unsupported(capabilities, 'peek', 'peek()', this.#text);
    const deliveries = await this.#driver.peek(max);
    return Promise.all(deliveries.map((delivery) => this.#incoming.decode(delivery)));
  }

  /** Removes every waiting message. @returns how many @throws NARU_UNSUPPORTED */
  async purge(): Promise<number> {
    this.#life.checkOpen();
    if (this.#driver.purge !== undefined) return this.#driver.purge();
    throw new NaruError('NARU_UNSUPPORTED', `${this.#text}: ${this.capabilities.scheme}:// cannot be purged`);
  }

  /** Listens. @returns a function that takes the listener off */
  on<K extends keyof MailboxEvents>(event: K, listener: (detail: MailboxEvents[K]) => void): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * Finishes, then closes: nothing more is taken; handlers and loops finish and settle what they have in hand (loops within
   * `flushMs`), waiting sends get their room.
   */
  async drain(options: CloseOptions = {}): Promise<CloseResult> {
    this.#intake.finish();
    const flushMs = options.flushMs ?? this.#stated.flushMs ?? DEFAULTS.flushMs;
    const loops = atMost(this.#intake.whenIdle(), flushMs);
    await Promise.all([loops, this.#consumers.stop()]);
    return this.close(options);
  }

  /**
   * Closes the handle: waiting sends get `flushMs`, loops end, unsettled messages go back. Idempotent.
   * @returns how many messages of this handle nobody will receive
   */
  close(options: CloseOptions = {}): Promise<CloseResult> {
    const flushMs = options.flushMs ?? this.#stated.flushMs ?? DEFAULTS.flushMs;
    return this.#life.close(() => closeHandle(this.#ending, flushMs));
  }

  /** Closes this handle and destroys the mailbox for everybody: others get NARU_CLOSED. */
  async unlink(): Promise<void> {
    await this.#driver.unlink();
    await this.close({ flushMs: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What logs show: never a password, never a body. */
  toJSON(): { mailbox: string; identity: string } {
    return { mailbox: this.#text, identity: this.identity };
  }

  toString(): string {
    return `Mailbox(${this.#text})`;
  }

  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle {
    return sharedMailbox(this.#driver.facts, this.#stated);
  }

  #bind(hooks: HookRelay): void {
    hooks.bind({
      readable: () => this.#intake.drain(),
      writable: () => this.#outbox.flush(),
      peers: () => {
        this.#peerWaits.check();
        this.#outbox.flush();
      },
      reply: (delivery: Delivery) => this.#requests.onReply(delivery),
      event: (type, detail) => this.#events.emit(type, detail as never),
      failed: (error: Error) => failHandle(this.#ending, error),
    });
  }

  #iteration(limits: WaitLimits, max: number | undefined): IterationSource<Out> {
    checkLimits(limits, this.#text);
    return {
      intake: this.#intake,
      incoming: this.#incoming,
      auto: this.#isAuto,
      max: max ?? this.#stated.prefetch ?? DEFAULTS.prefetch,
      limits,
    };
  }

  /** The end a synchronous call needs; it cannot wait for a seat. */
  #attached<E>(end: E | undefined, role: 'producer' | 'consumer', feature: Feature, what: string): E {
    this.#life.checkOpen();
    this.#encoder.require(feature, what);
    if (end !== undefined) return end;
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${this.#text}: ${what} needs a ${role}'s seat; open with role: '${role}', or await connect('${role}') first`,
      { mailbox: this.#text },
    );
  }

  #refuseClone(): never {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${this.#text}: a mailbox handle cannot be sent to another thread; send mailbox.address and open() it there`,
      { mailbox: this.#text },
    );
  }
}

// Without this, console.log would show the getter that keeps a handle from being cloned.
Object.defineProperty(Mailbox.prototype, inspect.custom, {
  value(this: Mailbox): string {
    return this.toString();
  },
});
