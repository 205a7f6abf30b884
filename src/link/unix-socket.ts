// Unix sockets: paths, connecting, binding with the right mode, and whose process is at the other end.

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect as netConnect, createServer, type Server, type Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { NaruError } from '../errors/index.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import { tryNative } from '../native/index.ts';

/** Longest path of a socket in bytes: unix(7), sockaddr_un without its final zero. */
const PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103;

/** @throws NARU_INVALID_ARGUMENT  no absolute path, or one that is too long */
export function socketPath({ path, host, text }: PlaceUrl): string {
  const invalid = (what: string): NaruError =>
    new NaruError('NARU_INVALID_ARGUMENT', `${text}: ${what}`, { place: 'unix', mailbox: text });
  if (host !== '' || !path.startsWith('/') || path.endsWith('/') || path.includes('\0'))
    throw invalid('name the socket by an absolute path: unix:///run/user/1000/orders.sock');
  const bytes = Buffer.byteLength(path);
  if (bytes <= PATH_BYTES_MAX) return path;
  throw invalid(`the path has ${bytes} bytes, a socket's path has at most ${PATH_BYTES_MAX}`);
}

/** The URL that leads to a socket. */
export function unixAddress(path: string, query: string): string {
  return `unix://${path.split('/').map(encodeURIComponent).join('/')}${query}`;
}

/** Which mailbox, or what else, of which place: for errors. */
export interface SocketOwner {
  readonly place: string;
  readonly mailbox: string;
}

/** @returns undefined when nobody listens there @throws NARU_DENIED, NARU_LIMIT, NARU_DISCONNECTED */
export function connectSocket(path: string, at: SocketOwner): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = netConnect({ path });
    const failed = (error: NodeJS.ErrnoException): void => {
      socket.destroy();
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else reject(socketError(error, path, at));
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      resolve(socket);
    });
  });
}

/**
 * Binds the path and listens; the socket's mode is 0600 from its first moment (from a worker thread: right after it).
 * The caller holds the lock, so a socket that lies there is a dead host's.
 * @throws NARU_EXISTS  something else lies there; NARU_DENIED, NARU_LIMIT, NARU_NOT_FOUND
 */
export function bindSocket(path: string, at: SocketOwner): Promise<Server> {
  removeStale(path, at);
  return new Promise((resolve, reject) => {
    const server = createServer({ pauseOnConnect: false });
    server.once('error', (error) => reject(socketError(error, path, at)));
    server.once('listening', () => {
      server.removeAllListeners('error');
      server.on('error', () => undefined);
      resolve(server);
    });
    if (isMainThread) {
      const before = process.umask(0o177);
      server.listen({ path, exclusive: true });
      process.umask(before);
    } else {
      server.listen({ path, exclusive: true });
      restrict(path);
    }
  });
}

/** @throws NARU_DENIED  the process at the other end belongs to another user. Without the addon, file modes must do. */
export function checkPeer(socket: Socket, at: SocketOwner): void {
  const addon = tryNative();
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (addon === undefined || fd === undefined || fd < 0 || process.getuid === undefined) return;
  const { uid, pid } = addon.peerCredentials(fd);
  if (uid === process.getuid()) return;
  throw new NaruError(
    'NARU_DENIED',
    `${at.mailbox}: the process at the other end (pid ${pid}) belongs to user ${uid}, this one to ${process.getuid()}`,
    at,
  );
}

/** An error of a file or socket operation on the path, in Naru's words. */
export function socketError(error: NodeJS.ErrnoException, path: string, at: SocketOwner): NaruError {
  const context = { place: at.place, mailbox: at.mailbox, cause: error };
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return new NaruError(
        'NARU_DENIED',
        `${at.mailbox}: no permission for ${path}; check owner and mode`,
        context,
      );
    case 'EMFILE':
    case 'ENFILE':
      return new NaruError(
        'NARU_LIMIT',
        `${at.mailbox}: no file descriptor is left (${error.code}); raise ulimit -n`,
        context,
      );
    case 'ENOENT':
    case 'ENOTDIR':
      return new NaruError('NARU_NOT_FOUND', `${at.mailbox}: the folder of ${path} does not exist`, context);
    case 'ENOTSOCK':
    case 'EPROTOTYPE':
      return new NaruError('NARU_EXISTS', `${at.mailbox}: ${path} is not a stream socket`, context);
    default:
      return new NaruError('NARU_DISCONNECTED', `${at.mailbox}: ${error.message}`, context);
  }
}

function removeStale(path: string, at: SocketOwner): void {
  let isSocket: boolean;
  try {
    isSocket = lstatSync(path).isSocket();
  } catch {
    return;
  }
  if (!isSocket) {
    throw new NaruError(
      'NARU_EXISTS',
      `${at.mailbox}: ${path} exists and is not a socket; choose another path`,
      at,
    );
  }
  unlinkSync(path);
}

function restrict(path: string): void {
  try {
    chmodSync(path, 0o600);
  } catch {
    // listen() failed; its error event tells why.
  }
}
