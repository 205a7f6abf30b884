// What only tcp:// knows: its parameters.

import { flag, invalid, number, readTls } from '../../link/port-options.ts';
import type { TcpTarget } from '../../link/tcp-socket.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';

/** Parameters of a tcp URL that are not options of every place. */
export const PARAMETERS: readonly string[] = ['listen', 'tls', 'heartbeatMs', 'maxConnections'];

export interface TcpOptions extends TcpTarget {
  readonly listen: boolean;
  /** Default 5,000; 0 = none. */
  readonly heartbeatMs: number;
  /** Default 1,000. */
  readonly connectionsMax: number;
}

/** @throws NARU_INVALID_ARGUMENT  no host, no port, a number that is none, TLS without certificate */
export function readTcpOptions(url: PlaceUrl, options: PlaceOptions): TcpOptions {
  const listen = flag(url, 'listen');
  if (url.host === '' || url.port === undefined) {
    throw invalid(url, 'name host and port: tcp://127.0.0.1:5000 (port 0 with ?listen picks a free one)');
  }
  if (url.port === 0 && !listen) throw invalid(url, 'port 0 is only for listening (?listen)');
  if (url.path !== '' && url.path !== '/') {
    throw invalid(url, `a tcp URL has no path, this one has ${url.path.slice(0, 40)}`);
  }
  const wantsTls = flag(url, 'tls') || options.tls !== undefined;
  return {
    host: url.host,
    port: url.port,
    listen,
    heartbeatMs: number(url, 'heartbeatMs', 5_000, 0, 3_600_000),
    connectionsMax: number(url, 'maxConnections', 1_000, 1, 65_536),
    tls: wantsTls ? readTls(url, options, listen) : undefined,
  };
}
