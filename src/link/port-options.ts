// What places behind a port read out of their URL in the same way: flags, numbers, TLS. Which parameters there are is in each
// place's options.ts.

import { readFileSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import type { PlaceOptions, PlaceUrl } from '../mailbox/place.ts';
import type { TlsSettings } from './tcp-socket.ts';

/** A parameter that is said or not said. @throws NARU_INVALID_ARGUMENT */
export function flag(url: PlaceUrl, name: string): boolean {
  const text = url.extra[name];
  if (text === undefined || text === 'false' || text === '0') return false;
  if (text === '' || text === 'true' || text === '1') return true;
  throw invalid(url, `${name} is said or not said, got "${text.slice(0, 40)}"`);
}

/** A parameter that is a whole number. @throws NARU_INVALID_ARGUMENT */
export function number(url: PlaceUrl, name: string, otherwise: number, min: number, max: number): number {
  const text = url.extra[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw invalid(url, `${name} must be a whole number from ${min} to ${max}, got "${text.slice(0, 40)}"`);
}

/**
 * What TLS is given, read from files where the options name files.
 * @throws NARU_INVALID_ARGUMENT  a listener without certificate, a file that cannot be read
 */
export function readTls(url: PlaceUrl, { tls = {} }: PlaceOptions, listen: boolean): TlsSettings {
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
    throw invalid(url, `the file of options.tls.${name} cannot be read`, cause);
  }
}

/** An error about the URL or its options. */
export function invalid(url: PlaceUrl, what: string, cause?: unknown): NaruError {
  const context = { place: url.scheme, mailbox: url.text, cause };
  return new NaruError('NARU_INVALID_ARGUMENT', `${url.text}: ${what}`, context);
}
