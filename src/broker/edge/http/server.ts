// The broker's HTTP port: health, metrics, the state page and the management API. Not there unless asked for.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isNaruError, NaruError } from '../../../errors/index.ts';
import type { Core } from '../../core.ts';
import { Refusal } from '../../refusal.ts';
import type { User } from '../../users.ts';
import type { Listener } from '../listener.ts';
import { HttpError, notFound } from './http-error.ts';
import { stateOf } from './state.ts';
import { metricsText, objectMetricsText } from './metrics.ts';
import { statePage } from './page.ts';
import { pageOf } from './pages.ts';
import { checkOrigin, readBody, userOf } from './request.ts';
import { checkAccess, is } from './access.ts';
import type { Route } from './route.ts';
import { ROUTES } from './routes/index.ts';

export interface HttpInit {
  readonly core: Core;
  readonly listener: Listener;
  /** Sockets it may have, by the descriptors that there are. */
  readonly connectionsMax: number;
  /** A mistake of the broker's own. */
  readonly failed: (error: unknown) => void;
}

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const SAFE_HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

/** What becomes of a reply that a client would get over AMQP. */
const STATUS: Readonly<Record<number, number>> = { 403: 403, 404: 404 };

export class HttpEdge {
  readonly #server: Server;
  readonly #init: HttpInit;
  #host = '';
  port = 0;

  constructor(init: HttpInit) {
    this.#init = init;
    const { limits } = init.core;
    this.#server = createServer(
      {
        headersTimeout: limits.httpHeadersMs,
        requestTimeout: limits.httpRequestMs,
        // Node looks at its timeouts only so often: every 30 seconds unless it is told.
        connectionsCheckingInterval: Math.min(1000, limits.httpHeadersMs),
      },
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
      const { status, message: reason, more } = this.#problem(error);
      const challenge = status === 401 ? { 'www-authenticate': 'Basic realm="Naru broker"' } : {};
      send(
        response,
        status,
        'application/json',
        JSON.stringify({ error: reason, reason, ...more }),
        challenge,
      );
    }
  }

  async #dispatch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { core, listener } = this.#init;
    const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
    if (path.startsWith('/api/')) {
      await this.#api(request, response, path.slice(5), new URLSearchParams(query));
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new HttpError(405, 'Method Not Allowed');
    if (path === '/health') {
      send(response, 200, 'application/json', JSON.stringify(stateOf(core)));
    } else if (path === '/metrics') send(response, 200, METRICS_TYPE, metricsText(core, listener));
    else if (path === '/metrics/per-object') {
      // Names of queues and users are nobody's business who is not known.
      checkMonitoring(userOf(core, request));
      send(response, 200, METRICS_TYPE, objectMetricsText(core, listener));
    } else if (path === '/') {
      checkMonitoring(userOf(core, request));
      send(response, 200, 'text/html; charset=utf-8', statePage(core, listener));
    } else throw notFound();
  }

  async #api(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    query: URLSearchParams,
  ): Promise<void> {
    const { core, listener } = this.#init;
    // Who is not known learns nothing, not even which routes there are.
    const user = userOf(core, request);
    const parts = decode(path);
    const { route, values } = find(request.method === 'HEAD' ? 'GET' : (request.method ?? ''), parts);
    checkAccess(route, { core, user, values });
    const body = await readBody(request, core.limits.httpBodyBytesMax);
    // While the body came its sender may have lost what it had.
    checkAccess(route, { core, user: userOf(core, request), values });
    const result = pageOf(
      await route.call({ core, listener, user, values, body }),
      query,
      core.limits.httpPageMax,
    );
    core.endTurn();
    if (route.method !== 'GET') await core.settled();
    if (result === undefined) send(response, 204, 'application/json', '');
    else send(response, 200, 'application/json', JSON.stringify(result));
  }

  #problem(error: unknown): HttpError {
    if (error instanceof HttpError) return error;
    if (error instanceof Refusal) return new HttpError(STATUS[error.code] ?? 400, error.message);
    if (isNaruError(error)) return new HttpError(400, error.message);
    this.#init.failed(error);
    return new HttpError(500, 'Internal Server Error');
  }
}

function checkMonitoring(user: User): void {
  if (!is(user, 'monitoring')) throw new HttpError(403, `user '${user.name}' is not monitoring`);
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
