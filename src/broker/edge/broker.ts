// Broker: the core with sockets, a disk, a clock and HTTP, as a program embeds it. Never exits its host process.

import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { isNaruError, NaruError } from '../../errors/index.ts';
import type { Level } from '../../log/index.ts';
import { GUEST } from '../authenticate.ts';
import { Core } from '../core.ts';
import type { Definitions } from '../definition-document.ts';
import { importDefinitions } from '../definitions.ts';
import type { Limits } from '../limits.ts';
import type { Session } from '../session.ts';
import { closeStore, memoryOnly, type MemoryOnly } from '../storage/closing.ts';
import { recover, type RecoveryReport } from '../storage/recovery.ts';
import { Store } from '../storage/store.ts';
import { hashPassword } from '../users.ts';
import type { HttpEdge } from './http/server.ts';
import { Listener } from './listener.ts';
import { MovableClock } from './movable-clock.ts';

/** How a broker is started. Everything has a default. */
export interface BrokerOptions {
  /** Port for AMQP. Default 5672; 0 picks a free one; `null`: no TCP. */
  readonly port?: number | null;
  /** Address to listen on. Default 127.0.0.1. `::` takes IPv4 and IPv6. */
  readonly host?: string;
  /** Path of a Unix socket to listen on as well. Only its owner can connect. */
  readonly socketPath?: string;
  /** TLS on a port of its own: PEM texts. */
  readonly tls?: {
    readonly port: number;
    readonly cert: string | Buffer;
    readonly key: string | Buffer;
  };
  /** Port of health, metrics and the management API. Default: no HTTP. 0 picks a free one. */
  readonly httpPort?: number;
  /** Default 127.0.0.1. */
  readonly httpHost?: string;
  /** Folder for what is durable; made when it is not there. One broker at a time has it. Default: nothing is on disk. */
  readonly dataDir?: string;
  /**
   * How safe what is confirmed is. `disk`: it survives a loss of power. `os`: it survives a kill of this process, not a loss of power.
   * `memory`: it is written soon, and confirmed before. Default: disk.
   */
  readonly sync?: Level;
  /** stop() keeps transient messages too, and queues and exchanges that are not durable, for the next start. Default: false. */
  readonly keepTransient?: boolean;
  /** Users, virtual hosts, exchanges, queues and bindings to begin with, in RabbitMQ's JSON form. */
  readonly definitions?: Definitions;
  /** Limits other than the defaults; see docs/reference/broker-limits.md. */
  readonly limits?: Partial<Limits>;
  /** What clients are told they talk to. Default: RabbitMQ 3.13.7, as client libraries look at it. */
  readonly product?: { readonly name: string; readonly version: string };
}

/** A connection, as broker.connections shows it. */
export interface ConnectionInfo {
  /** Address and port of the client. */
  readonly name: string;
  readonly user: string;
  readonly vhost: string;
  readonly state: string;
  readonly channels: number;
}

/**
 * Events of a broker: `error` tells of a mistake of its own, which ended one connection; or, with the code NARU_STORAGE or NARU_CORRUPT, that
 * the disk failed: then the broker has stopped, and `broker.failure` is set.
 */
export interface BrokerEvents {
  readonly error: readonly [Error];
}

const DEFAULT_PORT = 5672;
const LOCALHOST = '127.0.0.1';

export class Broker extends EventEmitter {
  readonly #core: Core;
  readonly #clock = new MovableClock();
  readonly #listener: Listener;
  readonly #options: BrokerOptions;
  #http: HttpEdge | undefined;
  #port = 0;
  #tlsPort = 0;
  #stopped: Promise<void> | undefined;
  #failure: NaruError | undefined;
  #recovered: RecoveryReport | undefined;
  #lost: readonly MemoryOnly[] = [];

  private constructor(options: BrokerOptions, store: Store | undefined) {
    super();
    this.#options = options;
    this.#core = new Core({
      clock: this.#clock,
      random: randomBytes,
      later: (fn) => setImmediate(fn),
      store,
      storageFailed: (error) => this.#storageFailed(error),
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.product === undefined ? {} : { product: options.product }),
    });
    this.#listener = new Listener(this.#core, { failed: (error) => this.#failed(error) });
  }

  /**
   * Starts a broker; it takes connections when this resolves.
   * @throws NARU_EXISTS  a port or socket is taken
   * @throws NARU_DENIED  the system does not allow listening there
   * @throws NARU_INVALID_ARGUMENT  the definitions are wrong. The default user logs in from this machine only, whatever `host` says
   * @throws NARU_CORRUPT  the data folder is damaged, more than messages of some queues
   * @throws NARU_STORAGE  its disk failed
   */
  static async start(options: BrokerOptions = {}): Promise<Broker> {
    const { dataDir, sync = 'disk' } = options;
    const broker = new Broker(options, dataDir === undefined ? undefined : await openStore(dataDir, sync));
    try {
      await broker.#start();
    } catch (error) {
      await broker.stop();
      throw error;
    }
    return broker;
  }

  /** Port of AMQP; 0 when there is none. */
  get port(): number {
    return this.#port;
  }

  get tlsPort(): number {
    return this.#tlsPort;
  }

  get httpPort(): number {
    return this.#http?.port ?? 0;
  }

  /** What a client on this machine connects to. */
  get url(): string {
    const host = this.#options.host ?? LOCALHOST;
    const name = host === '::' || host === '0.0.0.0' ? LOCALHOST : host;
    return `amqp://guest:guest@${name.includes(':') ? `[${name}]` : name}:${this.#port}`;
  }

  get connections(): readonly ConnectionInfo[] {
    return Array.from(this.#listener.sessions, ({ connection, channels, state }) => ({
      name: connection.name,
      user: connection.user?.name ?? '',
      vhost: connection.vhost?.name ?? '',
      state,
      channels: channels.size,
    }));
  }

  /** Clients it can have at a time; fewer than the limit `connectionsMax` where `ulimit -n` allows fewer. */
  get connectionsMax(): number {
    return this.#listener.budget.connections;
  }

  /** Queues that hold messages, unsettled ones included, and how many. */
  get queuedMessages(): readonly {
    readonly vhost: string;
    readonly queue: string;
    readonly messages: number;
  }[] {
    return Array.from(this.#core.vhosts.values()).flatMap(({ queues }) =>
      Array.from(queues.values(), ({ vhost, name, ready, unacked }) => ({
        vhost,
        queue: name,
        messages: ready + unacked,
      })).filter(({ messages }) => messages > 0),
    );
  }

  /** Why the broker stopped by itself: its disk failed. */
  get failure(): NaruError | undefined {
    return this.#failure;
  }

  /** What the start found in the data folder; undefined without one. */
  get recovered(): RecoveryReport | undefined {
    return this.#recovered;
  }

  /** After stop(): messages that only memory had, by queue. They are gone. */
  get lost(): readonly MemoryOnly[] {
    return this.#lost;
  }

  /**
   * Ends every connection (reply 320), listens no more, and writes down what is durable. Idempotent.
   * @throws NARU_STORAGE  the disk failed by it
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** As it was when it started: connections are ended; queues, exchanges, users and messages that came since are gone. */
  async reset(): Promise<void> {
    await this.#listener.closeAll(320, 'broker was reset', this.#core.limits.stopMs);
    for (const name of this.#core.vhosts.keys()) this.#core.deleteVhost(name);
    for (const { name } of this.#core.users.all) this.#core.users.delete(name);
    this.#core.force(undefined);
    this.#core.failingPublishes = 0;
    this.#furnish();
  }

  /** Stops publishers as a full disk would: they are told (connection.blocked) and not read from, until unblock(). */
  block(reason = 'blocked by a test'): void {
    this.#core.force(reason);
    this.#core.endTurn();
  }

  unblock(): void {
    this.#core.force(undefined);
    this.#core.endTurn();
  }

  /**
   * Breaks connections without a word, as a cut cable does.
   * @param which  the name of one; default: all
   * @returns how many were there
   */
  disconnect(which?: string): number {
    const found = this.#find(which);
    for (const session of found) session.abort();
    return found.length;
  }

  /**
   * Ends connections as an operator does (reply 320).
   * @param which  the name of one; default: all
   */
  close(which?: string, explanation = 'closed by the operator'): number {
    const found = this.#find(which);
    for (const session of found) session.close(320, explanation);
    return found.length;
  }

  /** The next publishes on channels that confirm are refused (basic.nack), though their messages are taken. */
  failNextPublish(count = 1): void {
    this.#core.failingPublishes += count;
  }

  /** Moves the broker's clock on: ttl, delays, expiry and heartbeats that come due by it happen now. */
  advance(ms: number): void {
    this.#clock.advance(ms);
    this.#core.endTurn();
  }

  async #start(): Promise<void> {
    const { store } = this.#core;
    if (store !== undefined) this.#recovered = await recover(this.#core, store);
    this.#furnish();
    await this.#core.settled();
    const { port, host, socketPath, tls, httpPort, httpHost } = this.#options;
    if (port !== null)
      this.#port = await this.#listener.listen({ host: host ?? LOCALHOST, port: port ?? DEFAULT_PORT });
    if (socketPath !== undefined) await this.#listener.listen({ path: socketPath });
    if (tls !== undefined) {
      const { cert, key } = tls;
      this.#tlsPort = await this.#listener.listen({
        host: host ?? LOCALHOST,
        port: tls.port,
        tls: { cert, key },
      });
    }
    if (httpPort !== undefined) {
      const { HttpEdge: Edge } = await import('./http/server.ts');
      this.#http = new Edge({
        core: this.#core,
        listener: this.#listener,
        connectionsMax: this.#listener.budget.http,
        failed: (error) => this.#failed(error),
      });
      await this.#http.listen(httpHost ?? LOCALHOST, httpPort);
    }
  }

  async #stop(): Promise<void> {
    await this.#listener.stopListening();
    await this.#listener.closeAll(320, 'broker is stopping', this.#core.limits.stopMs);
    await this.#http?.stop();
    this.#clock.stop();
    const { keepTransient = false } = this.#options;
    this.#lost = memoryOnly(this.#core, keepTransient);
    try {
      await closeStore(this.#core, keepTransient);
    } catch (error) {
      // Why it failed was told when it did.
      if (this.#failure === undefined) throw error;
    }
  }

  /** The disk failed: nothing more is confirmed. The host process goes on. */
  #storageFailed(error: NaruError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const session of this.#listener.sessions) session.abort();
    this.#failed(error);
    this.stop().catch((problem: unknown) => this.#failed(problem));
  }

  /** The default virtual host and user, then what the definitions say. */
  #furnish(): void {
    const core = this.#core;
    const { definitions } = this.#options;
    // A folder that was used before has its own virtual hosts and users.
    const isFresh = [...core.users.all].length === 0;
    if (isFresh) core.addVhost('/');
    if (isFresh && definitions?.users === undefined) {
      core.users.put({
        name: GUEST,
        passwordHash: hashPassword(GUEST, randomBytes(4)),
        tags: ['administrator'],
      });
      core.users.allow(GUEST, '/', { configure: '.*', write: '.*', read: '.*' });
    }
    if (definitions !== undefined) importDefinitions(core, definitions);
  }

  #find(which: string | undefined): Session[] {
    return [...this.#listener.sessions].filter(
      ({ connection }) => which === undefined || connection.name === which,
    );
  }

  /** An EventEmitter without a listener for `error` would throw into the host: then nobody wants to know. */
  #failed(error: unknown): void {
    // Who publishes while the broker ends meets the same failure: it was told once.
    const isKnown =
      this.#failure !== undefined && error !== this.#failure && isNaruError(error, this.#failure.code);
    if (isKnown || this.listenerCount('error') === 0) return;
    const known = error instanceof Error ? error : new NaruError('NARU_REMOTE', String(error));
    this.emit('error', known);
  }
}

/** Loads what works with a disk only where there is one: a broker in memory starts sooner without it. */
async function openStore(dataDir: string, sync: Level): Promise<Store> {
  const { openLog } = await import('../../disk/index.ts');
  return Store.open((hooks) => openLog(dataDir, hooks), sync);
}
