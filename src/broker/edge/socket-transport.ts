// A socket of Node as the core's transport: TCP, TLS or a Unix socket.

import type { Socket } from 'node:net';
import type { Transport } from '../connection/transport.ts';

/** How long the last bytes have to leave before the socket is destroyed. */
const LINGER_MS = 2000;

export class SocketTransport implements Transport {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Buffer, written?: () => void): void {
    if (this.#socket.writable) this.#socket.write(bytes, written);
    else written?.();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    const socket = this.#socket;
    socket.end();
    // Whoever does not read does not keep the socket.
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    socket.once('close', () => clearTimeout(timer));
    socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
