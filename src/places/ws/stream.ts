// A WebSocket as the stream of bytes that link/ speaks over: its binary messages, one behind the other, are the stream; where
// they are cut means nothing. What bytes mean is link/'s business.

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { NaruError } from '../../errors/index.ts';
import { CLOSED, type WebSocket } from './client.ts';

/** Longest WebSocket message, in bytes: checked by the receiver before it takes memory, so nobody sends a longer one. */
export const PIECE_BYTES_MAX: number = 65_536;

/** Settings of `ws` on both sides. Compression is off: it costs memory for each connection, and more than it brings. */
export const SOCKET_SETTINGS: Readonly<Record<string, unknown>> = {
  perMessageDeflate: false,
  maxPayload: PIECE_BYTES_MAX,
  skipUTF8Validation: true,
};

type Done = (error?: Error | null) => void;

export class WebSocketStream extends Duplex {
  readonly #socket: WebSocket;
  readonly #raw: Socket;
  readonly #mailbox: string;

  /**
   * @param socket  open
   * @param raw     what it runs over: knows how to keep the process alive
   */
  constructor(socket: WebSocket, raw: Socket, mailbox: string) {
    super({ decodeStrings: false });
    this.#socket = socket;
    this.#raw = raw;
    this.#mailbox = mailbox;
    socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    socket.on('error', (error) => this.destroy(this.#inWords(error)));
    socket.on('close', () => this.#onClose());
  }

  ref(): this {
    this.#raw.ref();
    return this;
  }

  unref(): this {
    this.#raw.unref();
    return this;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(bytes: Buffer, _encoding: string, done: Done): void {
    this.#send(bytes, done);
  }

  override _writev(pieces: readonly { readonly chunk: Buffer }[], done: Done): void {
    const last = pieces.length - 1;
    for (const [index, { chunk }] of pieces.entries()) this.#send(chunk, index === last ? done : undefined);
  }

  override _final(done: Done): void {
    this.#socket.close(1000);
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    if (this.#socket.readyState !== CLOSED) {
      this.#socket.on('close', () => done(error));
      this.#socket.terminate();
    } else done(error);
  }

  #send(bytes: Buffer, done: Done | undefined): void {
    const { length } = bytes;
    for (let from = 0; from < length; from += PIECE_BYTES_MAX) {
      const to = from + PIECE_BYTES_MAX;
      const piece = length <= PIECE_BYTES_MAX ? bytes : bytes.subarray(from, to);
      this.#socket.send(piece, { binary: true }, to < length ? undefined : done);
    }
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (!isBinary) {
      this.destroy(this.#corrupt('the peer sent text, the protocol of Naru is binary'));
    } else if (!this.push(data)) this.#socket.pause();
  }

  #onClose(): void {
    this.push(null);
    // Nobody takes what is still to be written.
    if (!this.writableEnded) this.end();
  }

  #inWords(error: NodeJS.ErrnoException): Error {
    return error.code?.startsWith('WS_ERR_') === true ? this.#corrupt(error.message) : error;
  }

  #corrupt(what: string): NaruError {
    return new NaruError('NARU_CORRUPT', `${this.#mailbox}: ${what}`, {
      place: 'ws',
      mailbox: this.#mailbox,
    });
  }
}
