// The links of a mailbox to handles elsewhere: bounded in number, found by their names, all closed with it.

import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { NaruError } from '../../errors/index.ts';
import { HostConnection } from '../../link/host-connection.ts';
import type { Host } from '../../link/host.ts';
import { HttpHostStream } from './host-stream.ts';
import { LINK_ID, LINK_TYPE } from './link-words.ts';

export interface LinksInit {
  readonly host: Host;
  readonly connectionsMax: number;
  readonly heartbeatMs: number;
  /** Destroys the mailbox. */
  readonly unlink: () => Promise<void>;
}

/** The links of one mailbox. */
export class Links {
  readonly #init: LinksInit;
  readonly #streams = new Map<string, HttpHostStream>();
  readonly #connections = new Set<HostConnection>();

  constructor(init: LinksInit) {
    this.#init = init;
  }

  /** @throws NARU_LIMIT  too many are open */
  open(response: ServerResponse): void {
    const { host, connectionsMax, heartbeatMs, unlink } = this.#init;
    if (this.#connections.size >= connectionsMax) {
      host.counters.refusedConnections += 1;
      throw new NaruError(
        'NARU_LIMIT',
        `${connectionsMax} handles are connected, that is the limit; raise maxConnections where it listens`,
        { place: 'http' },
      );
    }
    const id = randomBytes(16).toString('base64url');
    response.writeHead(200, {
      'content-type': LINK_TYPE,
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      [LINK_ID]: id,
    });
    response.flushHeaders();
    const stream = new HttpHostStream(response);
    host.counters.connections += 1;
    const connection = new HostConnection(stream, {
      host,
      heartbeatMs,
      unlink,
      closed: (closed) => {
        this.#streams.delete(id);
        if (this.#connections.delete(closed)) host.counters.connections -= 1;
      },
    });
    this.#connections.add(connection);
    this.#streams.set(id, stream);
  }

  /** @throws NARU_NOT_FOUND */
  find(id: string): HttpHostStream {
    const stream = this.#streams.get(id);
    if (stream !== undefined) return stream;
    throw new NaruError('NARU_NOT_FOUND', 'there is no such link, or no longer', { place: 'http' });
  }

  async close(): Promise<void> {
    const gone = Array.from(this.#connections, ({ connection }) => {
      connection.close(undefined);
      return connection.whenGone();
    });
    await Promise.all(gone);
  }
}
