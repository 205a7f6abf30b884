// The driver of a mailbox that is a message queue of the kernel: it has no host and no participants, only whoever puts in and takes out.

import { isNaruError } from '../errors/index.ts';
import type { QueueWaiting } from '../kernel/linger.ts';
import type { Capabilities } from '../mailbox/capabilities.ts';
import type {
  Delivery,
  Driver,
  DriverFacts,
  DriverHooks,
  PlaceStats,
  Receiver,
  ReplyPort,
  Sender,
} from '../mailbox/driver.ts';
import { ReplyPorts } from '../mailbox/reply-ports.ts';
import { deliveryOf, isExpired, type Packing } from './packing.ts';
import type { KernelQueue } from './queue.ts';
import { QueueReceiver, type ReceiverAccount } from './receiver.ts';
import { findReplyQueue, OwnReplyQueue, portPacking } from './replies.ts';
import { QueueSender } from './sender.ts';

/** What a place gives for one handle. */
export interface QueueInit {
  readonly facts: DriverFacts;
  readonly queue: KernelQueue;
  readonly packing: Packing;
  readonly hooks: DriverHooks;
  /** Permission bits of the queue: who may use it may answer its requests. */
  readonly mode: number;
  /** How its waits look before they sleep. */
  readonly waiting: QueueWaiting;
}

/** Nobody asks through the port of a requester. */
function withoutReplies(capabilities: Capabilities): Capabilities {
  return { ...capabilities, features: { ...capabilities.features, reply: 'none' } };
}

/** Messages taken at a time when all are to go. */
const PURGE_CHUNK = 256;

export class QueueDriver implements Driver {
  readonly facts: DriverFacts;
  /** Only where the kernel can look without taking. */
  readonly peek?: (max: number) => Promise<Delivery[]>;
  /** Only with envelopes. */
  readonly openReplies?: () => Promise<ReplyPort>;
  readonly #init: QueueInit;
  readonly #dropped: Record<string, number> = {};
  #sender: QueueSender | undefined;
  #receiver: QueueReceiver | undefined;
  #returnedNot = 0;
  #closed: Promise<{ undelivered: number }> | undefined;

  constructor(init: QueueInit) {
    this.#init = init;
    this.facts = init.facts;
    const { queue, packing, hooks } = init;
    if (init.facts.capabilities.features.reply !== 'none') {
      const own = new OwnReplyQueue(hooks, () => init.mode);
      this.openReplies = async () =>
        new ReplyPorts(own, async (replyTo, portHooks) =>
          findReplyQueue(replyTo, (port, address) => this.#driverOf(port, address, portHooks)),
        );
    }
    if (queue.copy !== undefined) {
      const copy = queue.copy.bind(queue);
      this.peek = async (max) =>
        copy(max)
          .map((item) => packing.unpack(item))
          .filter((envelope) => !isExpired(envelope))
          .map(deliveryOf);
    }
  }

  /** The driver of a requester's port. */
  #driverOf(queue: KernelQueue, address: string, hooks: DriverHooks): QueueDriver {
    const { capabilities } = this.facts;
    const facts = { ...this.facts, address, capabilities: withoutReplies(capabilities) };
    return new QueueDriver({ ...this.#init, facts, queue, packing: portPacking(address), hooks });
  }

  /** The kernel does not say who else uses a queue. */
  get peers(): { producers: number; consumers: number } {
    return {
      producers: this.#sender === undefined ? 0 : 1,
      consumers: this.#receiver === undefined ? 0 : 1,
    };
  }

  attachSender(): Promise<Sender> {
    const { queue, packing, hooks, facts, waiting } = this.#init;
    const closed = (): void => {
      if (this.#sender === sender) this.#sender = undefined;
    };
    const sender = new QueueSender(queue, packing, facts.identity, hooks, closed, waiting);
    this.#sender = sender;
    return Promise.resolve(sender);
  }

  attachReceiver(): Promise<Receiver> {
    const { queue, packing, hooks, waiting } = this.#init;
    const account: ReceiverAccount = {
      lose: (reason, count) => this.#lose(reason, count),
      closed: () => {
        if (this.#receiver === receiver) this.#receiver = undefined;
      },
    };
    const receiver = new QueueReceiver(queue, packing, hooks, account, waiting);
    this.#receiver = receiver;
    return Promise.resolve(receiver);
  }

  async stats(): Promise<PlaceStats> {
    const { count, bytes, capacityBytes, capacityMessages } = this.#init.queue.status();
    return {
      depth: count,
      depthBytes: bytes,
      unsettled: 0,
      producers: -1,
      consumers: -1,
      capacityBytes,
      capacityMessages,
      dropped: this.#dropped,
      extra: {},
    };
  }

  async purge(): Promise<number> {
    let count = 0;
    for (;;) {
      const items = this.#init.queue.take(PURGE_CHUNK);
      if (items.length === 0) return count;
      count += items.length;
    }
  }

  close(): Promise<{ undelivered: number }> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async unlink(): Promise<void> {
    try {
      this.#init.queue.remove();
    } catch (error) {
      if (!isNaruError(error, 'NARU_CLOSED') && !isNaruError(error, 'NARU_NOT_FOUND')) throw error;
    }
  }

  async #close(): Promise<{ undelivered: number }> {
    await this.#sender?.close();
    await this.#receiver?.close();
    this.#init.queue.close();
    return { undelivered: this.#returnedNot };
  }

  #lose(reason: string, count: number): void {
    if (reason === 'returned') this.#returnedNot += count;
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#init.hooks.event('drop', { reason, count });
  }
}
