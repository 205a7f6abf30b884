// redis://host:6379/0?channel=name: publish and subscribe. The server hands each message to whoever is subscribed in that moment and keeps none;
// the two ends are channel-sender.ts and channel-receiver.ts.

import { Reconnecting } from '../../client/reconnecting.ts';
import type { Driver, DriverFacts, DriverHooks, PlaceStats, Receiver, Sender } from '../../mailbox/driver.ts';
import { KeepAlive } from '../../mailbox/keep-alive.ts';
import { ChannelReceiver } from './channel-receiver.ts';
import { ChannelSender } from './channel-sender.ts';
import { RedisConnection, type RedisTarget } from './client.ts';

/** Whoever asks who is there gets what was known so long ago at most, in milliseconds. */
const PEERS_MS = 50;

export interface ChannelInit {
  readonly target: RedisTarget;
  readonly channel: string;
  readonly facts: DriverFacts;
  readonly hooks: DriverHooks;
}

export class ChannelDriver implements Driver {
  readonly facts: DriverFacts;
  readonly #init: ChannelInit;
  readonly #dropped: Record<string, number> = {};
  readonly #alive = new KeepAlive();
  #link: Reconnecting<RedisConnection> | undefined;
  #sender: ChannelSender | undefined;
  #receiver: ChannelReceiver | undefined;
  #consumers = 0;
  #peersTime = Number.NEGATIVE_INFINITY;
  #undelivered = 0;

  private constructor(init: ChannelInit) {
    this.#init = init;
    this.facts = init.facts;
  }

  static async open(init: ChannelInit, signal: AbortSignal): Promise<ChannelDriver> {
    const driver = new ChannelDriver(init);
    const { hooks, target } = init;
    const link = await Reconnecting.open<RedisConnection>(
      (lost) => driver.#connect(lost),
      { place: 'redis', text: target.text },
      signal,
    );
    driver.#link = link;
    link.onLost(() => {
      driver.#receiver?.lost();
      hooks.event('disconnect', { reason: 'the connection to the server broke' });
    });
    link.onBack((attempts) => hooks.event('reconnect', { attempts }));
    return driver;
  }

  /** Producers are not known: nobody has to say that it publishes. */
  get peers(): { readonly producers: number; readonly consumers: number } {
    if (performance.now() - this.#peersTime > PEERS_MS) void this.#lookAtPeers();
    return { producers: this.#sender === undefined ? 0 : 1, consumers: this.#consumers };
  }

  attachSender(): Promise<Sender> {
    const sender = new ChannelSender({
      identity: this.facts.identity,
      hooks: this.#init.hooks,
      publish: (bytes) => this.#publish(bytes),
      dropped: (reason, count) => this.#drop(reason, count),
      lost: (count) => {
        this.#undelivered += count;
      },
      hold: (isNeeded) => this.#alive.hold('sender', isNeeded),
      onClose: () => {
        this.#sender = undefined;
      },
    });
    this.#sender = sender;
    return Promise.resolve(sender);
  }

  async attachReceiver(): Promise<Receiver> {
    const receiver = new ChannelReceiver({
      hooks: this.#init.hooks,
      dropped: (reason, count) => this.#drop(reason, count),
      hold: (isNeeded) => this.#alive.hold('receiver', isNeeded),
      onClose: async () => {
        this.#receiver = undefined;
        await this.#run((connection) => connection.unsubscribe(this.#init.channel)).catch(() => undefined);
        await this.#lookAtPeers();
      },
    });
    this.#receiver = receiver;
    await this.#run((connection) => this.#subscribe(connection));
    await this.#lookAtPeers();
    return receiver;
  }

  async stats(): Promise<PlaceStats> {
    await this.#lookAtPeers();
    return {
      depth: -1,
      depthBytes: -1,
      unsettled: 0,
      producers: -1,
      consumers: this.#consumers,
      capacityBytes: -1,
      capacityMessages: -1,
      dropped: this.#dropped,
      extra: {},
    };
  }

  async close(): Promise<{ undelivered: number }> {
    await this.#sender?.close();
    await this.#receiver?.close();
    this.#alive.end();
    this.#link?.close();
    return { undelivered: this.#undelivered };
  }

  /** A channel is there as long as somebody uses it. */
  unlink(): Promise<void> {
    return Promise.resolve();
  }

  #connect(lost: () => void): Promise<RedisConnection> {
    return RedisConnection.connect(this.#init.target, lost, async (connection) => {
      await connection.prepare([]);
      if (this.#receiver !== undefined) await this.#subscribe(connection);
    });
  }

  /** @returns how many heard it */
  async #publish(bytes: Buffer): Promise<number> {
    return Number(await this.#run((connection) => connection.write('PUBLISH', this.#init.channel, bytes)));
  }

  #subscribe(connection: RedisConnection): Promise<void> {
    return connection.subscribe([this.#init.channel], (message) => this.#receiver?.hear(message));
  }

  #run<T>(use: (connection: RedisConnection) => Promise<T>): Promise<T> {
    return (this.#link as Reconnecting<RedisConnection>).run(use);
  }

  async #lookAtPeers(): Promise<void> {
    this.#peersTime = performance.now();
    try {
      const answer = await this.#run((connection) => connection.read('PUBSUB', 'NUMSUB', this.#init.channel));
      const [consumers] = Object.values(answer as object).slice(-1);
      if (Number(consumers) === this.#consumers) return;
      this.#consumers = Number(consumers);
      this.#init.hooks.peers();
    } catch {
      // What was known last is as good as any other answer.
    }
  }

  #drop(reason: string, count: number): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#init.hooks.event('drop', { reason, count });
  }
}
