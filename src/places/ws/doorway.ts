// What stands between a socket and the mailbox: an HTTP request of the right path, from a page that may, becomes a WebSocket;
// and the key at the hello. The sockets come from link/'s listener, which bounds their number and their time.

import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { NaruError } from '../../errors/index.ts';
import type { LinkStream } from '../../link/connection.ts';
import type { WebSocketServer, WsPackage } from './client.ts';
import type { WsOptions } from './options.ts';
import { mayConnect } from './origin.ts';
import { SOCKET_SETTINGS, WebSocketStream } from './stream.ts';

/** Longest head of a request, in bytes; browsers send about 600 and the cookies of the host. */
const HEAD_BYTES_MAX = 16_384;

export class Doorway {
  readonly #options: WsOptions;
  readonly #mailbox: string;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #waiting = new Map<Duplex, (stream: LinkStream) => void>();

  constructor({ WebSocketServer }: WsPackage, options: WsOptions, mailbox: string) {
    this.#options = options;
    this.#mailbox = mailbox;
    this.#sockets = new WebSocketServer({ ...SOCKET_SETTINGS, noServer: true, clientTracking: false });
    // It never listens: it is handed sockets.
    this.#http = createServer({ maxHeaderSize: HEAD_BYTES_MAX }, (request, response) => {
      const status = request.url?.split('?')[0] === options.path ? 426 : 404;
      response.writeHead(status, { connection: 'close', upgrade: 'websocket', 'content-type': 'text/plain' });
      response.end(status === 426 ? 'a mailbox of Naru: connect with a WebSocket\n' : 'not found\n');
    });
    this.#http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
  }

  /** As ListenerInit.admit. */
  admit(socket: Socket, ready: (stream: LinkStream) => void): void {
    this.#waiting.set(socket, ready);
    socket.once('close', () => this.#waiting.delete(socket));
    this.#http.emit('connection', socket);
  }

  /**
   * As ListenerInit.checkHello.
   * @throws NARU_DENIED  another key than this mailbox's, or none
   */
  checkHello(hello: Readonly<Record<string, unknown>>): void {
    const { key } = this.#options;
    if (key === undefined || isSame(key, hello['key'])) return;
    const what =
      hello['key'] === undefined ? 'it asks for a key (option key, ?keyFile=)' : 'that is not its key';
    throw new NaruError('NARU_DENIED', `${this.#mailbox}: ${what}`, { place: 'ws', mailbox: this.#mailbox });
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const ready = this.#waiting.get(socket);
    const { path, host, origins } = this.#options;
    if (ready === undefined || request.url?.split('?')[0] !== path) {
      refuse(socket, 404);
    } else if (!mayConnect(request.headers.origin, request.headers.host, host, origins)) {
      refuse(socket, 403);
    } else {
      this.#sockets.handleUpgrade(request, socket, head, (open) => {
        this.#waiting.delete(socket);
        ready(new WebSocketStream(open, socket as Socket, this.#mailbox));
      });
    }
  }
}

function refuse(socket: Duplex, status: number): void {
  socket.on('error', () => undefined);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  socket.once('finish', () => socket.destroy());
}

/** Takes the same time whatever is given. */
function isSame(key: string, given: unknown): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(key), digest(typeof given === 'string' ? given : ''));
}
