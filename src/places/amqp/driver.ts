// The driver of a mailbox on an AMQP server: its connection, its seats and ends, and what is done anew when a lost connection is there again.

import { ClientHandle } from '../../client/handle.ts';
import type { Reconnecting } from '../../client/reconnecting.ts';
import { isNaruError, type NaruError } from '../../errors/index.ts';
import type {
  Driver,
  DriverFacts,
  DriverHooks,
  PlaceStats,
  Receiver,
  ReplyPort,
  Sender,
} from '../../mailbox/driver.ts';
import type { NobodyPolicy } from '../../mailbox/options.ts';
import type { AmqpConnection } from './client.ts';
import { Delays, type Route } from './delays.ts';
import { amqpError } from './failures.ts';
import type { AmqpChannel } from './protocol.ts';
import { Publisher } from './publisher.ts';
import { AmqpReceiver } from './receiver.ts';
import { DirectReplies, hearReplies } from './replies.ts';
import { Seats } from './seats.ts';
import { AmqpSender } from './sender.ts';
import type { BoxSettings } from './settings.ts';
import { sourceOf } from './subscription.ts';
import { declareBox, isThere, removeBox } from './topology.ts';

/** Whoever asks who is there gets what was known so long ago at most, in milliseconds; the next question is answered better. */
const PEERS_MS = 100;
/** How often a sender that minds whether somebody is there looks. */
const PRESENCE_MS = 200;

export interface AmqpDriverInit {
  readonly facts: DriverFacts;
  readonly settings: BoxSettings;
  readonly hooks: DriverHooks;
  readonly reconnecting: Reconnecting<AmqpConnection>;
  readonly text: string;
  readonly routingKey: string;
  readonly group: string | undefined;
  readonly nobody: NobodyPolicy | undefined;
  readonly prefetch: number;
  readonly flushMs: number;
}

interface End {
  close(): Promise<void>;
}

export class AmqpDriver implements Driver {
  readonly facts: DriverFacts;
  readonly #init: AmqpDriverInit;
  readonly #handle: ClientHandle<AmqpConnection>;
  readonly #publisher: Publisher;
  readonly #delays: Delays;
  readonly #route: Route;
  readonly #seats: Seats;
  readonly #receivers = new Set<AmqpReceiver>();
  readonly #senders = new Set<AmqpSender>();
  readonly #ends = new Set<End>();
  #subscriptions = 0;
  #wantsReplies = false;
  #peers = { producers: 0, consumers: 0 };
  #peersTime = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #suspecting: Promise<void> | undefined;

  constructor(init: AmqpDriverInit) {
    this.#init = init;
    this.facts = init.facts;
    const { settings, text, reconnecting, hooks } = init;
    const { name, deliver, id } = settings;
    this.#route =
      deliver === 'one'
        ? { exchange: '', key: name }
        : { exchange: name, key: id === '' ? init.routingKey : '' };
    this.#publisher = new Publisher({
      text,
      hold: (isNeeded) => this.#handle.alive.hold(this.#route, isNeeded),
      prepare: async (channel) => {
        if (this.#wantsReplies) await hearReplies(channel, hooks);
      },
      connection: () => reconnecting.current,
      changed: () => {
        for (const sender of this.#senders) sender.changed();
      },
    });
    this.#handle = new ClientHandle({
      place: 'amqp',
      text,
      hooks,
      reconnecting,
      underWay: this.#publisher,
      translate: (error) => this.#translated(error),
    });
    this.#delays = new Delays(settings, this.#route, (use) => this.#once(use));
    this.#seats = new Seats({
      settings,
      text,
      suspect: () => this.#suspect(),
      lost: (error) => hooks.event('error', { error }),
    });
    reconnecting.onBack((attempts) => void this.#back(attempts));
  }

  get peers(): { readonly producers: number; readonly consumers: number } {
    if (performance.now() - this.#peersTime > PEERS_MS) void this.#lookAtPeers();
    return this.#peers;
  }

  attachSender(): Promise<Sender> {
    return this.#handle.held(() => this.#attachSender());
  }

  attachReceiver(): Promise<Receiver> {
    return this.#handle.held(() => this.#attachReceiver());
  }

  async #attachSender(): Promise<Sender> {
    const { hooks, text, settings, nobody, reconnecting } = this.#init;
    const { capacityMessages, deliver } = settings;
    const seat = await this.#handle.run((connection) => this.#seats.take(connection, 'p'));
    await reconnecting.run(() => this.#publisher.start());
    const minds = nobody !== undefined && nobody !== 'keep';
    const presence = minds ? setInterval(() => void this.#lookAtPeers(), PRESENCE_MS).unref() : undefined;
    const sender: AmqpSender = new AmqpSender({
      publisher: this.#publisher,
      hooks,
      text,
      route: this.#route,
      delays: this.#delays,
      publishing: { persistent: settings.survives === 'restart', identity: this.facts.identity },
      confirmsDurable: this.facts.capabilities.confirm === 'durable',
      look: capacityMessages === undefined ? undefined : async () => capacityMessages - (await this.#depth()),
      returned: () => {
        if (deliver === 'all') {
          this.#handle.drop('nobody', 1);
          return 'dropped';
        }
        return this.#removed();
      },
      lost: (count, error) => this.#handle.lost(count, error),
      hold: (isNeeded) => this.#handle.alive.hold(sender, isNeeded),
      onClose: async () => {
        clearInterval(presence);
        this.#ends.delete(sender);
        this.#senders.delete(sender);
        await seat.leave();
        await this.#lookAtPeers();
      },
    });
    this.#senders.add(sender);
    this.#ends.add(sender);
    await Promise.all([sender.poll(), this.#lookAtPeers()]);
    return sender;
  }

  async #attachReceiver(): Promise<Receiver> {
    const { hooks, text, settings, group, routingKey, prefetch } = this.#init;
    this.#subscriptions += 1;
    const handle = `${this.facts.identity.replaceAll('/', '-')}.${this.#subscriptions}`;
    const source = sourceOf(settings, group, routingKey, handle);
    // Before its seat: whoever sees this consumer may send at once.
    if (settings.deliver === 'all') await this.#once((channel) => source.declare(channel));
    const seat = await this.#handle
      .run((connection) => this.#seats.take(connection, 'c'))
      .catch(async (error: unknown) => {
        if (source.isOwn) await this.#remove(source.queue);
        throw error;
      });
    const keep = source.isOwn
      ? setInterval(
          () => void this.#once((channel) => source.declare(channel)).catch(() => undefined),
          source.keepMs / 4,
        ).unref()
      : undefined;
    const receiver: AmqpReceiver = new AmqpReceiver({
      hooks,
      text,
      prefetch,
      isExact: settings.capacityMessages !== undefined,
      queue: async (channel) => {
        await source.declare(channel);
        return source.queue;
      },
      suspect: () => void this.#suspect(),
      hold: (isNeeded) => this.#handle.alive.hold(receiver, isNeeded),
      onClose: async () => {
        clearInterval(keep);
        this.#ends.delete(receiver);
        this.#receivers.delete(receiver);
        if (source.isOwn) await this.#remove(source.queue);
        await seat.leave();
        await this.#lookAtPeers();
      },
    });
    await this.#handle.run((connection) => receiver.start(connection));
    this.#receivers.add(receiver);
    this.#ends.add(receiver);
    await this.#lookAtPeers();
    return receiver;
  }

  async openReplies(): Promise<ReplyPort> {
    this.#wantsReplies = true;
    const { channel } = this.#publisher;
    if (channel === undefined) await this.#init.reconnecting.run(() => this.#publisher.start());
    else await hearReplies(channel, this.#init.hooks);
    return new DirectReplies(this.#publisher, this.facts.identity);
  }

  async stats(): Promise<PlaceStats> {
    const { deliver, capacityMessages } = this.#init.settings;
    await this.#lookAtPeers();
    return {
      depth: deliver === 'one' ? await this.#depth() : -1,
      depthBytes: -1,
      unsettled: -1,
      ...this.#peers,
      capacityBytes: -1,
      capacityMessages: capacityMessages ?? -1,
      dropped: this.#handle.dropped,
      extra: { unconfirmed: this.#publisher.pending },
    };
  }

  async purge(): Promise<number> {
    const { name, deliver } = this.#init.settings;
    if (deliver === 'all') return 0;
    const { messageCount } = await this.#once((channel) => channel.purgeQueue(name));
    return messageCount;
  }

  close(flushMs: number = this.#init.flushMs): Promise<{ undelivered: number }> {
    return this.#handle.close(flushMs, (closed) => this.#leave(closed));
  }

  async unlink(): Promise<void> {
    await this.#handle.unlink((connection) => removeBox(connection, this.#init.settings));
  }

  /** Everything that went with the connection is made again, in the order in which one needs the other. */
  async #back(attempts: number): Promise<void> {
    const { reconnecting, hooks, settings, text } = this.#init;
    const connection = reconnecting.current;
    if (connection === undefined || this.#handle.isClosed) return;
    hooks.event('reconnect', { attempts });
    this.#delays.reset();
    try {
      await declareBox(connection, settings);
    } catch (error) {
      // Somebody made another one of this name meanwhile, or it cannot be made: waiting does not help.
      if (!connection.isOver) this.#handle.fail(amqpError(error, text));
      return;
    }
    try {
      const seats = this.#seats.takeAgain(connection);
      if (this.#senders.size > 0 || this.#wantsReplies || this.#publisher.pending > 0)
        await this.#publisher.start();
      await Promise.all(Array.from(this.#receivers, (receiver) => receiver.start(connection)));
      await seats;
      await this.#lookAtPeers();
    } catch (error) {
      if (!connection.isOver) hooks.event('error', { error: amqpError(error, text) });
    }
  }

  /** Looks whether the mailbox is still there. @returns whether it is, and this handle still uses it */
  async #suspect(): Promise<boolean> {
    if (this.#handle.isOver) return false;
    this.#suspecting ??= this.#now(async (connection) => {
      if (!(await isThere(connection, this.#init.settings))) this.#removed();
    }).finally(() => {
      this.#suspecting = undefined;
    });
    await this.#suspecting;
    return !this.#handle.isOver;
  }

  #lookAtPeers(): Promise<void> {
    this.#peersTime = performance.now();
    if (this.#handle.isOver) return Promise.resolve();
    this.#looking ??= this.#now(async (connection) => {
      const before = this.#peers;
      this.#peers = await this.#seats.count(connection);
      const { producers, consumers } = this.#peers;
      if (producers !== before.producers || consumers !== before.consumers) this.#init.hooks.peers();
    }).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #depth(): Promise<number> {
    const { name } = this.#init.settings;
    const { messageCount } = await this.#once((channel) => channel.checkQueue(name));
    return messageCount;
  }

  #once<T>(use: (channel: AmqpChannel) => Promise<T>): Promise<T> {
    return this.#handle.run((connection) => connection.once(use));
  }

  #translated(error: unknown): NaruError {
    const translated = amqpError(error, this.#init.text);
    return isNaruError(translated, 'NARU_NOT_FOUND') ? this.#removed() : translated;
  }

  /** Somebody has removed the mailbox. */
  #removed(): NaruError {
    const error = this.#handle.gone();
    this.#handle.fail(error);
    return error;
  }

  /** For what needs no answer: with the connection there is now, or not at all. */
  async #now(use: (connection: AmqpConnection) => Promise<unknown>): Promise<void> {
    const connection = this.#init.reconnecting.current;
    try {
      if (connection !== undefined && !connection.isOver) await use(connection);
    } catch {
      // It broke meanwhile, and what matters is done again on the next one.
    }
  }

  #remove(queue: string): Promise<void> {
    return this.#now((connection) => connection.once((channel) => channel.deleteQueue(queue)));
  }

  async #leave(closed: NaruError): Promise<void> {
    await Promise.all(Array.from(this.#ends, (end) => end.close()));
    await this.#publisher.close(closed);
    await this.#init.reconnecting.current?.leave();
  }
}
