// The way back for requests: a small mailbox of the requester's own (`~port.<identity>`), and the repliers' senders to the
// ports of others.

import { NaruError } from '../../errors/index.ts';
import type {
  Delivery,
  Driver,
  DriverHooks,
  Outgoing,
  Receiver,
  ReplyPort,
  Sender,
} from '../../mailbox/driver.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { Gid } from '../../mapped-ring/site.ts';
import { nameIn } from './address.ts';

const PORT_PREFIX = '~port.';
/** Ports of requesters that are kept open. */
const TARGETS_MAX = 64;
/** Replies taken from the port at a time. */
const BATCH = 256;

/** Opens a port: `new` our own, `never` somebody's that must be there. */
export type PortOpener = (name: string, create: 'new' | 'never', hooks: DriverHooks) => Promise<Driver>;

/** The port that belongs to a handle. */
export function portName(identity: string): string {
  return `${PORT_PREFIX}${identity.replace('/', '-')}`;
}

/** Opens the handle's own port. */
export async function openReplies(
  open: PortOpener,
  hooks: DriverHooks,
  identity: string,
  gid: Gid,
): Promise<ReplyPort> {
  const inbox = new PortInbox(hooks);
  const driver = await open(portName(identity), 'new', inbox);
  await inbox.start(driver);
  return new ShmReplies(driver, open, gid);
}

/** Hooks of the own port: every message that arrives is an answer. */
class PortInbox implements DriverHooks {
  readonly #owner: DriverHooks;
  #receiver: Receiver | undefined;

  constructor(owner: DriverHooks) {
    this.#owner = owner;
  }

  async start(driver: Driver): Promise<void> {
    this.#receiver = await driver.attachReceiver();
    this.#receiver.want(BATCH);
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

interface Target {
  readonly driver: Driver;
  readonly sender: Sender;
  readonly hooks: TargetHooks;
}

class ShmReplies implements ReplyPort {
  readonly address: string;
  readonly #driver: Driver;
  readonly #open: PortOpener;
  readonly #gid: Gid;
  readonly #targets = new Map<string, Promise<Target>>();

  constructor(driver: Driver, open: PortOpener, gid: Gid) {
    this.#driver = driver;
    this.#open = open;
    this.#gid = gid;
    this.address = driver.facts.address;
  }

  async send(replyTo: string, message: Outgoing): Promise<void> {
    const target = await this.#target(replyTo);
    try {
      await target.hooks.send(target.sender, message);
    } catch (error) {
      this.#targets.delete(replyTo);
      await target.driver.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const targets = [...this.#targets.values()];
    this.#targets.clear();
    for (const target of targets) {
      const opened = await target.catch(() => undefined);
      await opened?.driver.close();
    }
    await this.#driver.close();
  }

  #target(replyTo: string): Promise<Target> {
    const known = this.#targets.get(replyTo);
    // Most recently used last.
    if (known !== undefined) this.#targets.delete(replyTo);
    const target = known ?? this.#connect(replyTo);
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

  async #connect(replyTo: string): Promise<Target> {
    const name = nameIn(replyTo, this.#gid) ?? '';
    // A request must not be able to send its answer into just any mailbox, nor out of the group that sees the requests.
    if (!name.startsWith(PORT_PREFIX)) {
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `"${replyTo.slice(0, 80)}" is not the port of an shm:// requester`,
      );
    }
    const hooks = new TargetHooks();
    const driver = await this.#open(checkName(name, replyTo.slice(0, 80)), 'never', hooks);
    try {
      return { driver, hooks, sender: await driver.attachSender() };
    } catch (error) {
      await driver.close();
      throw error;
    }
  }
}

interface WaitingAnswer {
  readonly message: Outgoing;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Hooks of a sender to somebody's port: answers wait here while the port is full. */
class TargetHooks implements DriverHooks {
  #sender: Sender | undefined;
  #waiting: WaitingAnswer[] = [];
  #failure: Error | undefined;

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
        if (this.#sender?.offer([first.message], 0) !== 1) return;
        first.resolve();
      } catch (error) {
        first.reject(error);
      }
      this.#waiting.shift();
    }
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
