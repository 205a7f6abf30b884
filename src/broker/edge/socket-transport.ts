// A socket of Node as the core's transport: TCP, TLS or a Unix socket.

import type { Socket } from 'node:net';
import type { Transport } from '../connection/transport.ts';

export class SocketTransport implements Transport {
  readonly #socket: Socket;
  readonly #lingerMs: number;

  /** @param lingerMs  how long the last bytes have to leave before the socket is destroyed */
  constructor(socket: Socket, lingerMs: number) {
    this.#socket = socket;
    this.#lingerMs = lingerMs;
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
    const timer = setTimeout(() => socket.destroy(), this.#lingerMs).unref();
    socket.once('close', () => clearTimeout(timer));
    socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
