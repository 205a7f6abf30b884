// A handle's connection to its host as ordinary HTTP: what the host says is the body of one answer that does not end, what the
// handle says goes in one request after the other, each with everything that gathered while the last was under way.
//
// A request carries where in the stream its bytes begin, so one that met a connection the server had just closed is sent again.

import {
  Agent as HttpAgent,
  type IncomingMessage,
  request as httpRequest,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { Duplex } from 'node:stream';
import type { NaruError } from '../../errors/index.ts';
import { socketError } from '../../link/tcp-socket.ts';
import { LINK_ID, LINK_OFFSET, LINK_TYPE, PIECE_BYTES_MAX } from './link-words.ts';
import type { HttpOptions } from './options.ts';
import { readProblem } from './problem.ts';

/** How often a request is sent again on another connection. */
const RESENDS = 2;
/** Bytes up to which the parts of a request are joined: one write instead of several. */
const JOIN_BYTES = 65_536;

type Done = (error?: Error | null) => void;

/** How requests to one mailbox are made. */
class Target {
  readonly mailbox: string;
  readonly agent: HttpAgent;
  readonly #base: RequestOptions;
  readonly #path: string;
  readonly #send: typeof httpRequest;

  constructor(options: HttpOptions, mailbox: string) {
    const { scheme, host, port, path, token, tls } = options;
    this.mailbox = mailbox;
    this.#path = path;
    const keep = { keepAlive: true, maxSockets: 4, maxFreeSockets: 2, noDelay: true };
    this.agent = scheme === 'https' ? new HttpsAgent(keep) : new HttpAgent(keep);
    this.#send = scheme === 'https' ? httpsRequest : httpRequest;
    const servername = tls?.servername ?? (isIP(host) === 0 ? host : undefined);
    this.#base = {
      host,
      port,
      method: 'POST',
      agent: this.agent,
      ...(tls === undefined
        ? {}
        : {
            ...(tls.ca === undefined ? {} : { ca: tls.ca }),
            ...(tls.cert === undefined ? {} : { cert: tls.cert }),
            ...(tls.key === undefined ? {} : { key: tls.key }),
            ...(servername === undefined ? {} : { servername }),
          }),
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    };
  }

  post(path: string, headers: Record<string, string | number>): ReturnType<typeof httpRequest> {
    return this.#send({
      ...this.#base,
      path: this.#path + path,
      headers: { ...(this.#base.headers as Record<string, string>), ...headers },
    });
  }

  /** An error of a request in Naru's words. */
  error(error: Error): NaruError {
    return socketError(error, this.mailbox, 'http');
  }
}

/**
 * Opens the stream.
 * @throws NARU_DISCONNECTED; NARU_DENIED  no token or another one; NARU_NOT_FOUND  the server has no such mailbox; NARU_LIMIT;
 *         the signal's reason
 */
export function openHttpStream(
  options: HttpOptions,
  mailbox: string,
  signal: AbortSignal,
): Promise<HttpClientStream> {
  signal.throwIfAborted();
  const target = new Target(options, mailbox);
  return new Promise((resolve, reject) => {
    const request = target.post('/link', { 'content-length': 0 });
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', abort);
      request.on('error', () => undefined);
      request.destroy();
      target.agent.destroy();
      reject(error);
    };
    const failed = (error: Error): void => fail(target.error(error));
    const abort = (): void => fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    request.once('error', failed);
    request.once('response', (response) => {
      const id = response.headers[LINK_ID];
      if (response.statusCode !== 200 || typeof id !== 'string') {
        readProblem(response, mailbox).then(fail, fail);
        return;
      }
      signal.removeEventListener('abort', abort);
      request.off('error', failed);
      // What ends the connection from now on is told by the answer, and here as well.
      request.on('error', () => undefined);
      resolve(new HttpClientStream(target, response, id));
    });
    request.end();
  });
}

export class HttpClientStream extends Duplex {
  readonly #target: Target;
  readonly #response: IncomingMessage;
  readonly #path: string;
  #offset = 0;
  #request: ReturnType<typeof httpRequest> | undefined;

  constructor(target: Target, response: IncomingMessage, id: string) {
    super({ allowHalfOpen: true });
    this.#target = target;
    this.#response = response;
    this.#path = `/link/${id}`;
    response.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) response.pause();
    });
    response.on('end', () => this.push(null));
    response.on('error', (error) => this.destroy(target.error(error)));
    response.on('close', () => {
      if (!response.complete) this.destroy();
    });
  }

  ref(): this {
    this.#response.socket.ref();
    return this;
  }

  unref(): this {
    this.#response.socket.unref();
    return this;
  }

  override _read(): void {
    this.#response.resume();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#post([bytes], bytes.length, done);
  }

  override _writev(parts: { chunk: Buffer; encoding: BufferEncoding }[], done: Done): void {
    const buffers = parts.map(({ chunk }) => chunk);
    let total = 0;
    for (const { length } of buffers) total += length;
    this.#post(buffers, total, done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#response.destroy();
    this.#request?.destroy();
    this.#target.agent.destroy();
    done(error);
  }

  /** The host takes nothing more: the link is over. */
  async #refused(response: IncomingMessage): Promise<void> {
    this.destroy(await readProblem(response, this.#target.mailbox));
  }

  /** Sends everything, in requests of at most PIECE_BYTES_MAX. */
  #post(parts: Buffer[], total: number, done: Done): void {
    if (total > PIECE_BYTES_MAX) {
      const all = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, total);
      const first = all.subarray(0, PIECE_BYTES_MAX);
      const rest = all.subarray(PIECE_BYTES_MAX);
      this.#send([first], first.length, RESENDS, (error) => {
        if (error === undefined || error === null) this.#post([rest], rest.length, done);
        else done(error);
      });
      return;
    }
    this.#send(
      total <= JOIN_BYTES && parts.length > 1 ? [Buffer.concat(parts, total)] : parts,
      total,
      RESENDS,
      done,
    );
  }

  #send(parts: readonly Buffer[], length: number, resends: number, done: Done): void {
    const request = this.#target.post(this.#path, {
      'content-type': LINK_TYPE,
      'content-length': length,
      [LINK_OFFSET]: this.#offset,
    });
    this.#request = request;
    let isAnswered = false;
    request.once('response', (response) => {
      isAnswered = true;
      if (response.statusCode !== 204) {
        void this.#refused(response);
        return;
      }
      this.#offset += length;
      response.resume();
      response.once('error', done);
      response.once('end', () => done());
    });
    request.on('error', (error) => {
      if (isAnswered || this.destroyed) return;
      // The server may have closed the connection just as it was used again: what it has had it passes over.
      if (request.reusedSocket && resends > 0) this.#send(parts, length, resends - 1, done);
      else done(this.#target.error(error));
    });
    const last = parts.length - 1;
    for (let i = 0; i < last; i += 1) request.write(parts[i]);
    request.end(parts[last]);
  }
}
