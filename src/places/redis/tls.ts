// TLS of rediss://: whose certificates are believed, our own where the server wants one, and what a failed handshake means.

import { readFileSync } from 'node:fs';
import { NaruError, type NaruErrorCode } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';

/** Parameters of the URL that name files (PEM): the authority to believe; our certificate and its key. */
export const TLS_PARAMETERS = ['ca', 'cert', 'key'] as const;

/**
 * @returns the options of the socket; nothing for redis://
 * @throws NARU_INVALID_ARGUMENT  a parameter without rediss://, `cert` without `key`, a file that cannot be read
 */
export function tlsOptions(url: PlaceUrl): object {
  const stated = TLS_PARAMETERS.filter((name) => url.extra[name] !== undefined);
  if (url.scheme !== 'rediss') {
    if (stated.length === 0) return {};
    throw invalid(url, `${stated.join(', ')} belongs to TLS; say rediss:// instead of ${url.scheme}://`);
  }
  if (stated.includes('cert') !== stated.includes('key'))
    throw invalid(url, 'cert and key go together: a certificate of our own, and its private key');
  const files = stated.map((name) => [name, readPem(url, name)] as const);
  return { tls: true, ...Object.fromEntries(files) };
}

/** The parameters as they stand in an address. */
export function tlsQuery({ extra }: PlaceUrl): string {
  return TLS_PARAMETERS.filter((name) => extra[name] !== undefined)
    .map((name) => `&${name}=${encodeURIComponent(extra[name] as string)}`)
    .join('');
}

/** What a handshake that failed means; undefined: it was no handshake. */
export function tlsMeaning(code: string | undefined): readonly [NaruErrorCode, string] | undefined {
  if (code === undefined) return undefined;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return ['NARU_DENIED', 'the certificate of the server is for another host name'];
  if (/^(SELF_SIGNED|DEPTH_ZERO_SELF|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_)/.test(code))
    return [
      'NARU_DENIED',
      'the certificate of the server is not believed; name the authority that signed it: ?ca=/path/ca.pem',
    ];
  if (/^ERR_SSL_.*(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE)/.test(code))
    return ['NARU_DENIED', 'the server wants a certificate of ours: ?cert=/path/cert.pem&key=/path/key.pem'];
  if (/^(ERR_SSL_|EPROTO)/.test(code))
    return ['NARU_DISCONNECTED', 'the server does not speak TLS on this port; is it redis:// there?'];
  return undefined;
}

function readPem(url: PlaceUrl, name: string): Buffer {
  const path = url.extra[name] as string;
  try {
    return readFileSync(path);
  } catch (error) {
    throw invalid(url, `${name}: ${(error as Error).message}`);
  }
}

function invalid(url: PlaceUrl, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${url.text}: ${what}`, {
    place: url.scheme,
    mailbox: url.text,
  });
}
