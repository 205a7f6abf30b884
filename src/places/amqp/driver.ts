// The driver of a mailbox on an AMQP server: its connection, its seats and ends, and what is done anew when a lost connection is there again.

import type { Reconnecting } from '../../client/reconnecting.ts';
import { isNaruError, NaruError } from '../../errors/index.ts';
import type {
  Driver,
  DriverFacts,
  DriverHooks,
  PlaceStats,
  Receiver,
  ReplyPort,
  Sender,
} from '../../mailbox/driver.ts';
import { KeepAlive } from '../../mailbox/keep-alive.ts';
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
  readonly #alive = new KeepAlive();
  readonly #publisher: Publisher;
  readonly #delays: Delays;
  readonly #route: Route;
  readonly #seats: Seats;
  readonly #receivers = new Set<AmqpReceiver>();
  readonly #senders = new Set<AmqpSender>();
  readonly #ends = new Set<End>();
  readonly #dropped: Record<string, number> = {};
  #subscriptions = 0;
  #wantsReplies = false;
  #peers = { producers: 0, consumers: 0 };
  #peersTime = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #undelivered = 0;
  #failure: Error | undefined;
  #isRemoved = false;
  #suspecting: Promise<void> | undefined;
  #closed: Promise<{ undelivered: number }> | undefined;

  constructor(init: AmqpDriverInit) {
    this.#init = init;
    this.facts = init.facts;
    const { settings, text, reconnecting } = init;
    const { name, deliver, id } = settings;
    this.#route =
      deliver === 'one'
        ? { exchange: '', key: name }
        : { exchange: name, key: id === '' ? init.routingKey : '' };
    this.#publisher = new Publisher({
      text,
      hold: (isNeeded) => this.#alive.hold(this.#route, isNeeded),
      prepare: async (channel) => {
        if (this.#wantsReplies) await hearReplies(channel, init.hooks);
      },
      connection: () => reconnecting.current,
      changed: () => {
        for (const sender of this.#senders) sender.changed();
      },
    });
    this.#delays = new Delays(settings, this.#route, (use) => this.#once(use));
    this.#seats = new Seats({
      settings,
      text,
      suspect: () => this.#suspect(),
      lost: (error) => init.hooks.event('error', { error }),
    });
    reconnecting.onBack((attempts) => void this.#back(attempts));
  }

  get peers(): { readonly producers: number; readonly consumers: number } {
    if (performance.now() - this.#peersTime > PEERS_MS) void this.#lookAtPeers();
    return this.#peers;
  }

  attachSender(): Promise<Sender> {
    return this.#held(() => this.#attachSender());
  }

  attachReceiver(): Promise<Receiver> {
    return this.#held(() => this.#attachReceiver());
  }

  async #attachSender(): Promise<Sender> {
    const { hooks, text, settings, nobody, reconnecting } = this.#init;
    const { capacityMessages, deliver } = settings;
    const seat = await this.#run((connection) => this.#seats.take(connection, 'p'));
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
          this.#drop('nobody', 1);
          return 'dropped';
        }
        const error = this.#gone();
        this.#fail(error);
        return error;
      },
      lost: (count, error) => {
        this.#undelivered += count;
        this.#drop('failed', count);
        hooks.event('error', { error });
      },
      hold: (isNeeded) => this.#alive.hold(sender, isNeeded),
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
    const seat = await this.#run((connection) => this.#seats.take(connection, 'c')).catch(
      async (error: unknown) => {
        if (source.isOwn) await this.#remove(source.queue);
        throw error;
      },
    );
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
      hold: (isNeeded) => this.#alive.hold(receiver, isNeeded),
      onClose: async () => {
        clearInterval(keep);
        this.#ends.delete(receiver);
        this.#receivers.delete(receiver);
        if (source.isOwn) await this.#remove(source.queue);
        await seat.leave();
        await this.#lookAtPeers();
      },
    });
    await this.#run((connection) => receiver.start(connection));
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
      dropped: this.#dropped,
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
    this.#closed ??= this.#held(() => this.#close(flushMs));
    return this.#closed;
  }

  async unlink(): Promise<void> {
    const { settings } = this.#init;
    // What this handle learns of it from the server is no news.
    this.#isRemoved = true;
    await this.#held(() => this.#run((connection) => removeBox(connection, settings)));
  }

  /** Everything that went with the connection is made again, in the order in which one needs the other. */
  async #back(attempts: number): Promise<void> {
    const { reconnecting, hooks, settings, text } = this.#init;
    const connection = reconnecting.current;
    if (connection === undefined || this.#closed !== undefined) return;
    hooks.event('reconnect', { attempts });
    this.#delays.reset();
    try {
      await declareBox(connection, settings);
    } catch (error) {
      // Somebody made another one of this name meanwhile, or it cannot be made: waiting does not help.
      if (!connection.isOver) this.#fail(amqpError(error, text));
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
    if (this.#isOver) return false;
    this.#suspecting ??= this.#now(async (connection) => {
      if (!(await isThere(connection, this.#init.settings))) this.#fail(this.#gone());
    }).finally(() => {
      this.#suspecting = undefined;
    });
    await this.#suspecting;
    return !this.#isOver;
  }

  get #isOver(): boolean {
    return this.#isRemoved || this.#closed !== undefined || this.#failure !== undefined;
  }

  #lookAtPeers(): Promise<void> {
    this.#peersTime = performance.now();
    if (this.#isOver) return Promise.resolve();
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
    return this.#run((connection) => connection.once(use));
  }

  async #run<T>(use: (connection: AmqpConnection) => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    const { reconnecting, text } = this.#init;
    try {
      return await reconnecting.run(use);
    } catch (error) {
      const translated = amqpError(error, text);
      if (!isNaruError(translated, 'NARU_NOT_FOUND')) throw translated;
      const gone = this.#gone();
      this.#fail(gone);
      throw gone;
    }
  }

  /** Keeps the process alive meanwhile. */
  async #held<T>(act: () => Promise<T>): Promise<T> {
    this.#alive.hold(act, true);
    const { reconnecting } = this.#init;
    reconnecting.enter();
    try {
      return await act();
    } finally {
      reconnecting.leave();
      this.#alive.hold(act, false);
    }
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

  #drop(reason: string, count: number): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#init.hooks.event('drop', { reason, count });
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#failure = error;
    this.#publisher.end(error);
    this.#init.hooks.failed(error);
  }

  async #close(flushMs: number): Promise<{ undelivered: number }> {
    const { reconnecting, text } = this.#init;
    const closed = new NaruError('NARU_CLOSED', `${text}: this handle was closed`, {
      place: 'amqp',
      mailbox: text,
    });
    const timer = setTimeout(() => this.#publisher.end(closed), Math.max(1, flushMs));
    await this.#publisher.whenIdle();
    clearTimeout(timer);
    this.#publisher.end(closed);
    await Promise.all(Array.from(this.#ends, (end) => end.close()));
    await this.#publisher.close(closed);
    await reconnecting.current?.leave();
    reconnecting.close();
    this.#alive.end();
    return { undelivered: this.#undelivered };
  }

  #gone(): NaruError {
    const { text } = this.#init;
    return new NaruError('NARU_CLOSED', `${text}: the mailbox was removed`, { place: 'amqp', mailbox: text });
  }
}
