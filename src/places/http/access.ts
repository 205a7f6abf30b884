// Who may use a mailbox: whoever knows the token; where there is none, programs of this machine, but no page of a browser.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { NaruError } from '../../errors/index.ts';
import { isLoopback } from './options.ts';

export class Access {
  readonly #digest: Buffer | undefined;
  readonly #hostName: string | undefined;

  /** @param hostName  where it listens; undefined: any name will do, as behind a server of the program, which has its own */
  constructor(token: string | undefined, hostName: string | undefined) {
    this.#digest = token === undefined ? undefined : digest(token);
    this.#hostName = hostName;
  }

  /** @returns the status and error of a request that is refused */
  refusal({ headers }: IncomingMessage): { status: number; error: NaruError } | undefined {
    if (this.#digest !== undefined) {
      const given = /^Bearer ([\x21-\x7e]{1,1024})$/i.exec(headers.authorization ?? '')?.[1];
      // Digests are of one length, and comparing them takes one time.
      if (given !== undefined && timingSafeEqual(digest(given), this.#digest)) return undefined;
      return refuse(401, given === undefined ? 'a bearer token is asked for' : 'this is not the token');
    }
    // Any page that a browser of this machine shows could send here, and with a name of its own read, too.
    if (headers.origin !== undefined) return refuse(403, 'pages of browsers need a token here');
    if (this.#hostName === undefined || this.#knows(headers.host ?? '')) return undefined;
    return refuse(
      403,
      'the Host header names another host than this; without a token only its own names are answered',
    );
  }

  #knows(host: string): boolean {
    const name = host
      .replace(/:\d+$/, '')
      .replace(/^\[|\]$/g, '')
      .toLowerCase();
    return isIP(name) !== 0 || isLoopback(name) || name === this.#hostName?.toLowerCase();
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function refuse(status: number, text: string): { status: number; error: NaruError } {
  return { status, error: new NaruError('NARU_DENIED', text, { place: 'http' }) };
}
