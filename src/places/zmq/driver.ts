// The driver of one ZeroMQ socket: what goes out, what comes in, who is there. It lives as long as its handle: nobody manages a
// context, and no message makes a socket.

import { GapWatch } from '../../client/gaps.ts';
import { NaruError } from '../../errors/index.ts';
import type { Confirm } from '../../mailbox/capabilities.ts';
import type {
  Delivery,
  Driver,
  DriverFacts,
  DriverHooks,
  Outgoing,
  PlaceStats,
  Receiver,
  ReplyPort,
  Sender,
} from '../../mailbox/driver.ts';
import type { Envelope, MessageFields } from '../../wire/envelope-types.ts';
import { type Pattern, PATTERNS } from './capabilities.ts';
import { zmqError } from './errors.ts';
import { greeting, Packer, Unpacker } from './frames.ts';
import { isNeeded, type Sleeper, watchIdle } from './idle.ts';
import { Inlet } from './inlet.ts';
import { type Change, Monitor } from './monitor.ts';
import type { ZmqOptions } from './options.ts';
import { Outlet } from './outlet.ts';
import { ZmqReceiver } from './receiver.ts';
import { answerParts, correlationOf, isErrorType, readRouted, requestParts, typeOf } from './routes.ts';
import { ZmqSender } from './sender.ts';
import { Subscribers } from './subscribers.ts';
import { matcherOf } from './topics.ts';
import { closeSocket, type Parts, type Zeromq, type ZmqSocket } from './zeromq.ts';

/** What a place gives for one handle. */
export interface ZmqInit {
  readonly zeromq: Zeromq;
  readonly socket: ZmqSocket;
  readonly own: ZmqOptions;
  readonly identity: string;
  /** The URL as it may be shown. */
  readonly mailbox: string;
  readonly scheme: string;
  readonly hooks: DriverHooks;
  readonly flushMs: number;
  /** Once the socket is closed. */
  readonly released: () => void;
}

/** Messages that a handle takes before libzmq does. */
const IN_HAND_MAX = 256;
/** How soon a subscriber or requester that had no room is tried again, in milliseconds: libzmq does not tell. */
const RETRY_MS = 1;
/** How long news of a peer that has connected may take, in milliseconds. */
const NEWS_MS = 20;

export class ZmqDriver implements Driver, Sleeper {
  readonly #init: ZmqInit;
  readonly #pattern: Pattern;
  readonly #packer: Packer;
  readonly #unpacker: Unpacker;
  readonly #monitor: Monitor;
  readonly #outlet: Outlet;
  readonly #inlet: Inlet;
  readonly #subscribers: Subscribers;
  readonly #gaps = new GapWatch();
  readonly #isTopicWanted: (topic: string) => boolean;
  readonly #dropped: Record<string, number> = {};
  readonly #unwatch: () => void;
  #address = '';
  #sender: ZmqSender | undefined;
  #receiver: ZmqReceiver | undefined;
  /** What had come when the last receiver left, for the next one. */
  readonly #early: Delivery[] = [];
  /** Messages published so far; wraps. */
  #published = 0;
  #missed = 0;
  #refused = 0;
  #lost = 0;
  #hadPeer = false;
  #isGreeted = false;
  #isWaitingForPeer = false;
  #isAsking = false;
  /** Called once, when a peer came or went. */
  readonly #news = new Set<() => void>();
  #closed: Promise<{ undelivered: number }> | undefined;

  constructor(init: ZmqInit) {
    const { own, socket, zeromq, identity } = init;
    this.#init = init;
    this.#pattern = own.pattern;
    this.#packer = new Packer(own.isEnvelope ? identity : undefined);
    this.#unpacker = new Unpacker(own.isEnvelope);
    this.#isTopicWanted = matcherOf(own.topic ?? '#');
    this.#subscribers = new Subscribers(
      (prefix) => this.#greet(prefix),
      () => this.#tellPeers(),
    );
    this.#outlet = new Outlet({
      socket,
      retryMs: this.#pattern === 'pub' || this.#pattern === 'rep' ? RETRY_MS : 0,
      left: () => this.#sender?.tellRoom(),
      lost: (error) => this.#lose('failed', 1, this.#error(error)),
    });
    this.#inlet = new Inlet({
      socket,
      wants: (hasWaited) => this.#wants(hasWaited),
      got: (parts) => this.#got(parts),
    });
    this.#monitor = new Monitor(zeromq, socket, (change) => this.#onChange(change));
    this.#unwatch = watchIdle(this);
    if (this.#pattern === 'req' || this.#pattern === 'rep') this.openReplies = () => this.#replyPort();
    if (this.#pattern === 'pub') this.#inlet.run();
  }

  openReplies?: () => Promise<ReplyPort>;

  get facts(): DriverFacts {
    const { own, identity } = this.#init;
    return {
      capabilities: own.capabilities,
      offered: 'accepted' satisfies Confirm,
      maxMessageBytes: own.maxMessageBytes,
      identity,
      address: this.#address,
      deliver: this.#pattern === 'pub' || this.#pattern === 'sub' ? 'all' : 'one',
      created: own.binds,
    };
  }

  get peers(): { producers: number; consumers: number } {
    const { ready } = this.#monitor;
    const there = this.#pattern === 'pair' ? Math.min(ready, 1) : ready;
    const { canSend, canReceive } = PATTERNS[this.#pattern];
    if (canSend && canReceive) return { producers: there, consumers: there };
    if (canReceive) return { producers: there, consumers: this.#receiver === undefined ? 0 : 1 };
    const consumers = this.#pattern === 'pub' ? Math.min(there, this.#subscribers.count) : there;
    return { producers: this.#sender === undefined ? 0 : 1, consumers };
  }

  /** A call waits: for a message, for room, for an answer, for the first peer. */
  get isHeld(): boolean {
    return this.#isWaitingForPeer || this.#sender?.isHeld === true || this.#receiver?.isHeld === true;
  }

  rest(): void {
    this.#monitor.rest();
  }

  /** @param address  what leads here */
  started(address: string): void {
    this.#address = address;
  }

  /**
   * Resolves when the other end is there: its handshake is done; a subscriber has subscribed; a publisher among Naru has greeted us.
   * @throws NARU_DISCONNECTED
   */
  async untilPeer(signal: AbortSignal): Promise<void> {
    this.#isWaitingForPeer = true;
    try {
      if (this.#pattern === 'sub') this.#inlet.run();
      while (!this.#isThere()) {
        if (signal.aborted) throw this.#absence();
        await new Promise<void>((resolve) => {
          this.#news.add(resolve);
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    } finally {
      this.#isWaitingForPeer = false;
      this.#news.clear();
    }
  }

  async attachSender(): Promise<Sender> {
    this.#checkWay(PATTERNS[this.#pattern].canSend, 'sends nothing of its own');
    const { hooks, own } = this.#init;
    this.#sender = new ZmqSender({
      outlet: this.#outlet,
      hooks,
      inHandMax: Math.min(IN_HAND_MAX, own.highWaterMark),
      presence: () => this.#presence(),
      ask: () => this.#ask(),
      put: (message) => this.#outlet.put(this.#wrap(message)),
      dropped: (count) => this.#drop('nobody', count),
      touch: () => this.#touch(),
      closed: () => {
        this.#sender = undefined;
      },
    });
    return this.#sender;
  }

  async attachReceiver(): Promise<Receiver> {
    this.#checkWay(PATTERNS[this.#pattern].canReceive, 'receives nothing but answers');
    const receiver: ZmqReceiver = new ZmqReceiver({
      inlet: this.#inlet,
      hooks: this.#init.hooks,
      touch: () => this.#touch(),
      closed: (unread) => {
        if (this.#receiver === receiver) this.#receiver = undefined;
        this.#early.push(...unread);
      },
    });
    this.#receiver = receiver;
    for (const early of this.#early.splice(0)) receiver.put(early);
    return receiver;
  }

  async stats(): Promise<PlaceStats> {
    const { producers, consumers } = this.peers;
    return {
      depth: -1,
      depthBytes: -1,
      unsettled: 0,
      producers,
      consumers,
      capacityBytes: -1,
      capacityMessages: this.#init.own.highWaterMark,
      dropped: this.#dropped,
      extra: { inHand: this.#outlet.waiting, missed: this.#missed, refusedConnections: this.#refused },
    };
  }

  close(flushMs: number = this.#init.flushMs): Promise<{ undelivered: number }> {
    this.#closed ??= this.#close(flushMs);
    return this.#closed;
  }

  async unlink(): Promise<void> {
    await this.close();
  }

  async #close(flushMs: number): Promise<{ undelivered: number }> {
    const left = await this.#outlet.flush(flushMs);
    await this.#sender?.close();
    await this.#receiver?.close();
    this.#forget(this.#early.length);
    const { mailbox, socket, released } = this.#init;
    this.#outlet.close(new NaruError('NARU_CLOSED', `${mailbox}: the mailbox was closed`, { mailbox }));
    this.#inlet.close();
    this.#unwatch();
    socket.linger = flushMs;
    closeSocket(socket);
    await this.#monitor.ended();
    released();
    return { undelivered: this.#lost + left };
  }

  /** What libzmq sends for a message. */
  #wrap(message: Outgoing): Parts {
    const { topic } = this.#init.own;
    if (this.#pattern === 'req') {
      return requestParts(message.fields?.correlationId, this.#packer.pack(message, 0));
    }
    if (this.#pattern !== 'pub') return this.#packer.pack(message, 0);
    const body = this.#packer.pack(message, (this.#published + 1) >>> 0);
    this.#published = (this.#published + 1) >>> 0;
    return topic === undefined ? body : [Buffer.from(topic), body];
  }

  #got(parts: Buffer[]): void {
    if (this.#pattern === 'pub') {
      this.#subscribers.hear(parts);
      return;
    }
    try {
      if (this.#pattern === 'req') this.#gotAnswer(parts);
      else if (this.#pattern === 'rep') this.#gotRequest(parts);
      else this.#gotMessage(parts);
    } catch (error) {
      this.#lose('undecodable', 1, this.#error(error));
    }
  }

  #gotMessage(parts: readonly Buffer[]): void {
    const part = this.#pattern === 'sub' ? this.#bodyOf(parts) : parts[0];
    if (part === undefined) return;
    if (this.#pattern !== 'sub' && parts.length > 1) {
      throw new NaruError('NARU_INVALID_MESSAGE', `a message of ${parts.length} parts; Naru's have one`);
    }
    const { maxMessageBytes } = this.#init.own;
    const unpacked = this.#unpacker.unpack(part);
    if (unpacked.kind === 'greeting') {
      this.#miss(this.#gaps.greet(unpacked.sender, unpacked.count));
      this.#isGreeted = true;
      this.#tellNews();
      return;
    }
    const { envelope, count } = unpacked;
    if (count > 0) this.#miss(this.#gaps.arrive(envelope.sender, count));
    if (envelope.body.length > maxMessageBytes) {
      const what = `a message of ${envelope.body.length} bytes; maxMessageBytes is ${maxMessageBytes}`;
      throw new NaruError('NARU_TOO_LARGE', what);
    }
    this.#arrive(delivery(envelope, envelope.fields));
  }

  /** The body of what a publisher sent: behind its topic, if it has one. */
  #bodyOf(parts: readonly Buffer[]): Buffer | undefined {
    const { topic } = this.#init.own;
    if (parts.length === 1 && topic === undefined) return parts[0];
    const [first, body] = parts;
    if (parts.length !== 2 || first === undefined) {
      const wanted = topic === undefined ? 'one part, or a topic and a body' : 'a topic and a body';
      throw new NaruError('NARU_INVALID_MESSAGE', `a message of ${parts.length} parts; expected ${wanted}`);
    }
    // A greeting has what was subscribed to for its topic.
    const isGreeting = this.#init.own.isEnvelope && body?.[2] === 1;
    return isGreeting || this.#isTopicWanted(first.toString()) ? body : undefined;
  }

  #gotRequest(parts: readonly Buffer[]): void {
    const { route, body } = readRouted(parts);
    const unpacked = this.#unpacker.unpack(body);
    if (unpacked.kind === 'greeting') return;
    const { envelope } = unpacked;
    this.#arrive(delivery(envelope, { ...envelope.fields, replyTo: route }));
  }

  #gotAnswer(parts: readonly Buffer[]): void {
    const routed = readRouted(parts);
    const unpacked = this.#unpacker.unpack(routed.body);
    if (unpacked.kind === 'greeting') return;
    const { envelope } = unpacked;
    const type = envelope.fields?.type ?? typeOf(routed);
    const fields = { ...envelope.fields, type, correlationId: correlationOf(routed.route) };
    this.#init.hooks.reply(delivery(envelope, fields));
  }

  #arrive(message: Delivery): void {
    if (this.#receiver === undefined) this.#early.push(message);
    else this.#receiver.put(message);
  }

  async #replyPort(): Promise<ReplyPort> {
    this.#isAsking = true;
    this.#inlet.run();
    return {
      address: 'zmq',
      send: async (replyTo, message) => {
        const isError = !this.#init.own.isEnvelope && isErrorType(message.fields?.type);
        const parts = answerParts(replyTo, this.#packer.pack(message, 0), isError);
        await this.#outlet.answer(parts).catch((error: unknown) => {
          throw this.#error(error);
        });
      },
      close: () => Promise.resolve(),
    };
  }

  /** Whether the next message is wanted now. */
  #wants(hasWaited: boolean): boolean {
    if (this.#receiver?.wantsMore === true) return true;
    const isForUs =
      this.#pattern === 'pub' || (this.#pattern === 'req' && this.#isAsking) || this.#awaitsGreeting();
    return isForUs && (!hasWaited || isNeeded());
  }

  #awaitsGreeting(): boolean {
    const { isEnvelope } = this.#init.own;
    return this.#pattern === 'sub' && isEnvelope && this.#isWaitingForPeer && !this.#isGreeted;
  }

  #isThere(): boolean {
    if (this.#monitor.ready === 0) return false;
    if (this.#pattern === 'pub') return this.#subscribers.count > 0;
    return this.#pattern !== 'sub' || !this.#init.own.isEnvelope || this.#isGreeted;
  }

  #absence(): NaruError {
    const { mailbox, scheme } = this.#init;
    const { other } = PATTERNS[this.#pattern];
    const isConnected = this.#monitor.ready > 0;
    let why = 'nobody listens there';
    if (isConnected && this.#pattern === 'pub') why = 'the other end has subscribed to nothing';
    else if (isConnected)
      why = `the publisher sends no greeting: it is no Naru with format=envelope${this.#init.own.topic === undefined ? '' : ' and a topic'}`;
    else if (this.#refused > 0)
      why = `who listens there hangs up: it is no ZeroMQ socket of pattern ${other}`;
    return new NaruError('NARU_DISCONNECTED', `${mailbox}: ${why}`, { place: scheme, mailbox });
  }

  /**
   * Whether to take a message. Not libzmq's ZMQ_IMMEDIATE, which throws away what had arrived, and what had not left yet, when a
   * connection breaks: what is in the socket then goes to the next peer.
   */
  #presence(): 'there' | 'nobody' | 'drop' {
    if (this.peers.consumers > 0) return 'there';
    return this.#pattern === 'pub' ? 'drop' : 'nobody';
  }

  /** A new subscriber among Naru learns that it is subscribed, and from which message on. */
  #greet(prefix: Buffer): void {
    const { own, identity } = this.#init;
    if (!own.isEnvelope) return;
    const hello = greeting(identity, this.#published);
    this.#outlet.put(own.topic === undefined ? hello : [prefix, hello]);
  }

  #onChange(change: Change): void {
    const { own, hooks, mailbox } = this.#init;
    if (this.#closed !== undefined) return;
    if (change === 'refused') this.#refused += 1;
    if (change === 'up') this.#inlet.attend();
    if (change === 'up' && this.#pattern === 'pair' && this.#monitor.ready > 1) this.#tellThird();
    if (!own.binds && change === 'down') {
      hooks.event('disconnect', { reason: `${mailbox}: the other end is gone` });
    }
    if (!own.binds && change === 'up') {
      if (this.#hadPeer) hooks.event('reconnect', { attempts: 1 });
      this.#hadPeer = true;
    }
    this.#tellPeers();
  }

  #tellPeers(): void {
    this.#tellNews();
    this.#init.hooks.peers();
    if (this.#presence() === 'there') this.#sender?.tellRoom();
  }

  #tellNews(): void {
    const waiting = [...this.#news];
    this.#news.clear();
    for (const tell of waiting) tell();
  }

  /** What libzmq's threads know of a peer comes here a moment later. */
  async #ask(): Promise<void> {
    if (this.#presence() !== 'nobody') return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, NEWS_MS);
      this.#news.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #tellThird(): void {
    const { mailbox, hooks } = this.#init;
    const what =
      'another peer has connected to this pair; ZeroMQ takes no message of it, and does not tell it';
    hooks.event('error', { error: new NaruError('NARU_LIMIT', `${mailbox}: ${what}`, { mailbox }) });
  }

  #miss(count: number): void {
    if (count === 0) return;
    this.#missed += count;
    this.#init.hooks.event('gap', { count });
  }

  #lose(reason: string, count: number, error: NaruError): void {
    this.#drop(reason, count);
    this.#init.hooks.event('error', { error });
  }

  /** Messages that had come and that nobody will get. */
  #forget(unread: number): void {
    if (unread > 0) this.#drop('unread', unread);
    this.#lost += unread;
  }

  #drop(reason: string, count: number): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#init.hooks.event('drop', { reason, count });
  }

  /** The handle is in use: it hears of its connections again, if it had rested. */
  #touch(): void {
    this.#monitor.resume();
    this.#outlet.run();
    this.#inlet.run();
  }

  #checkWay(isPossible: boolean, what: string): void {
    if (isPossible) return;
    const { mailbox, scheme } = this.#init;
    const { other } = PATTERNS[this.#pattern];
    const text = `${mailbox}: pattern ${this.#pattern} ${what}; the other end is ${other}`;
    throw new NaruError('NARU_UNSUPPORTED', text, { place: scheme, mailbox });
  }

  #error(error: unknown): NaruError {
    const { mailbox, scheme } = this.#init;
    if (!(error instanceof NaruError)) return zmqError(error, mailbox, scheme);
    return new NaruError(error.code, `${mailbox}: ${error.message}`, {
      place: scheme,
      mailbox,
      cause: error,
    });
  }
}

function delivery(envelope: Envelope, fields: MessageFields | undefined): Delivery {
  const { body, sender, sequence, time } = envelope;
  return { body, sender, sequence, time, fields, deliveries: 1, receipt: false, token: 0 };
}
