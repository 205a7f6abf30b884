// The broker's HTTP port: health, metrics, the state page and the management API. Not there unless asked for.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isNaruError, NaruError } from '../../../errors/index.ts';
import type { Core } from '../../core.ts';
import { Refusal } from '../../refusal.ts';
import type { User } from '../../users.ts';
import type { Listener } from '../listener.ts';
import { HttpError, notFound } from './http-error.ts';
import { metricsText } from './metrics.ts';
import { statePage } from './page.ts';
import { checkOrigin, readBody, userOf } from './request.ts';
import { ROUTES, type Role, type Route } from './routes.ts';

export interface HttpInit {
  readonly core: Core;
  readonly listener: Listener;
  /** Sockets it may have, by the descriptors that there are. */
  readonly connectionsMax: number;
  /** A mistake of the broker's own. */
  readonly failed: (error: unknown) => void;
}

const SAFE_HEADERS = {
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

export class HttpEdge {
  readonly #server: Server;
  readonly #init: HttpInit;
  #host = '';
  port = 0;

  constructor(init: HttpInit) {
    this.#init = init;
    const { limits } = init.core;
    this.#server = createServer(
      { headersTimeout: limits.httpHeadersMs, requestTimeout: limits.httpRequestMs },
      (request, response) => {
        void this.#answer(request, response);
      },
    );
    this.#server.setTimeout(limits.httpIdleMs);
    this.#server.maxConnections = Math.min(limits.httpConnectionsMax, init.connectionsMax);
  }

  /**
   * @throws NARU_EXISTS  the port is taken
   * @throws NARU_DENIED  the system does not allow it
   */
  async listen(host: string, port: number): Promise<void> {
    this.#host = host;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        const code = cause.code === 'EADDRINUSE' ? 'NARU_EXISTS' : 'NARU_DENIED';
        const text = `the broker cannot listen for HTTP on ${host}:${port}: ${cause.message}; choose another port or 0`;
        reject(new NaruError(code, text, { cause }));
      });
      this.#server.listen(port, host, resolve);
    });
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      checkOrigin(request, this.#host);
      await this.#dispatch(request, response);
    } catch (error) {
      const { status, reason } = this.#problem(error);
      const challenge = status === 401 ? { 'www-authenticate': 'Basic realm="Naru broker"' } : {};
      send(response, status, 'application/json', JSON.stringify({ error: reason, reason }), challenge);
    }
  }

  async #dispatch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { core, listener } = this.#init;
    const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
    if (path.startsWith('/api/')) {
      await this.#api(request, response, path.slice(5), query);
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new HttpError(405, 'Method Not Allowed');
    if (path === '/health') {
      const status = core.blocked === undefined ? 'ok' : 'blocked';
      send(response, 200, 'application/json', JSON.stringify({ status, reason: core.blocked }));
    } else if (path === '/metrics') {
      send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', metricsText(core, listener));
    } else if (path === '/') {
      checkRole(userOf(core, request), 'management');
      send(response, 200, 'text/html; charset=utf-8', statePage(core, listener));
    } else throw notFound();
  }

  async #api(request: IncomingMessage, response: ServerResponse, path: string, query: string): Promise<void> {
    const { core, listener } = this.#init;
    // Who is not known learns nothing, not even which routes there are.
    const user = userOf(core, request);
    const parts = decode(path);
    const found = find(request.method === 'HEAD' ? 'GET' : (request.method ?? ''), parts);
    checkRole(user, found.route.role);
    const body = await readBody(request, core.limits.httpBodyBytesMax);
    const api = { method: found.route.method, parts, query: new URLSearchParams(query), user, body };
    const result = found.route.call({ core, listener, request: api, values: found.values });
    core.endTurn();
    if (result === undefined)
      send(response, found.route.method === 'GET' ? 200 : 204, 'application/json', '');
    else send(response, 200, 'application/json', JSON.stringify(result));
  }

  #problem(error: unknown): { readonly status: number; readonly reason: string } {
    if (error instanceof HttpError) return { status: error.status, reason: error.message };
    if (error instanceof Refusal || isNaruError(error)) return { status: 400, reason: error.message };
    this.#init.failed(error);
    return { status: 500, reason: 'Internal Server Error' };
  }
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { ...SAFE_HEADERS, 'content-type': type, ...headers });
  response.end(text);
}

function decode(path: string): string[] {
  try {
    return path.replace(/\/$/, '').split('/').map(decodeURIComponent);
  } catch {
    throw new HttpError(400, 'the path is not encoded as it must be');
  }
}

function find(
  method: string,
  parts: readonly string[],
): { readonly route: Route; readonly values: readonly string[] } {
  let isKnown = false;
  for (const route of ROUTES) {
    const wanted = route.path.split('/');
    if (wanted.length !== parts.length || !wanted.every((part, at) => part === '*' || part === parts[at]))
      continue;
    isKnown = true;
    if (route.method === method) return { route, values: parts.filter((_, at) => wanted[at] === '*') };
  }
  throw isKnown ? new HttpError(405, 'Method Not Allowed') : notFound();
}

const ROLES: Readonly<Record<Role, readonly string[]>> = {
  user: [],
  management: ['management', 'policymaker', 'monitoring', 'administrator'],
  administrator: ['administrator'],
};

function checkRole(user: User, role: Role): void {
  const tags = ROLES[role];
  if (tags.length === 0 || tags.some((tag) => user.tags.includes(tag))) return;
  throw new HttpError(403, `user '${user.name}' is not ${role}`);
}
