// What only unix:// knows: its parameters, and what a path must be.

import { NaruError } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';

/** Parameters of a unix URL that are not options of every place. */
export const PARAMETERS: readonly string[] = ['heartbeatMs', 'maxConnections'];

/** Longest path of a socket in bytes: unix(7), sockaddr_un without its final zero. */
const PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103;

export interface UnixOptions {
  readonly path: string;
  /** Default 0: none. The kernel tells when a process of this machine dies, and one that is only busy must not be dropped. */
  readonly heartbeatMs: number;
  /** Default 1,000. */
  readonly connectionsMax: number;
}

/** @throws NARU_INVALID_ARGUMENT  no absolute path, a path that is too long, a number that is none */
export function readUnixOptions(url: PlaceUrl): UnixOptions {
  const { path, host, text } = url;
  const bytes = Buffer.byteLength(path);
  if (host !== '' || !path.startsWith('/') || path.endsWith('/') || path.includes('\0')) {
    throw invalid(text, 'name the socket by an absolute path: unix:///run/user/1000/orders.sock');
  }
  if (bytes > PATH_BYTES_MAX) {
    throw invalid(text, `the path has ${bytes} bytes, a socket's path has at most ${PATH_BYTES_MAX}`);
  }
  return {
    path,
    heartbeatMs: number(url, 'heartbeatMs', 0, 0, 3_600_000),
    connectionsMax: number(url, 'maxConnections', 1_000, 1, 65_536),
  };
}

/** The URL that leads to a socket. */
export function unixAddress(path: string, query: string): string {
  return `unix://${path.split('/').map(encodeURIComponent).join('/')}${query}`;
}

function number(url: PlaceUrl, name: string, otherwise: number, min: number, max: number): number {
  const text = url.extra[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw invalid(url.text, `${name} must be a whole number from ${min} to ${max}, got "${text.slice(0, 40)}"`);
}

function invalid(mailbox: string, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${mailbox}: ${what}`, { place: 'unix', mailbox });
}
