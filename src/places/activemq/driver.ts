// The driver of a mailbox on ActiveMQ: its connection, its ends, and what is made anew when a lost connection is there again.

import { ClientHandle } from '../../client/handle.ts';
import { Outbox } from '../../client/outbox.ts';
import type { Reconnecting } from '../../client/reconnecting.ts';
import { NaruError } from '../../errors/index.ts';
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
import { watchBox } from './address.ts';
import { browse } from './browse.ts';
import type { ActivemqConnection } from './client.ts';
import { activemqError, CONDITION } from './failures.ts';
import { Management } from './management.ts';
import { encodeMessage } from './message.ts';
import { type Box, subscriptionOf } from './options.ts';
import type { RheaReceiver, RheaSender, Terminus } from './protocol.ts';
import { ActivemqReceiver } from './receiver.ts';
import { Replies } from './replies.ts';
import { ActivemqSender } from './sender.ts';
import { LinkWire, type Packets } from './wire.ts';

/** How long until a link that the server ended is made again. */
const AGAIN_MS = 300;

export interface ActivemqDriverInit {
  readonly facts: DriverFacts;
  readonly box: Box;
  readonly hooks: DriverHooks;
  readonly reconnecting: Reconnecting<ActivemqConnection>;
  readonly text: string;
  readonly prefetch: number;
  readonly flushMs: number;
}

export class ActivemqDriver implements Driver {
  readonly facts: DriverFacts;
  /** ActiveMQ does not say who sends, and of a topic not who listens. */
  readonly peers: { readonly producers: number; readonly consumers: number } = {
    producers: -1,
    consumers: -1,
  };
  readonly #init: ActivemqDriverInit;
  readonly #handle: ClientHandle<ActivemqConnection>;
  /** To the mailbox, and to wherever a message says. */
  readonly #outbox: Packets;
  readonly #relay: Packets;
  readonly #senders = new Set<ActivemqSender>();
  readonly #receivers = new Set<ActivemqReceiver>();
  #management: Management | undefined;
  #wire: LinkWire | undefined;
  #replies: Replies | undefined;

  constructor(init: ActivemqDriverInit) {
    this.#init = init;
    this.facts = init.facts;
    const { text, hooks, reconnecting } = init;
    const outbox = (who: object): Packets =>
      new Outbox({
        place: 'activemq',
        text,
        hold: (isNeeded) => this.#handle.alive.hold(who, isNeeded),
        changed: () => this.#changed(),
      });
    this.#outbox = outbox({});
    this.#relay = outbox({});
    this.#handle = new ClientHandle({
      place: 'activemq',
      text,
      hooks,
      reconnecting,
      underWay: {
        whenIdle: () => this.#outbox.whenIdle(),
        end: (error) => {
          this.#outbox.end(error);
          this.#relay.end(error);
        },
      },
      translate: (error) => activemqError(error, text),
    });
    reconnecting.onLost(() => this.#lost());
    reconnecting.onBack((attempts) => void this.#back(attempts));
  }

  /** Begins on a connection: what this handle looks at whatever its ends do. */
  async begin(connection: ActivemqConnection, management: Management | undefined): Promise<void> {
    this.#management = management;
    const watch = await watchBox(connection, management, this.#init.box);
    watch?.once('receiver_close', () => {
      if (watch.error?.condition === CONDITION.deleted) this.#removed();
    });
  }

  attachSender(): Promise<Sender> {
    return this.#handle.held(() => this.#attachSender());
  }

  attachReceiver(): Promise<Receiver> {
    return this.#handle.held(() => this.#attachReceiver());
  }

  async #attachSender(): Promise<Sender> {
    const { text, box, hooks } = this.#init;
    await this.#handle.run((connection) => this.#startSending(connection));
    const sender: ActivemqSender = new ActivemqSender({
      text,
      outbox: this.#outbox,
      credit: () => this.#wire?.room,
      encode: (message) => this.#encode(message, box.survives === 'restart'),
      confirmsDurable: this.facts.capabilities.confirm === 'durable',
      lost: (count, error) => this.#handle.lost(count, error),
      writable: () => hooks.writable(),
      hold: (isNeeded) => this.#handle.alive.hold(sender, isNeeded),
      onClose: () => this.#senders.delete(sender),
    });
    this.#senders.add(sender);
    return sender;
  }

  async #attachReceiver(): Promise<Receiver> {
    const { hooks, text, box, prefetch } = this.#init;
    const receiver: ActivemqReceiver = new ActivemqReceiver({
      hooks,
      text,
      prefetch,
      isLasting: box.group !== undefined,
      attach: (connection) => this.#subscribe(connection),
      removed: () => this.#removed(),
      trouble: (error) => hooks.event('error', { error: activemqError(error, text) }),
      hold: (isNeeded) => this.#handle.alive.hold(receiver, isNeeded),
      onClose: () => this.#receivers.delete(receiver),
    });
    await this.#handle.run((connection) => receiver.start(connection));
    this.#receivers.add(receiver);
    return receiver;
  }

  async openReplies(): Promise<ReplyPort> {
    const replies = new Replies({
      hooks: this.#init.hooks,
      outbox: this.#relay,
      encode: (message, to) => this.#encode(message, false, to),
    });
    await this.#handle.held(() =>
      this.#handle.run(async (connection) => {
        await replies.start(connection);
        await this.#startRelay(connection);
      }),
    );
    this.#replies = replies;
    return replies;
  }

  async stats(): Promise<PlaceStats> {
    const { name, deliver } = this.#init.box;
    const isTold = deliver === 'one' && this.#management !== undefined;
    const found = isTold ? await this.#handle.run(async () => this.#management?.depth(name)) : undefined;
    return {
      depth: found?.depth ?? -1,
      depthBytes: -1,
      unsettled: found?.unsettled ?? -1,
      ...this.peers,
      capacityBytes: -1,
      capacityMessages: -1,
      dropped: this.#handle.dropped,
      extra: { unconfirmed: this.#outbox.pending },
    };
  }

  async peek(max: number): Promise<Delivery[]> {
    const { name } = this.#init.box;
    return await this.#handle.run(async (connection) => {
      const waiting = (await this.#management?.depth(name))?.depth ?? 0;
      return browse(connection, name, Math.min(max, waiting));
    });
  }

  async purge(): Promise<number> {
    const { name, deliver } = this.#init.box;
    if (deliver === 'all') return 0;
    return await this.#handle.run(async () => this.#managed('purge()').purge(name));
  }

  close(flushMs: number = this.#init.flushMs): Promise<{ undelivered: number }> {
    return this.#handle.close(flushMs, () => this.#leave());
  }

  async unlink(): Promise<void> {
    this.#managed('unlink()');
    await this.#handle.unlink(async () => this.#managed('unlink()').remove(this.#init.box.name));
  }

  #encode(message: Outgoing, durable: boolean, to?: string): Buffer {
    return encodeMessage(message, { durable, identity: this.facts.identity, to });
  }

  #lost(): void {
    this.#wire = undefined;
    this.#outbox.disconnected();
    this.#relay.disconnected();
    for (const receiver of this.#receivers) receiver.lost();
  }

  /** Everything that went with the connection is made again, in the order in which one needs the other. */
  async #back(attempts: number): Promise<void> {
    const { reconnecting, hooks, box, text } = this.#init;
    const connection = reconnecting.current;
    if (connection === undefined || this.#handle.isClosed) return;
    hooks.event('reconnect', { attempts });
    try {
      const management = await Management.of(connection);
      // One that does not survive is made again, as when it was opened.
      await management?.create(box);
      await this.begin(connection, management);
      if (this.#replies !== undefined) {
        await this.#replies.start(connection);
        await this.#startRelay(connection);
      }
      if (this.#senders.size > 0 || this.#outbox.pending > 0) await this.#startSending(connection);
      await Promise.all(Array.from(this.#receivers, (receiver) => receiver.start(connection)));
    } catch (error) {
      if (!connection.isOver) hooks.event('error', { error: activemqError(error, text) });
    }
  }

  async #startSending(connection: ActivemqConnection): Promise<void> {
    if (this.#outbox.isConnected) return;
    const { name, deliver } = this.#init.box;
    const link = await connection.sender({ target: terminusOf(connection, name, deliver) });
    if (this.#outbox.isConnected || connection !== this.#init.reconnecting.current) return;
    const wire = new LinkWire(link, this.#outbox, this.#init.text, () => this.#changed());
    this.#wire = wire;
    this.#outbox.connected(wire);
    link.once('sender_close', () => this.#senderEnded(connection, link, wire));
    this.#changed();
  }

  /** The server ended the link, and the connection is there. */
  #senderEnded(connection: ActivemqConnection, link: RheaSender, wire: LinkWire): void {
    if (wire !== this.#wire || this.#handle.isOver) return;
    this.#wire = undefined;
    const { error } = link;
    this.#outbox.disconnected(error !== undefined);
    if (error?.condition === CONDITION.deleted) return this.#removed();
    // Whatever was written is to blame, or nothing can be.
    if (error !== undefined) this.#outbox.fail(activemqError(error, this.#init.text));
    setTimeout(() => this.#sendAgain(connection), AGAIN_MS).unref();
  }

  #sendAgain(connection: ActivemqConnection): void {
    if (connection.isOver || this.#handle.isOver) return;
    this.#startSending(connection).catch((error: unknown) => {
      if (!connection.isOver) this.#outbox.fail(activemqError(error, this.#init.text));
      setTimeout(() => this.#sendAgain(connection), AGAIN_MS).unref();
    });
  }

  async #startRelay(connection: ActivemqConnection): Promise<void> {
    if (this.#relay.isConnected) return;
    const link = await connection.sender({ target: {} });
    if (this.#relay.isConnected || connection !== this.#init.reconnecting.current) return;
    this.#relay.connected(new LinkWire(link, this.#relay, this.#init.text, () => undefined));
  }

  #subscribe(connection: ActivemqConnection): Promise<RheaReceiver> {
    const { name, deliver, group } = this.#init.box;
    const end = terminusOf(connection, name, deliver);
    if (group === undefined) return connection.receiver({ source: end });
    const isShared = connection.server.sharesSubscriptions;
    const source: Terminus = {
      ...end,
      durable: 2,
      expiry_policy: 'never',
      capabilities: isShared ? ['topic', 'shared', 'global'] : ['topic'],
    };
    const subscription = subscriptionOf(name, group);
    // What stands behind the bar makes the members of one subscription differ.
    return connection.receiver({
      name: isShared ? `${subscription}|${this.facts.identity}` : subscription,
      source,
    });
  }

  /** @throws NARU_UNSUPPORTED  the server has no management that this user may use */
  #managed(what: string): Management {
    if (this.#management !== undefined) return this.#management;
    const { text } = this.#init;
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${text}: ${what} needs the management of Artemis and a user who may use it; AMQP 1.0 itself has no such thing. On Classic use its console`,
      { place: 'activemq', mailbox: text },
    );
  }

  #changed(): void {
    for (const sender of this.#senders) sender.changed();
  }

  #removed(): void {
    this.#handle.fail(this.#handle.gone());
  }

  async #leave(): Promise<void> {
    await Promise.all([...this.#senders, ...this.#receivers].map((end) => end.close()));
    await this.#init.reconnecting.current?.goodbye();
  }
}

/** The mailbox as an end of a link. */
function terminusOf({ server }: ActivemqConnection, name: string, deliver: 'one' | 'all'): Terminus {
  return {
    address: `${server.prefix[deliver]}${name}`,
    capabilities: [deliver === 'one' ? 'queue' : 'topic'],
  };
}
