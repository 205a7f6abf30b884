// Takes connections on TCP, TLS and Unix sockets and keeps a session for each. Bounds how many there are, and how many strangers.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { NaruError } from '../../errors/index.ts';
import type { PeerAddress } from '../connection/connection.ts';
import type { Core } from '../core.ts';
import { Session } from '../session.ts';
import { socketBudget, type SocketBudget } from './descriptors.ts';
import { SocketTransport } from './socket-transport.ts';

/** Where to listen. */
export interface Endpoint {
  readonly host?: string;
  readonly port?: number;
  /** Path of a Unix socket, instead of host and port. */
  readonly path?: string;
  readonly tls?: TlsOptions;
}

/** What happened at the door since the start. */
export interface DoorCounters {
  accepted: number;
  /** Closed at once: too many. */
  refused: number;
  /** Gone before their handshake was over. */
  broken: number;
}

export interface ListenerHooks {
  /** A mistake of the broker's own. */
  failed(error: unknown): void;
}

export class Listener {
  readonly sessions: Set<Session> = new Set();
  /** Where it listens. */
  readonly endpoints: { readonly protocol: string; readonly address: string; readonly port: number }[] = [];
  /** Sockets it may have; see descriptors.ts. */
  readonly budget: SocketBudget;
  readonly counters: DoorCounters = { accepted: 0, refused: 0, broken: 0 };
  readonly #core: Core;
  readonly #hooks: ListenerHooks;
  readonly #servers: Server[] = [];
  readonly #strangers = new Set<Session>();
  readonly #sockets = new Set<Socket>();
  #turnScheduled = false;

  constructor(core: Core, hooks: ListenerHooks) {
    this.#core = core;
    this.budget = socketBudget(core.limits);
    this.#hooks = hooks;
  }

  /**
   * Listens at one more place.
   * @returns the port; 0 for a Unix socket
   * @throws NARU_EXISTS  the address is taken
   * @throws NARU_DENIED  the system does not allow it
   */
  async listen(endpoint: Endpoint): Promise<number> {
    const { tls, path, host, port } = endpoint;
    const server = tls === undefined ? createServer({ noDelay: true }) : await this.#tlsServer(tls);
    const event = tls === undefined ? 'connection' : 'secureConnection';
    server.on(event, (socket: Socket) => this.#accept(socket, tls !== undefined, path));
    server.on('drop', () => {
      this.counters.refused += 1;
    });
    server.maxConnections = this.budget.connections + this.budget.handshakes;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(endpoint, error)));
      // A socket that others of this machine could write to would let them in as local users: only its owner may.
      const mask = path === undefined ? undefined : process.umask(0o177);
      server.listen(path === undefined ? { host, port: port ?? 0 } : { path }, resolve);
      if (mask !== undefined) process.umask(mask);
    });
    server.on('error', (error) => this.#hooks.failed(error));
    this.#servers.push(server);
    const bound = path === undefined ? (server.address() as AddressInfo).port : 0;
    this.endpoints.push({
      protocol: tls === undefined ? 'amqp' : 'amqp/ssl',
      address: path ?? host ?? '',
      port: bound,
    });
    return bound;
  }

  /** The session of a connection by its name. */
  find(name: string): Session | undefined {
    return [...this.sessions].find(({ connection }) => connection.name === name);
  }

  /** Ends every connection with a reply. @returns when they are gone, by force after so many milliseconds */
  async closeAll(code: number, explanation: string, withinMs: number): Promise<void> {
    const gone = Array.from(
      this.#sockets,
      (socket) =>
        new Promise<void>((resolve) => {
          socket.once('close', () => resolve());
        }),
    );
    for (const session of this.sessions) session.close(code, explanation);
    const timer = setTimeout(() => this.#destroyAll(), withinMs);
    await Promise.all(gone);
    clearTimeout(timer);
  }

  /** Takes no more connections. The sessions stay. */
  async stopListening(): Promise<void> {
    const servers = this.#servers.splice(0);
    for (const server of servers) server.close();
    await Promise.resolve();
  }

  #destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #tlsServer(tls: TlsOptions): Promise<Server> {
    const { createServer: createTlsServer } = await import('node:tls');
    const server = createTlsServer({
      ...tls,
      handshakeTimeout: this.#core.limits.handshakeMs,
      noDelay: true,
    });
    server.on('tlsClientError', (_error, socket) => {
      this.counters.broken += 1;
      socket.destroy();
    });
    return server;
  }

  #accept(socket: Socket, isTls: boolean, path: string | undefined): void {
    const { connections, handshakes } = this.budget;
    if (this.#strangers.size >= handshakes || this.#sockets.size >= connections + handshakes) {
      this.counters.refused += 1;
      socket.destroy();
      return;
    }
    this.counters.accepted += 1;
    this.#sockets.add(socket);
    const session: Session = new Session(
      this.#core,
      new SocketTransport(socket, this.#core.limits.lingerMs),
      addressOf(socket, isTls, path),
      {
        opened: () => {
          this.#strangers.delete(session);
          if (this.sessions.size - this.#strangers.size > connections) {
            this.counters.refused += 1;
            session.close(320, `connection limit (${connections}) is reached`);
          }
        },
        closed: () => {
          if (this.#strangers.delete(session)) this.counters.broken += 1;
          this.sessions.delete(session);
        },
        failed: (error) => this.#hooks.failed(error),
      },
    );
    this.sessions.add(session);
    this.#strangers.add(session);
    this.#connect(socket, session);
  }

  #connect(socket: Socket, session: Session): void {
    socket.on('data', (chunk: Buffer) => {
      session.receive(chunk);
      this.#endTurnSoon();
    });
    socket.on('drain', () => {
      session.drained();
      this.#endTurnSoon();
    });
    // What went wrong does not matter: the connection is over.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      session.disconnected();
    });
  }

  /** All sockets that are read in one round of the event loop share a turn, and so a write for each connection. */
  #endTurnSoon(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    setImmediate(() => {
      this.#turnScheduled = false;
      this.#core.endTurn();
    });
  }
}

function addressOf(socket: Socket, isTls: boolean, path: string | undefined): PeerAddress {
  if (path !== undefined) return { text: `unix:${path}`, isLocal: true, isTls };
  const address = socket.remoteAddress ?? 'unknown';
  const isLocal = address === '::1' || /^(::ffff:)?127\./.test(address);
  return { text: `${address}:${socket.remotePort ?? 0}`, isLocal, isTls };
}

function listenError({ host, port, path }: Endpoint, cause: NodeJS.ErrnoException): NaruError {
  const where = path ?? `${host ?? ''}:${port ?? 0}`;
  if (cause.code === 'EADDRINUSE') {
    return new NaruError(
      'NARU_EXISTS',
      `the broker cannot listen on ${where}: it is in use; choose another port or 0`,
      {
        cause,
      },
    );
  }
  return new NaruError('NARU_DENIED', `the broker cannot listen on ${where}: ${cause.message}`, { cause });
}
