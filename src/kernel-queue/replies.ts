// The way back for requests over a queue of the kernel: a private System V queue of the requester's, whatever kind the mailbox is. It is
// made for the first request, and goes with its handle or its process: kernel/private-queue.ts.

import { NaruError } from '../errors/index.ts';
import { findPrivateQueue, makePrivateQueue, type OwnQueue } from '../kernel/private-queue.ts';
import { sysctl } from '../kernel/queue-errors.ts';
import { requestOf } from '../kernel/system-v-types.ts';
import type { DriverHooks, Receiver } from '../mailbox/driver.ts';
import { type OtherPort, type OwnPort, PortInbox } from '../mailbox/reply-ports.ts';
import { envelopePacking, type TagField } from './packing.ts';
import { QueueReceiver } from './receiver.ts';
import { SysvKernelQueue } from './system-v.ts';

const ADDRESS = /^sysv:\/\/0x([0-9a-f]{8})\?format=envelope$/;

/** Answers have no types that the kernel would know. */
const NO_TYPES: TagField = { tagOf: () => 1, fieldsOf: () => undefined };

export function portPacking(address: string): ReturnType<typeof envelopePacking> {
  return envelopePacking(NO_TYPES, sysctl('kernel.msgmax') ?? 8_192, address);
}

/** What a port is made of. */
interface Port {
  readonly own: OwnQueue;
  readonly queue: SysvKernelQueue;
  readonly receiver: Receiver;
}

/** One handle's own port: there from the moment when somebody asks for its address. */
export class OwnReplyQueue implements OwnPort {
  readonly #hooks: DriverHooks;
  readonly #mode: () => number;
  #made: Port | undefined;

  /** @param mode  who may answer: whoever may use the mailbox */
  constructor(hooks: DriverHooks, mode: () => number) {
    this.#hooks = hooks;
    this.#mode = mode;
  }

  get address(): string {
    this.#made ??= this.#make();
    return addressOf(this.#made.own.key);
  }

  async close(): Promise<void> {
    const made = this.#made;
    if (made === undefined) return;
    this.#made = undefined;
    // First of all: what comes in no more need not be put back.
    made.own.close();
    await made.receiver.close();
    made.queue.close();
  }

  #make(): Port {
    const own = makePrivateQueue(this.#mode());
    const address = addressOf(own.key);
    const queue = new SysvKernelQueue(own.id, address, requestOf(address, undefined), true);
    const inbox = new PortInbox(this.#hooks);
    const account = { lose: () => undefined, closed: () => undefined };
    const receiver = new QueueReceiver(queue, portPacking(address), inbox, account, {});
    inbox.use(receiver);
    return { own, queue, receiver };
  }
}

function addressOf(key: number): string {
  return `sysv://0x${(key >>> 0).toString(16).padStart(8, '0')}?format=envelope`;
}

/**
 * Finds the port of a requester.
 * @param open  makes the driver of a queue
 * @throws NARU_PEER_GONE  it is gone; NARU_INVALID_ARGUMENT  that is no address of a port
 */
export function findReplyQueue(
  replyTo: string,
  open: (queue: SysvKernelQueue, address: string) => OtherPort['driver'],
): OtherPort {
  const address = replyTo.slice(0, 80);
  const key = ADDRESS.exec(replyTo)?.[1];
  if (key === undefined) {
    throw new NaruError('NARU_INVALID_ARGUMENT', `"${address}" is not the private queue of a requester`);
  }
  // A queue that is not marked as such is refused: an answer must not go into just any.
  const found = findPrivateQueue(Number.parseInt(key, 16) | 0);
  if (found === undefined) {
    throw new NaruError('NARU_PEER_GONE', `${address}: the requester is gone`, { mailbox: address });
  }
  const queue = new SysvKernelQueue(found.id, address, requestOf(address, undefined));
  return { driver: open(queue, address), isGone: () => found.isGone() };
}
