// What only ws:// and wss:// know: their parameters, the key, and the origins that may connect.

import { checkKey, readKeyFile } from '../../link/key.ts';
import { flag, invalid, number, readTls } from '../../link/port-options.ts';
import type { TcpTarget } from '../../link/tcp-socket.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';

/** Parameters of a ws URL that are not options of every place. */
export const PARAMETERS: readonly string[] = [
  'listen',
  'keyFile',
  'origins',
  'heartbeatMs',
  'maxConnections',
];

export interface WsOptions extends TcpTarget {
  /** As it stands in the address bar of a browser: `/`, `/ticks`. */
  readonly path: string;
  readonly listen: boolean;
  /** What everybody must know who connects; undefined = nothing is asked. */
  readonly key: string | undefined;
  /** Where the key stands, for addresses that are handed on. */
  readonly keyFile: string | undefined;
  /** Pages of these origins may connect, beside those of this machine and of the listener's own host; '*' = all. */
  readonly origins: readonly string[];
  /** Default 5,000; 0 = none. */
  readonly heartbeatMs: number;
  /** Default 1,000. */
  readonly connectionsMax: number;
}

/** @throws NARU_INVALID_ARGUMENT  no host, no port, a number that is none, TLS without certificate, a key that is none */
export function readWsOptions(url: PlaceUrl, options: PlaceOptions): WsOptions {
  const listen = flag(url, 'listen');
  const isSecure = url.scheme === 'wss';
  const { host, port = isSecure ? 443 : 80, text } = url;
  if (host === '') throw invalid(url, 'name a host: ws://127.0.0.1:8080/ticks');
  if (port === 0 && !listen) throw invalid(url, 'port 0 is only for listening (?listen)');
  if (!isSecure && options.tls !== undefined) throw invalid(url, 'TLS is said by the scheme: wss://');
  if (url.username !== '') throw invalid(url, 'there are no users here: ws://:KEY@host, or the option key');
  const keyFile = url.extra['keyFile'];
  const given = options.key ?? (url.password === '' ? undefined : url.password);
  const key = given ?? (keyFile === undefined ? undefined : readKeyFile(keyFile, text));
  return {
    host,
    port,
    path: encodeURI(url.path === '' ? '/' : url.path),
    listen,
    key: key === undefined ? undefined : checkKey(key, text),
    keyFile: given === undefined ? keyFile : undefined,
    origins: readOrigins(url, listen),
    heartbeatMs: number(url, 'heartbeatMs', 5_000, 0, 3_600_000),
    connectionsMax: number(url, 'maxConnections', 1_000, 1, 65_536),
    tls: isSecure ? readTls(url, options, listen) : undefined,
    place: 'ws',
  };
}

function readOrigins(url: PlaceUrl, listen: boolean): readonly string[] {
  const text = url.extra['origins'];
  if (text === undefined) return [];
  if (!listen) throw invalid(url, 'origins are for who listens');
  const origins = text.split(',');
  const wrong = origins.find((one) => one !== '*' && one !== 'null' && !ORIGIN.test(one));
  if (wrong === undefined) return origins;
  throw invalid(
    url,
    `an origin is https://shop.example or http://host:port, without a path; got "${wrong.slice(0, 60)}"`,
  );
}

const ORIGIN = /^https?:\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/;
