// What only tcp:// knows: its parameters, and what TLS needs.

import { readFileSync } from 'node:fs';
import { NaruError } from '../../errors/index.ts';
import type { TcpTarget, TlsSettings } from '../../link/tcp-socket.ts';
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

function readTls(url: PlaceUrl, { tls = {} }: PlaceOptions, listen: boolean): TlsSettings {
  if (listen && (tls.cert === undefined || tls.key === undefined)) {
    throw invalid(url, 'listening with TLS needs options.tls.cert and options.tls.key (PEM text or a file)');
  }
  return {
    servername: tls.servername,
    requestCert: tls.requestCert ?? false,
    ...pem(url, 'ca', tls.ca),
    ...pem(url, 'cert', tls.cert),
    ...pem(url, 'key', tls.key),
  };
}

function pem(url: PlaceUrl, name: 'ca' | 'cert' | 'key', value: string | undefined): Partial<TlsSettings> {
  if (value === undefined) return {};
  if (value.includes('-----BEGIN')) return { [name]: value };
  try {
    return { [name]: readFileSync(value, 'utf8') };
  } catch (cause) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${url.text}: the file of options.tls.${name} cannot be read`,
      {
        place: 'tcp',
        mailbox: url.text,
        cause,
      },
    );
  }
}

function flag(url: PlaceUrl, name: string): boolean {
  const text = url.extra[name];
  if (text === undefined || text === 'false' || text === '0') return false;
  if (text === '' || text === 'true' || text === '1') return true;
  throw invalid(url, `${name} is said or not said, got "${text.slice(0, 40)}"`);
}

function number(url: PlaceUrl, name: string, otherwise: number, min: number, max: number): number {
  const text = url.extra[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw invalid(url, `${name} must be a whole number from ${min} to ${max}, got "${text.slice(0, 40)}"`);
}

function invalid(url: PlaceUrl, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${url.text}: ${what}`, { place: 'tcp', mailbox: url.text });
}
