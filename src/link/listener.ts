// Takes connections for a host: bounded in number, each one checked, all closed with it. Where it listens is the place's
// business.

import type { Server, Socket } from 'node:net';
import { NaruError } from '../errors/index.ts';
import { FrameType, FrameWriter, PROTOCOL } from '../wire/frames.ts';
import { encodePreamble } from '../wire/splitter.ts';
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
  readonly unlink: () => Promise<void>;
}

export class Listener {
  readonly #server: Server;
  readonly #init: ListenerInit;
  readonly #connections = new Set<HostConnection>();
  readonly #refused = new Set<Socket>();
  #closed: Promise<void> | undefined;

  /** @param server  listening, or about to */
  constructor(server: Server, init: ListenerInit) {
    this.#server = server;
    this.#init = init;
    server.maxConnections = init.connectionsMax + LINK.refusalsMax;
    server.on(init.event, (socket: Socket) => this.#onConnection(socket));
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
    for (const socket of this.#refused) socket.destroy();
    await Promise.all([
      ...gone,
      new Promise<void>((resolve) => {
        this.#server.close(() => resolve());
      }),
    ]);
  }

  #onConnection(socket: Socket): void {
    const { host, connectionsMax, checkPeer, heartbeatMs, unlink } = this.#init;
    try {
      if (this.#connections.size >= connectionsMax) {
        throw new NaruError(
          'NARU_LIMIT',
          `${host.mailbox}: ${connectionsMax} connections are open, that is the limit; raise maxConnections where it listens`,
          host,
        );
      }
      checkPeer(socket);
    } catch (error) {
      host.counters.refusedConnections += 1;
      this.#refuse(socket, error);
      return;
    }
    host.counters.connections += 1;
    socket.setNoDelay?.(true);
    const connection = new HostConnection(socket, {
      host,
      heartbeatMs,
      unlink,
      closed: (closed) => {
        if (this.#connections.delete(closed)) host.counters.connections -= 1;
      },
    });
    this.#connections.add(connection);
  }

  #refuse(socket: Socket, error: unknown): void {
    this.#refused.add(socket);
    const writer = new FrameWriter({ emit: (bytes) => socket.write(bytes), wake: () => undefined });
    const timer = setTimeout(() => socket.destroy(), LINK.byeMs);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      this.#refused.delete(socket);
    });
    socket.resume();
    socket.write(encodePreamble(PROTOCOL.major, PROTOCOL.minor));
    writer.text(FrameType.bye, JSON.stringify(error));
    writer.flush();
    socket.end();
  }
}
