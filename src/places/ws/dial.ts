// Connecting: a socket, plain or with TLS, and the handshake that makes it a WebSocket; refusals in Naru's words.

import type { Socket } from 'node:net';
import { NaruError, type NaruErrorCode } from '../../errors/index.ts';
import { LINK } from '../../link/limits.ts';
import { connectSocket, hostAndPort } from '../../link/tcp-socket.ts';
import type { WsPackage } from './client.ts';
import type { WsOptions } from './options.ts';
import { SOCKET_SETTINGS, WebSocketStream } from './stream.ts';

/** What a listener, or whatever stands in front of it, refuses with. Everything else may pass. */
const REFUSALS: Readonly<Record<number, readonly [NaruErrorCode, string]>> = {
  401: ['NARU_DENIED', 'it asks for a login'],
  403: ['NARU_DENIED', 'it refuses this origin'],
  404: ['NARU_NOT_FOUND', 'there is no mailbox of that path'],
};

/** @throws NARU_DISCONNECTED, NARU_DENIED, NARU_NOT_FOUND, NARU_LIMIT; the signal's reason */
export async function dial(
  ws: WsPackage,
  options: WsOptions,
  mailbox: string,
  signal: AbortSignal,
): Promise<WebSocketStream> {
  const socket = await connectSocket(options, mailbox, signal);
  return await upgrade(ws, socket, options, mailbox, signal);
}

function upgrade(
  { WebSocket }: WsPackage,
  raw: Socket,
  { host, port, path, tls }: WsOptions,
  mailbox: string,
  signal: AbortSignal,
): Promise<WebSocketStream> {
  const failed = (code: NaruErrorCode, what: string, cause?: unknown): NaruError =>
    new NaruError(code, `${mailbox}: ${what}`, { place: 'ws', mailbox, cause });
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${tls === undefined ? 'ws' : 'wss'}://${hostAndPort(host, port)}${path}`, {
      ...SOCKET_SETTINGS,
      handshakeTimeout: LINK.helloTimeoutMs,
      createConnection: () => raw,
    });
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', abort);
      reject(error);
      raw.destroy();
    };
    const abort = (): void => fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    // Heard for ever: an error after this promise is settled is the stream's, and one that is nobody's must not end the process.
    socket.on('error', (error) => fail(failed('NARU_DISCONNECTED', error.message, error)));
    socket.on('unexpected-response', (_request, { statusCode = 0 }) => {
      const [code, what] = REFUSALS[statusCode] ?? ['NARU_DISCONNECTED', 'there is no WebSocket there'];
      fail(failed(code, `${what} (HTTP ${statusCode})`));
    });
    socket.on('open', () => {
      signal.removeEventListener('abort', abort);
      // At once: the host's first bytes may have come with its answer.
      resolve(new WebSocketStream(socket, raw, mailbox));
    });
  });
}
