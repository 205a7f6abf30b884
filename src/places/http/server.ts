// The ports of this process: mailboxes with the same host and port share a server, each below its path. Limits on what strangers
// may cost before a route is found are here.

import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { NaruError } from '../../errors/index.ts';
import { socketError } from '../../link/tcp-socket.ts';
import { expectContinue } from './exchange.ts';
import type { Gateway } from './gateway.ts';
import { HTTP } from './limits.ts';
import type { HttpOptions } from './options.ts';
import { sendProblem } from './problem.ts';

/** How long answers that are under way may take when the server closes. */
const CLOSE_MS = 1_000;

const shared = new Map<string, Promise<HttpServer>>();

/** @throws NARU_EXISTS  the port is taken by another process, or by this one in another way; NARU_DENIED, NARU_LIMIT */
export async function serverFor(options: HttpOptions, mailbox: string): Promise<HttpServer> {
  const key = keyOf(options.host, options.port);
  const known = options.port === 0 ? undefined : shared.get(key);
  if (known !== undefined) {
    const server = await known;
    // It may have lost its last mailbox meanwhile.
    if (shared.get(key) !== known) return await serverFor(options, mailbox);
    server.checkSame(options, mailbox);
    return server;
  }
  const starting = HttpServer.listen(options, mailbox);
  if (options.port !== 0) shared.set(key, starting);
  try {
    const server = await starting;
    shared.set(keyOf(options.host, server.port), starting);
    return server;
  } catch (error) {
    shared.delete(key);
    throw error;
  }
}

/** Path and query of a request's target. */
export function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const mark = target.indexOf('?');
  return mark < 0
    ? { path: target, query: '' }
    : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

export class HttpServer {
  readonly port: number;
  readonly #server: Server;
  readonly #options: HttpOptions;
  readonly #gateways = new Map<string, Gateway>();

  private constructor(server: Server, options: HttpOptions) {
    this.#server = server;
    this.#options = options;
    this.port = (server.address() as AddressInfo).port;
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      this.#answer(request, response);
    server.on('request', answer);
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      expectContinue(request);
      answer(request, response);
    });
  }

  static listen(options: HttpOptions, mailbox: string): Promise<HttpServer> {
    const server = create(options);
    // Each handle of Naru has a connection for what it hears and one for what it says.
    server.maxConnections = options.connectionsMax * 2 + 64;
    server.maxHeadersCount = HTTP.headersMax;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(socketError(error, mailbox, 'http')));
      server.listen({ host: options.host, port: options.port, exclusive: true }, () => {
        server.removeAllListeners('error');
        server.on('error', () => undefined);
        resolve(new HttpServer(server, options));
      });
    });
  }

  /** @throws NARU_EXISTS  it speaks otherwise than this mailbox wants to */
  checkSame({ scheme, tls }: HttpOptions, mailbox: string): void {
    const own = this.#options;
    if (own.scheme === scheme && own.tls?.cert === tls?.cert && own.tls?.requestCert === tls?.requestCert)
      return;
    throw new NaruError(
      'NARU_EXISTS',
      `${mailbox}: this process listens on that port already, with another scheme or certificate`,
      { place: 'http', mailbox },
    );
  }

  /** @throws NARU_EXISTS */
  checkFree(path: string, mailbox: string): void {
    if (!this.#gateways.has(path)) return;
    throw new NaruError(
      'NARU_EXISTS',
      `${mailbox}: this process has that mailbox open for listening already`,
      {
        place: 'http',
        mailbox,
      },
    );
  }

  add(gateway: Gateway): void {
    this.#gateways.set(gateway.path, gateway);
  }

  /** Closes a mailbox's part, and the port with the last one. */
  async remove(gateway: Gateway): Promise<void> {
    await gateway.close();
    if (this.#gateways.get(gateway.path) === gateway) this.#gateways.delete(gateway.path);
    await this.closeIfIdle();
  }

  async closeIfIdle(): Promise<void> {
    if (this.#gateways.size > 0) return;
    shared.delete(keyOf(this.#options.host, this.port));
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_MS);
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
    clearTimeout(timer);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { path, query } = splitTarget(request.url ?? '');
    for (const [own, gateway] of this.#gateways) {
      if (!path.startsWith(own) || (path.length > own.length && path[own.length] !== '/')) continue;
      void gateway.handle(request, response, path.slice(own.length), query);
      return;
    }
    sendProblem(
      response,
      new NaruError('NARU_NOT_FOUND', 'there is no such mailbox here', { place: 'http' }),
    );
  }
}

function create({ scheme, tls, requestTimeoutMs }: HttpOptions): Server {
  const limits: ServerOptions = {
    noDelay: true,
    maxHeaderSize: HTTP.headBytesMax,
    headersTimeout: Math.min(HTTP.headTimeoutMs, requestTimeoutMs),
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, requestTimeoutMs),
    keepAliveTimeout: HTTP.idleMs,
  };
  if (scheme === 'http') return createServer(limits);
  return createTlsServer({
    ...limits,
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls?.key === undefined ? {} : { key: tls.key }),
    requestCert: tls?.requestCert ?? false,
    rejectUnauthorized: tls?.requestCert ?? false,
    handshakeTimeout: HTTP.headTimeoutMs,
  });
}

function keyOf(host: string, port: number): string {
  return `${host} ${port}`;
}
