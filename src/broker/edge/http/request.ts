// One HTTP request, read and bounded before anybody looks at it; and who sent it.

import type { IncomingMessage } from 'node:http';
import { authenticate } from '../../authenticate.ts';
import type { Core } from '../../core.ts';
import type { User } from '../../users.ts';
import { badRequest, HttpError } from './http-error.ts';

/** @throws HttpError 401  no user, or a wrong password */
export function userOf(core: Core, request: IncomingMessage): User {
  const [scheme = '', credentials = ''] = (request.headers.authorization ?? '').split(' ');
  const address = request.socket.remoteAddress ?? '';
  const isLocal = address === '::1' || /^(::ffff:)?127\./.test(address);
  const decoded = Buffer.from(credentials, 'base64').toString();
  const colon = decoded.indexOf(':');
  if (scheme.toLowerCase() === 'basic' && colon > 0) {
    const response = Buffer.from(`\0${decoded.slice(0, colon)}\0${decoded.slice(colon + 1)}`);
    const user = authenticate(core.users, 'PLAIN', response, { text: address, isLocal, isTls: false });
    if (user !== undefined) return user;
  }
  throw new HttpError(401, 'Login failed');
}

/** @throws HttpError 400, 413, 415 */
export async function readBody(
  request: IncomingMessage,
  bytesMax: number,
): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new HttpError(413, `a body of more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  // A page of another site can send forms without asking, but not JSON.
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    throw new HttpError(415, 'the body must be application/json');
  }
  let body: unknown;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    throw badRequest('the body is not JSON');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest('the body is no object');
  return body as Readonly<Record<string, unknown>>;
}

/** @throws HttpError 403  another site's page, or a name that only looks like this machine */
export function checkOrigin(request: IncomingMessage, ownHost: string): void {
  const host = hostName(request.headers.host ?? '');
  if (!['localhost', '127.0.0.1', '[::1]', ownHost, `[${ownHost}]`].includes(host) && !isAny(ownHost)) {
    throw new HttpError(403, `the host ${JSON.stringify(host)} is not this broker's`);
  }
  const { origin } = request.headers;
  if (origin !== undefined && request.method !== 'GET' && hostOf(origin) !== request.headers.host) {
    throw new HttpError(403, 'a request from another site');
  }
}

function isAny(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function hostName(host: string): string {
  return host.replace(/:\d+$/, '').toLowerCase();
}

function hostOf(origin: string): string {
  return origin.replace(/^https?:\/\//, '');
}
