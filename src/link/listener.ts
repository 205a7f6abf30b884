// Takes connections for a host: bounded in number, each one checked, all closed with it. Where it listens is the place's
// business.

import type { Server, Socket } from 'node:net';
import { NaruError } from '../errors/index.ts';
import { FrameType, FrameWriter, PROTOCOL } from '../wire/frames.ts';
import { encodePreamble } from '../wire/splitter.ts';
import type { LinkStream } from './connection.ts';
import { HostConnection } from './host-connection.ts';
import type { Host } from './host.ts';
import { LINK } from './limits.ts';

export interface ListenerInit {
  readonly host: Host;
  readonly heartbeatMs: number;
  readonly connectionsMax: number;
  /** Event of the server that brings a connection ready for use. */
  readonly event: 'connection' | 'secureConnection';
  /** @throws NARU_DENIED  the peer may not use the mailbox */
  readonly checkPeer: (socket: Socket) => void;
  /** What stands between a socket and the link's protocol: makes the stream, or ends the socket. Default: the socket is it. */
  readonly admit?: ((socket: Socket, ready: (stream: LinkStream) => void) => void) | undefined;
  /** As HostConnectionInit. */
  readonly checkHello?: ((hello: Readonly<Record<string, unknown>>) => void) | undefined;
  readonly unlink: () => Promise<void>;
}

export class Listener {
  readonly #server: Server;
  readonly #init: ListenerInit;
  readonly #connections = new Set<HostConnection>();
  /** Refused ones, and those that are not ready yet: all that is cut off when it closes. */
  readonly #passing = new Set<LinkStream>();
  #closed: Promise<void> | undefined;

  /** @param server  listening, or about to */
  constructor(server: Server, init: ListenerInit) {
    this.#server = server;
    this.#init = init;
    server.maxConnections = init.connectionsMax + LINK.refusalsMax;
    server.on(init.event, (socket: Socket) => this.#onSocket(socket));
    server.on('drop', () => {
      init.host.counters.refusedConnections += 1;
    });
    // A connection that ends before it is ready (a TLS handshake with the wrong bytes) concerns nobody else.
    server.on('tlsClientError', (_error, socket: Socket) => {
      init.host.counters.brokenConnections += 1;
      socket.destroy();
    });
  }

  /** Takes no more connections and resolves when those that were there are closed. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const gone = Array.from(this.#connections, ({ connection }) => {
      connection.close(undefined);
      return connection.whenGone();
    });
    for (const stream of this.#passing) stream.destroy();
    await Promise.all([
      ...gone,
      new Promise<void>((resolve) => {
        this.#server.close(() => resolve());
      }),
    ]);
  }

  #onSocket(socket: Socket): void {
    const { admit, checkPeer } = this.#init;
    socket.setNoDelay?.(true);
    if (admit === undefined) {
      this.#onStream(socket, () => checkPeer(socket));
      return;
    }
    this.#pass(socket, LINK.helloTimeoutMs);
    admit(socket, (stream) => {
      this.#passing.delete(socket);
      this.#onStream(stream, () => checkPeer(socket));
    });
  }

  #onStream(stream: LinkStream, check: () => void): void {
    const { host, connectionsMax, heartbeatMs, unlink, checkHello } = this.#init;
    try {
      if (this.#connections.size >= connectionsMax) {
        throw new NaruError(
          'NARU_LIMIT',
          `${host.mailbox}: ${connectionsMax} connections are open, that is the limit; raise maxConnections where it listens`,
          host,
        );
      }
      check();
    } catch (error) {
      host.counters.refusedConnections += 1;
      this.#refuse(stream, error);
      return;
    }
    host.counters.connections += 1;
    const connection = new HostConnection(stream, {
      host,
      heartbeatMs,
      checkHello,
      unlink,
      closed: (closed) => {
        if (this.#connections.delete(closed)) host.counters.connections -= 1;
      },
    });
    this.#connections.add(connection);
  }

  #refuse(stream: LinkStream, error: unknown): void {
    this.#pass(stream, LINK.byeMs);
    const writer = new FrameWriter({ emit: (bytes) => stream.write(bytes), wake: () => undefined });
    stream.resume();
    stream.write(encodePreamble(PROTOCOL.major, PROTOCOL.minor));
    writer.text(FrameType.bye, JSON.stringify(error));
    writer.flush();
    stream.end();
  }

  /** It may be there for so long, unless it is taken off the list before. */
  #pass(stream: LinkStream, ms: number): void {
    this.#passing.add(stream);
    const timer = setTimeout(() => {
      if (this.#passing.has(stream)) stream.destroy();
    }, ms).unref();
    stream.on('error', () => undefined);
    stream.on('close', () => {
      clearTimeout(timer);
      this.#passing.delete(stream);
    });
  }
}
