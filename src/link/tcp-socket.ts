// TCP sockets: connecting and listening, plain or with TLS, and their errors in Naru's words.

import { connect as netConnect, createServer, isIP, type Server, type Socket } from 'node:net';
import { connect as tlsConnect, createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { NaruError } from '../errors/index.ts';

/** What both sides of TLS are given, read from files where the options name files. */
export interface TlsSettings extends Pick<TlsOptions, 'ca' | 'cert' | 'key'> {
  readonly servername: string | undefined;
  readonly requestCert: boolean;
}

/** Where to connect, or to listen. */
export interface TcpTarget {
  readonly host: string;
  /** 0 when listening: a free one. */
  readonly port: number;
  readonly tls: TlsSettings | undefined;
  /** For errors. Default: tcp. */
  readonly place?: string;
}

/** The URL that leads to a listener. */
export function tcpAddress(host: string, port: number, query: string): string {
  return `tcp://${hostAndPort(host, port)}${query}`;
}

/** As they stand in a URL. */
export function hostAndPort(host: string, port: number): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

/** Time for a TLS handshake in milliseconds. */
const HANDSHAKE_MS = 5_000;

/** @throws NARU_DISCONNECTED, NARU_DENIED, NARU_LIMIT; the signal's reason */
export function connectSocket(options: TcpTarget, mailbox: string, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const { host, port, tls } = options;
  return new Promise((resolve, reject) => {
    const socket =
      tls === undefined
        ? netConnect({ host, port, noDelay: true })
        : tlsConnect({
            host,
            port,
            // RFC 6066 allows names only, no addresses, to be announced; the certificate is checked all the same.
            ...(tls.servername === undefined && isIP(host) !== 0
              ? {}
              : { servername: tls.servername ?? host }),
            ...definedTls(tls),
          });
    const finish = (error: unknown): void => {
      signal.removeEventListener('abort', abort);
      socket.off('error', failed);
      if (error === undefined) {
        resolve(socket);
        return;
      }
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const failed = (error: NodeJS.ErrnoException): void => finish(socketError(error, mailbox, options.place));
    const abort = (): void => finish(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', failed);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      socket.setNoDelay(true);
      finish(undefined);
    });
  });
}

/** @throws NARU_EXISTS  the port is taken; NARU_DENIED, NARU_LIMIT, NARU_INVALID_ARGUMENT */
export function listenSocket(options: TcpTarget, mailbox: string): Promise<Server> {
  const { host, port, tls } = options;
  return new Promise((resolve, reject) => {
    const server =
      tls === undefined
        ? createServer({ noDelay: true })
        : createTlsServer({
            ...definedTls(tls),
            requestCert: tls.requestCert,
            rejectUnauthorized: tls.requestCert,
            handshakeTimeout: HANDSHAKE_MS,
          });
    server.once('error', (error) => reject(socketError(error, mailbox, options.place)));
    server.once('listening', () => {
      server.removeAllListeners('error');
      server.on('error', () => undefined);
      resolve(server);
    });
    server.listen({ host, port, exclusive: true });
  });
}

/** An error of node:net or node:tls in Naru's words. */
export function socketError(error: NodeJS.ErrnoException, mailbox: string, place = 'tcp'): NaruError {
  const context = { place, mailbox, cause: error };
  const code = error.code ?? '';
  if (code === 'EADDRINUSE') {
    return new NaruError(
      'NARU_EXISTS',
      `${mailbox}: the port is in use; choose another, or connect without ?listen`,
      context,
    );
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new NaruError(
      'NARU_DENIED',
      `${mailbox}: no permission (${code}); ports below 1024 need privileges`,
      context,
    );
  }
  if (code === 'EMFILE' || code === 'ENFILE') {
    return new NaruError(
      'NARU_LIMIT',
      `${mailbox}: no file descriptor is left (${code}); raise ulimit -n`,
      context,
    );
  }
  if (code === 'EADDRNOTAVAIL') {
    return new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${mailbox}: this machine does not have that address`,
      context,
    );
  }
  if (/CERT|SELF_SIGNED|ALTNAME|UNABLE_TO|ERR_TLS|ERR_SSL/.test(code)) {
    return new NaruError('NARU_DENIED', `${mailbox}: TLS failed: ${error.message}`, context);
  }
  return new NaruError('NARU_DISCONNECTED', `${mailbox}: ${error.message || code}`, context);
}

function definedTls({ ca, cert, key }: TlsSettings): Record<string, unknown> {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
