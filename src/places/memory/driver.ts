// One open handle of a memory mailbox: its facts, its ends, and its part in the mailbox's life.

import { NaruError } from '../../errors/index.ts';
import type {
  Delivery,
  Driver,
  DriverFacts,
  DriverHooks,
  PlaceStats,
  Receiver,
  ReplyPort,
  Sender,
} from '../../mailbox/driver.ts';
import type { PlaceOptions } from '../../mailbox/place.ts';
import type { Box, BoxUser, Peers } from './box.ts';
import { toDelivery } from './parcel.ts';
import { MemoryReceiver } from './receiver.ts';
import { MemoryPort } from './replies.ts';
import { MemorySender } from './sender.ts';

export class MemoryDriver implements Driver {
  readonly facts: DriverFacts;
  readonly #box: Box;
  readonly #user: BoxUser;
  readonly #options: PlaceOptions;
  readonly #senders = new Set<MemorySender>();
  readonly #receivers = new Set<MemoryReceiver>();
  #port: MemoryPort | undefined;
  #closed = false;
  readonly openReplies?: () => Promise<ReplyPort>;
  readonly peek?: (max: number) => Promise<Delivery[]>;

  constructor(box: Box, identity: string, isCreated: boolean, options: PlaceOptions, hooks: DriverHooks) {
    const { capabilities, maxMessageBytes, deliver } = box.settings;
    this.facts = {
      capabilities,
      offered: 'placed',
      maxMessageBytes,
      identity,
      address: box.text,
      deliver,
      created: isCreated,
    };
    this.#box = box;
    this.#user = {
      identity,
      hooks,
      abandon: (error) => {
        for (const sender of this.#senders) sender.abandon(error);
      },
    };
    this.#options = options;
    box.join(this.#user);
    // Standing in for a place that lacks a feature, the method must be absent too.
    const { reply, peek } = capabilities.features;
    if (reply !== 'none') {
      this.openReplies = () => {
        this.#port ??= new MemoryPort(identity, hooks);
        return Promise.resolve(this.#port);
      };
    }
    if (peek !== 'none') this.peek = (max) => Promise.resolve(this.#peek(max));
  }

  get peers(): Peers {
    return this.#box.peers;
  }

  async attachSender(): Promise<Sender> {
    this.#attach('producer');
    const onClose = (end: MemorySender): boolean => this.#senders.delete(end);
    const sender = new MemorySender(this.#box, this.#user, this.#options.flushMs, onClose);
    this.#senders.add(sender);
    return sender;
  }

  async attachReceiver(): Promise<Receiver> {
    this.#attach('consumer');
    const onClose = (end: MemoryReceiver): boolean => this.#receivers.delete(end);
    const receiver = new MemoryReceiver(this.#box, this.#user, this.#options, onClose);
    this.#receivers.add(receiver);
    return receiver;
  }

  async stats(): Promise<PlaceStats> {
    const { store, settings, peers } = this.#box;
    const { depth, depthBytes, unsettled, dropped, oldestAgeMs } = store.stats();
    const { rejected = 0, ...lost } = dropped;
    const isKnown = settings.capabilities.features.depth !== 'none';
    return {
      depth: isKnown ? depth : -1,
      depthBytes: isKnown ? depthBytes : -1,
      unsettled,
      producers: peers.producers,
      consumers: peers.consumers,
      capacityBytes: settings.capacityBytes,
      capacityMessages: settings.capacityMessages,
      dropped: lost,
      extra: { rejected, oldestAgeMs: Math.round(oldestAgeMs) },
    };
  }

  async purge(): Promise<number> {
    return this.#box.store.purge();
  }

  async close(): Promise<{ undelivered: number }> {
    if (!this.#closed) {
      this.#closed = true;
      for (const end of [...this.#receivers, ...this.#senders]) await end.close();
      await this.#port?.close();
      this.#box.leave(this.#user);
    }
    return { undelivered: this.#box.undeliveredOf(this.facts.identity) };
  }

  async unlink(): Promise<void> {
    this.#box.destroy(this.#box.unlinkedError(), this.#user);
  }

  #attach(role: 'producer' | 'consumer'): void {
    const { gone, text } = this.#box;
    if (gone !== undefined) throw gone;
    if (this.#closed) throw new NaruError('NARU_CLOSED', `${text}: this handle is closed`, { mailbox: text });
    this.#box.attach(role);
  }

  #peek(max: number): Delivery[] {
    return this.#box.store.peek(max).map((entry) => ({ ...toDelivery(entry, true), receipt: false }));
  }
}
