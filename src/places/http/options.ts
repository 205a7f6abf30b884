// What only http:// knows: its parameters, where a mailbox is on its server, and the token.

import { isIP } from 'node:net';
import type { TcpTarget } from '../../link/tcp-socket.ts';
import { flag, invalid, number, readTls } from '../../link/port-options.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';

/** Parameters of an http URL that are not options of every place. */
export const PARAMETERS: readonly string[] = [
  'listen',
  'mount',
  'anonymous',
  'heartbeatMs',
  'maxConnections',
  'maxPolls',
  'requestTimeoutMs',
];

export interface HttpOptions extends TcpTarget {
  readonly scheme: 'http' | 'https';
  /** `/name`, below `/` or below where it is mounted: `/queues/name`. */
  readonly path: string;
  readonly listen: boolean;
  /** The mailbox has no port of its own: its handler is mounted in a server of the program. */
  readonly mount: boolean;
  /** It listens for whoever comes, under any name. */
  readonly anonymous: boolean;
  /** Default 5,000; 0 = none. */
  readonly heartbeatMs: number;
  /** Connections to the port, and handles of Naru on the mailbox. Default 1,000. */
  readonly connectionsMax: number;
  /** Requests that wait for a message or an answer, and event streams, together. Default 1,000. */
  readonly pollsMax: number;
  /** Longest time a request may take to arrive. Default 30,000. */
  readonly requestTimeoutMs: number;
  /** The bearer token; undefined = none is asked for, or sent. */
  readonly token: string | undefined;
}

const PATH = /^(\/[A-Za-z0-9._~-]{1,128}){1,8}$/;

/** @throws NARU_INVALID_ARGUMENT  no host, no name, a number that is none, TLS without certificate, an open door */
export function readHttpOptions(url: PlaceUrl, options: PlaceOptions): HttpOptions {
  const mount = flag(url, 'mount');
  const listen = flag(url, 'listen');
  if (mount && listen) throw invalid(url, 'a mailbox is mounted (?mount) or has a port (?listen), not both');
  const scheme = url.scheme === 'https' ? 'https' : 'http';
  const anonymous = flag(url, 'anonymous');
  const token = readToken(url, options);
  const port = readPort(url, { mount, listen, scheme });
  if (!PATH.test(url.path)) {
    throw invalid(url, 'name the mailbox after the host: http://127.0.0.1:8080/jobs (A-Z a-z 0-9 . _ ~ -)');
  }
  if (scheme === 'http' && options.tls !== undefined) {
    throw invalid(url, 'options.tls is for https:// URLs');
  }
  if (listen && token === undefined && !isLoopback(url.host) && !anonymous) {
    throw invalid(
      url,
      `whoever reaches ${url.host} could use the mailbox: give a token (http://:TOKEN@host…, or options.key), or say ?anonymous`,
    );
  }
  return {
    scheme,
    host: url.host,
    port,
    path: url.path,
    listen,
    mount,
    anonymous,
    heartbeatMs: number(url, 'heartbeatMs', 5_000, 0, 3_600_000),
    connectionsMax: number(url, 'maxConnections', 1_000, 1, 65_536),
    pollsMax: number(url, 'maxPolls', 1_000, 1, 65_536),
    requestTimeoutMs: number(url, 'requestTimeoutMs', 30_000, 100, 3_600_000),
    token,
    tls: scheme === 'https' && !mount ? readTls(url, options, listen) : undefined,
  };
}

/** The URL that leads to a mailbox. */
export function httpAddress({ scheme, host, path }: HttpOptions, port: number): string {
  if (host === '') return `${scheme}://${path}`;
  return `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}${path}`;
}

function readPort(
  url: PlaceUrl,
  { mount, listen, scheme }: Pick<HttpOptions, 'mount' | 'listen' | 'scheme'>,
): number {
  if (mount) {
    if (url.host === '' && url.port === undefined) return 0;
    throw invalid(url, 'a mailbox that is mounted has no host: http:///jobs?mount');
  }
  if (url.host === '') throw invalid(url, 'name the host: http://127.0.0.1:8080/jobs');
  if (listen && url.port === undefined) throw invalid(url, 'name the port to listen on (0 picks a free one)');
  if (url.port === 0 && !listen) throw invalid(url, 'port 0 is only for listening (?listen)');
  return url.port ?? (scheme === 'https' ? 443 : 80);
}

function readToken(url: PlaceUrl, { key }: PlaceOptions): string | undefined {
  if (url.username !== '' && url.password === '') {
    throw invalid(url, 'the token stands where a password does: http://:TOKEN@host…');
  }
  const token = key ?? (url.password === '' ? undefined : url.password);
  if (token !== undefined && !/^[\x21-\x7e]{1,1024}$/.test(token)) {
    throw invalid(url, 'a token is 1 to 1,024 visible characters of ASCII');
  }
  return token;
}

/** Addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' || host.endsWith('.localhost') || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
  );
}
