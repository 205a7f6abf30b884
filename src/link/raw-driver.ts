// The driver of `?format=raw` over sockets: programs that know nothing of Naru at the other end, listening or connecting.
// Every message that comes over any connection is received here; what is sent here goes to one of them, or to all.

import type { Server, Socket } from 'node:net';
import { NaruError } from '../errors/index.ts';
import type { Capabilities } from '../mailbox/capabilities.ts';
import type {
  Delivery,
  Driver,
  DriverFacts,
  DriverHooks,
  Outgoing,
  PlaceStats,
  Receiver,
  Sender,
} from '../mailbox/driver.ts';
import { KeepAlive } from '../mailbox/keep-alive.ts';
import type { PlaceOptions } from '../mailbox/place.ts';
import { Store } from '../store/store.ts';
import type { Entry, ItemMeta, Subscription } from '../store/types.ts';
import { type RawFraming, rawSize } from '../wire/raw-framing.ts';
import { Backoff } from './backoff.ts';
import { systemClock } from './clock.ts';
import { LINK } from './limits.ts';
import { RawConnection } from './raw-connection.ts';
import { Hold } from './session.ts';
import { newSettings, type StatedSettings } from './settings.ts';

/** What a place gives for a raw handle. */
export interface RawInit {
  readonly capabilities: Capabilities;
  readonly identity: string;
  readonly mailbox: string;
  readonly place: string;
  readonly address: string;
  readonly hooks: DriverHooks;
  readonly options: PlaceOptions;
  readonly connectionsMax: number;
  /** Listening: brings strangers. */
  readonly server: Server | undefined;
  readonly event: 'connection' | 'secureConnection';
  /** @throws NARU_DENIED */
  readonly checkPeer: (socket: Socket) => void;
  /** Connecting: the first connection, and how to make another one. */
  readonly socket: Socket | undefined;
  readonly dial: (signal: AbortSignal) => Promise<Socket>;
  /** After everything is closed. */
  readonly released: () => void;
}

/**
 * How a raw handle cuts its streams.
 * @throws NARU_INVALID_ARGUMENT  no frame was chosen, or `fixed` without a length
 */
export function rawFraming(options: PlaceOptions, mailbox: string, place: string): RawFraming {
  const { frame, slotBytes } = options;
  if (frame === undefined) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${mailbox}: a stream of plain bytes needs a frame: lines (a line is a message), length (u32 big-endian in front), fixed (with slotBytes), chunk (whatever arrives), eof (a connection is a message)`,
      { place, mailbox },
    );
  }
  if (frame === 'fixed' && slotBytes === undefined) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${mailbox}: frame=fixed needs the length of a message: slotBytes`,
      {
        place,
        mailbox,
      },
    );
  }
  const { maxMessageBytes } = newSettings(statedOf(options));
  return { frame, maxMessageBytes, slotBytes: slotBytes ?? 0 };
}

function statedOf({
  capacityBytes,
  capacityMessages,
  maxMessageBytes,
  slotBytes,
}: PlaceOptions): StatedSettings {
  return { capacityBytes, capacityMessages, maxMessageBytes, slotBytes };
}

interface RawItem extends ItemMeta {
  readonly body: Buffer;
}

/** Opens the driver. */
export function openRaw(init: RawInit): Driver {
  return new RawDriver(init);
}

class RawDriver implements Driver {
  readonly facts: DriverFacts;
  readonly #init: RawInit;
  readonly #framing: RawFraming;
  readonly #alive = new KeepAlive();
  readonly #closing = new AbortController();
  readonly #connections = new Set<RawConnection>();
  /** Connections that are gone, with messages that wait for room. */
  readonly #orphans = new Set<RawConnection>();
  readonly #store: Store<RawItem>;
  readonly #capacity: { readonly bytes: number; readonly messages: number };
  readonly #dropped: Record<string, number> = {};
  #turn = 0;
  #lost = 0;
  #isEnded = false;
  #hungry = false;
  #broken = 0;
  #refused = 0;
  #closed: Promise<{ undelivered: number }> | undefined;

  constructor(init: RawInit) {
    const { options, mailbox, place, capabilities, identity, address } = init;
    this.#init = init;
    this.#framing = rawFraming(options, mailbox, place);
    const settings = newSettings(statedOf(options));
    this.#capacity = { bytes: settings.capacityBytes, messages: settings.capacityMessages };
    const deliver = options.deliver ?? 'one';
    this.facts = {
      capabilities,
      offered: 'accepted',
      maxMessageBytes: settings.maxMessageBytes,
      identity,
      address,
      deliver,
      created: init.server !== undefined,
    };
    this.#store = new Store<RawItem>(
      {
        ...settings,
        deliver: 'one',
        dropOldest: false,
        keepForNobody: false,
        priorityMin: 0,
        priorityMax: 0,
      },
      systemClock,
      { room: () => this.#onRoom(), drop: () => undefined },
    );
    if (init.server !== undefined) this.#listen(init.server);
    if (init.socket !== undefined) this.#add(init.socket);
  }

  /** Strangers do not say what they are: each connection may be both. */
  get peers(): { producers: number; consumers: number } {
    const { size } = this.#connections;
    return { producers: size, consumers: size };
  }

  attachSender(): Promise<Sender> {
    return Promise.resolve({
      offer: (batch, from) => this.#offer(batch, from),
      end: () => this.#end(),
      close: () => Promise.resolve(),
    });
  }

  attachReceiver(): Promise<Receiver> {
    return Promise.resolve(
      new RawReceiver(
        this.#store.subscribe(() => this.#init.hooks.readable()),
        this.#alive,
      ),
    );
  }

  stats(): Promise<PlaceStats> {
    const { depth, depthBytes, unsettled } = this.#store.stats();
    return Promise.resolve({
      depth,
      depthBytes,
      unsettled,
      ...this.peers,
      capacityBytes: this.#capacity.bytes,
      capacityMessages: this.#capacity.messages,
      dropped: this.#dropped,
      extra: {
        connections: this.#connections.size,
        refusedConnections: this.#refused,
        brokenConnections: this.#broken,
      },
    });
  }

  close(): Promise<{ undelivered: number }> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async unlink(): Promise<void> {
    await this.close();
  }

  async #close(): Promise<{ undelivered: number }> {
    this.#closing.abort();
    const server = this.#init.server;
    const stopped = server === undefined ? undefined : new Promise((resolve) => server.close(resolve));
    await Promise.all(Array.from(this.#connections, (connection) => connection.close()));
    await stopped;
    this.#alive.end();
    this.#init.released();
    const undelivered = this.#lost + this.#store.stats().depth;
    this.#store.dispose();
    return { undelivered };
  }

  #listen(server: Server): void {
    const { connectionsMax, event, checkPeer, hooks } = this.#init;
    server.maxConnections = connectionsMax + LINK.refusalsMax;
    server.on('tlsClientError', (_error, socket: Socket) => {
      this.#broken += 1;
      socket.destroy();
    });
    server.on(event, (socket: Socket) => {
      try {
        checkPeer(socket);
        if (this.#connections.size < connectionsMax) {
          this.#add(socket);
          hooks.peers();
          this.#tellRoom();
          return;
        }
      } catch {
        // Refused without a word: the stranger would not understand one.
      }
      this.#refused += 1;
      socket.on('error', () => undefined);
      socket.destroy();
    });
  }

  #add(socket: Socket): void {
    const { hooks } = this.#init;
    const connection: RawConnection = new RawConnection(socket, this.#framing, {
      message: (body) => {
        const item = { sizeBytes: Math.min(body.length, this.#capacity.bytes), body };
        return this.#store.offer(item, item) !== 'full';
      },
      drain: () => this.#tellRoom(),
      error: (error) => {
        this.#broken += 1;
        hooks.event('error', { error: this.#located(error) });
      },
      closed: (lost) => this.#onClosed(connection, lost),
    });
    // A connection that was accepted is work; one that was made waits for whoever made it.
    if (this.#init.server === undefined) connection.hold(false);
    this.#connections.add(connection);
  }

  #onClosed(connection: RawConnection, lost: number): void {
    const { hooks, server, mailbox } = this.#init;
    if (connection.waiting > 0) this.#orphans.add(connection);
    this.#connections.delete(connection);
    if (lost > 0) {
      this.#lost += lost;
      this.#dropped['disconnected'] = (this.#dropped['disconnected'] ?? 0) + lost;
      hooks.event('drop', { reason: 'disconnected', count: lost });
    }
    if (this.#closing.signal.aborted) return;
    hooks.peers();
    if (server !== undefined || this.#isEnded) return;
    hooks.event('disconnect', { reason: `${mailbox}: the program at the other end closed the connection` });
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff();
    for (;;) {
      await backoff.wait(signal, false);
      if (signal.aborted) return;
      let socket: Socket;
      try {
        socket = await this.#init.dial(signal);
      } catch {
        continue;
      }
      if (signal.aborted) {
        socket.destroy();
        return;
      }
      this.#add(socket);
      this.#init.hooks.event('reconnect', { attempts: backoff.attempts });
      this.#init.hooks.peers();
      this.#tellRoom();
      return;
    }
  }

  #offer(batch: readonly Outgoing[], from: number): number {
    if (this.#isEnded) throw this.#located(new NaruError('NARU_CLOSED', 'the stream has ended'));
    let at = from;
    for (; at < batch.length; at += 1) {
      const message = batch[at] as Outgoing;
      const size = this.#rawSize(message, at > from);
      if (size < 0 || !this.#send(message.body, size)) break;
      const { done } = message;
      if (done !== undefined) process.nextTick(done);
    }
    this.#hungry = at < batch.length;
    this.#alive.hold(Hold.offer, this.#hungry);
    return at - from;
  }

  /** @returns -1 when it does not fit the framing but others went before it: it will be offered again, first */
  #rawSize(message: Outgoing, isLater: boolean): number {
    try {
      return rawSize(message.body, this.#framing);
    } catch (error) {
      if (isLater) {
        process.nextTick(() => this.#tellRoom());
        return -1;
      }
      throw error instanceof NaruError ? this.#located(error) : error;
    }
  }

  /** @returns false when nobody takes it now */
  #send(body: Uint8Array, size: number): boolean {
    const all = [...this.#connections];
    if (this.facts.deliver === 'all') {
      if (all.length === 0) {
        this.#dropped['nobody'] = (this.#dropped['nobody'] ?? 0) + 1;
        this.#init.hooks.event('drop', { reason: 'nobody', count: 1 });
        return true;
      }
      if (!all.every((connection) => connection.isReady)) return false;
      for (const connection of all) connection.send(body, size);
      return true;
    }
    for (let i = 0; i < all.length; i += 1) {
      const connection = all[(this.#turn + i) % all.length] as RawConnection;
      if (!connection.isReady) continue;
      this.#turn = (this.#turn + i + 1) % all.length;
      connection.send(body, size);
      return true;
    }
    return false;
  }

  #end(): Promise<void> {
    this.#isEnded = true;
    for (const connection of this.#connections) connection.end();
    this.#store.end();
    return Promise.resolve();
  }

  #tellRoom(): void {
    if (!this.#hungry) return;
    this.#hungry = false;
    this.#alive.hold(Hold.offer, false);
    this.#init.hooks.writable();
  }

  #onRoom(): void {
    for (const connection of this.#orphans) {
      connection.resume();
      if (connection.waiting === 0) this.#orphans.delete(connection);
    }
    for (const connection of this.#connections) connection.resume();
  }

  #located(error: NaruError): NaruError {
    const { mailbox, place } = this.#init;
    return new NaruError(error.code, `${mailbox}: ${error.message}`, { place, mailbox });
  }
}

/** What came from strangers: handed out once, settled by that. */
class RawReceiver implements Receiver {
  readonly #subscription: Subscription<RawItem>;
  readonly #alive: KeepAlive;

  constructor(subscription: Subscription<RawItem>, alive: KeepAlive) {
    this.#subscription = subscription;
    this.#alive = alive;
  }

  get ended(): boolean {
    return this.#subscription.ended;
  }

  take(max: number, out: Delivery[]): number {
    const entries: Entry<RawItem>[] = [];
    const count = this.#subscription.take(max, entries);
    this.#subscription.ackAll(entries);
    for (const { item } of entries) {
      out.push({
        body: item.body,
        sender: '',
        sequence: 0,
        time: 0,
        fields: undefined,
        deliveries: 1,
        receipt: false,
        token: 0,
      });
    }
    return count;
  }

  want(count: number): void {
    this.#alive.hold(Hold.want, count > 0);
    this.#subscription.want(count);
  }

  settle(): void {
    // Reading has taken it from the stream for good; only places that declare `ack` are asked.
  }

  ackAll(): void {
    // As settle().
  }

  received(): void {
    // Strangers wait for no receipt.
  }

  close(): Promise<void> {
    this.#alive.hold(Hold.want, false);
    this.#subscription.close();
    return Promise.resolve();
  }
}
