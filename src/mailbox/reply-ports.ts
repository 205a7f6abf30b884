// The way back for requests where it is a mailbox of the requester's own: the receiving end of one's own port, and the sending ends to
// the ports of others. What a port is and how it is found is the place's; it gives drivers.

import { isNaruError, NaruError } from '../errors/index.ts';
import type { Delivery, Driver, DriverHooks, Outgoing, Receiver, ReplyPort, Sender } from './driver.ts';

/** Ports of requesters that are kept open. */
const TARGETS_MAX = 64;
/** Replies taken from the port at a time. */
const BATCH = 256;
/** How often somebody who waits for room in a port looks whether its owner has died, in milliseconds. */
const LOOK_MS = 500;

/** One's own port. */
export interface OwnPort {
  /** What a request carries; asked for before a request is sent. */
  readonly address: string;
  close(): Promise<unknown>;
}

/** Somebody's port. */
export interface OtherPort {
  readonly driver: Driver;
  /** Whether its owner is gone for good. Absent where the driver itself tells. */
  readonly isGone?: () => boolean;
}

/** Hooks of the own port: every message that arrives is an answer. */
export class PortInbox implements DriverHooks {
  readonly #owner: DriverHooks;
  #receiver: Receiver | undefined;

  constructor(owner: DriverHooks) {
    this.#owner = owner;
  }

  async start(driver: Driver): Promise<void> {
    this.use(await driver.attachReceiver());
  }

  /** Takes what arrives there from now on. */
  use(receiver: Receiver): void {
    this.#receiver = receiver;
    receiver.want(BATCH);
  }

  readable(): void {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    const batch: Delivery[] = [];
    while (receiver.take(BATCH, batch) > 0) {
      // Settled before it is handed out: an answer is worth nothing to anybody but this requester.
      receiver.ackAll(batch);
      for (const delivery of batch) this.#owner.reply(delivery);
      batch.length = 0;
    }
  }

  writable(): void {}
  peers(): void {}
  reply(): void {}
  event: DriverHooks['event'] = () => undefined;
  failed(): void {}
}

interface Target extends OtherPort {
  readonly sender: Sender;
  readonly hooks: TargetHooks;
}

/** The port of one handle, and those that it answers to. */
export class ReplyPorts implements ReplyPort {
  readonly #own: OwnPort;
  readonly #connect: (replyTo: string, hooks: DriverHooks) => Promise<OtherPort>;
  readonly #targets = new Map<string, Promise<Target>>();

  /** @param connect  finds the port of a requester. @throws NARU_PEER_GONE, NARU_INVALID_ARGUMENT  it is none */
  constructor(own: OwnPort, connect: (replyTo: string, hooks: DriverHooks) => Promise<OtherPort>) {
    this.#own = own;
    this.#connect = connect;
  }

  get address(): string {
    return this.#own.address;
  }

  async send(replyTo: string, message: Outgoing): Promise<void> {
    const target = await this.#target(replyTo);
    try {
      if (target.isGone?.() === true) throw peerGone(replyTo);
      await target.hooks.send(target.sender, message);
    } catch (error) {
      this.#targets.delete(replyTo);
      await target.driver.close();
      throw target.isGone?.() === true && isNaruError(error, 'NARU_CLOSED')
        ? peerGone(replyTo, error)
        : error;
    }
  }

  async close(): Promise<void> {
    const targets = [...this.#targets.values()];
    this.#targets.clear();
    for (const target of targets) {
      const opened = await target.catch(() => undefined);
      await opened?.driver.close();
    }
    await this.#own.close();
  }

  #target(replyTo: string): Promise<Target> {
    const known = this.#targets.get(replyTo);
    // Most recently used last.
    if (known !== undefined) this.#targets.delete(replyTo);
    const target = known ?? this.#open(replyTo);
    this.#targets.set(replyTo, target);
    if (known === undefined) {
      target.catch(() => this.#targets.delete(replyTo));
      this.#evict();
    }
    return target;
  }

  #evict(): void {
    const oldest = this.#targets.keys().next();
    if (this.#targets.size <= TARGETS_MAX || oldest.done === true) return;
    const target = this.#targets.get(oldest.value);
    this.#targets.delete(oldest.value);
    target?.then(
      ({ driver }) => driver.close(),
      () => undefined,
    );
  }

  async #open(replyTo: string): Promise<Target> {
    const hooks = new TargetHooks(() => peerGone(replyTo));
    const { driver, isGone } = await this.#connect(replyTo, hooks);
    try {
      if (isGone !== undefined) hooks.isGone = isGone;
      return {
        driver,
        hooks,
        sender: await driver.attachSender(),
        ...(isGone === undefined ? {} : { isGone }),
      };
    } catch (error) {
      await driver.close();
      throw error;
    }
  }
}

function peerGone(replyTo: string, cause?: unknown): NaruError {
  return new NaruError('NARU_PEER_GONE', `${replyTo.slice(0, 80)}: the requester is gone`, {
    mailbox: replyTo,
    cause,
  });
}

interface WaitingAnswer {
  readonly message: Outgoing;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Hooks of a sender to somebody's port: answers wait here while the port is full. */
class TargetHooks implements DriverHooks {
  isGone: (() => boolean) | undefined;
  readonly #goneError: () => Error;
  #look: NodeJS.Timeout | undefined;
  #sender: Sender | undefined;
  #waiting: WaitingAnswer[] = [];
  #failure: Error | undefined;

  constructor(goneError: () => Error) {
    this.#goneError = goneError;
  }

  send(sender: Sender, message: Outgoing): Promise<void> {
    this.#sender = sender;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ message, resolve, reject });
      if (this.#waiting.length === 1) this.writable();
    });
  }

  writable(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      try {
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#sender?.offer([first.message], 0) !== 1) return this.#watch();
        first.resolve();
      } catch (error) {
        first.reject(error);
      }
      this.#waiting.shift();
    }
    clearInterval(this.#look);
    this.#look = undefined;
  }

  /** Nobody takes anything out of a dead one's port: whoever waits for room would wait for ever. */
  #watch(): void {
    if (this.isGone === undefined || this.#look !== undefined) return;
    this.#look = setInterval(() => {
      if (this.isGone?.() === true) this.failed(this.#goneError());
    }, LOOK_MS);
  }

  failed(error: Error): void {
    this.#failure = error;
    this.writable();
  }

  readable(): void {}
  peers(): void {}
  reply(): void {}
  event: DriverHooks['event'] = () => undefined;
}
