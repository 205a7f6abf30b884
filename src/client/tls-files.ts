// The certificates of the option `tls`, as sockets of Node want them: each is a text in PEM or the path of a file.

import { readFileSync } from 'node:fs';
import type { TlsOptions } from '../mailbox/options.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import { refusal } from '../mailbox/refusal.ts';

/** @throws NARU_INVALID_ARGUMENT  a file cannot be read */
export function readTls(url: PlaceUrl, tls: TlsOptions | undefined): object {
  const { ca, cert, key, servername } = tls ?? {};
  const read = (name: string, text: string | undefined): object =>
    text === undefined ? {} : { [name]: text.includes('-----BEGIN') ? text : readPem(url, name, text) };
  return {
    ...(servername === undefined ? {} : { servername }),
    ...read('ca', ca),
    ...read('cert', cert),
    ...read('key', key),
  };
}

function readPem(url: PlaceUrl, name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw refusal('NARU_INVALID_ARGUMENT', url, `tls.${name}: ${(error as Error).message}`);
  }
}
