// A raw AMQP client on a socket: sends any bytes, keeps what came, waits for what the caller looks for. Knows frames and the methods that
// end a connection. For the tests of this folder.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import * as amqp from '../../wire/amqp091/index.ts';
import { encodeMethod, encodeStartOk, GotReader, type Got, type Plain } from '../got.fixture.ts';

/** How long a broker may take for one answer before the run is given up. */
const ANSWER_MS = 20_000;

export class WireClient {
  /** What came and was not taken yet. */
  got: Got[] = [];
  /** The broker ended the socket. */
  hasEnded = false;
  /** Bytes that came before frames: the broker speaks another protocol than it was asked for. */
  refusedHeader = '';
  readonly #socket: Socket;
  readonly #parser: amqp.FrameParser;
  readonly #seen: (got: Got) => void;
  /** Either side said that it is over. */
  #isOver = false;
  /** Who waits for something; each looks again whenever something came. */
  readonly #waiting = new Set<() => void>();

  private constructor(socket: Socket, seen: (got: Got) => void) {
    this.#socket = socket;
    this.#seen = seen;
    const reader = new GotReader((got) => {
      this.got.push(got);
      this.#seen(got);
      if (got.name === 'connection.close-ok') this.#isOver = true;
    });
    this.#parser = new amqp.FrameParser(reader);
    this.#parser.payloadMax = 131_072;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.hasEnded = true;
      this.#look();
    });
  }

  /**
   * Connects and says nothing.
   * @param seen  is told of each method as it comes
   */
  static async connect(url: string, seen: (got: Got) => void = () => undefined): Promise<WireClient> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new WireClient(socket, seen);
  }

  /** Shakes hands as guest. */
  async open(): Promise<void> {
    this.send(amqp.PROTOCOL_HEADER);
    await this.answer('connection.start');
    this.send(encodeStartOk('guest', 'guest'));
    await this.answer('connection.tune');
    this.method('connection.tune-ok', { channelMax: 2047, frameMax: 131_072, heartbeat: 0 }, 0);
    this.method('connection.open', { virtualHost: '/' }, 0);
    await this.answer('connection.open-ok');
    this.got = [];
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  method(name: string, args: Plain, channel: number): void {
    this.send(encodeMethod(name, args, channel));
  }

  /** Waits for a method. */
  async answer(name: string): Promise<void> {
    await this.until(() => this.got.some((one) => one.name === name), name);
    if (!this.got.some((one) => one.name === name)) throw new Error(`the broker left instead of ${name}`);
  }

  /** Waits until `isSo` holds, or the broker ends the socket. */
  async until(isSo: () => boolean, what: string): Promise<void> {
    if (isSo() || this.hasEnded) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`the broker did not answer in ${ANSWER_MS} ms: ${what}`));
      }, ANSWER_MS);
      const look = (): void => {
        if (!isSo() && !this.hasEnded) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
    });
  }

  /** Takes what came. */
  take(): Got[] {
    return this.got.splice(0);
  }

  /** Says goodbye and waits for it. */
  async close(): Promise<void> {
    if (!this.hasEnded && !this.#isOver) this.method('connection.close', {}, 0);
    await this.until(() => this.#isOver, 'connection.close-ok');
    this.destroy();
  }

  /** Answers the broker's goodbye. */
  leave(): void {
    this.method('connection.close-ok', {}, 0);
    this.#isOver = true;
    this.hasEnded = true;
    this.#socket.end();
    this.#look();
  }

  destroy(): void {
    this.hasEnded = true;
    this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    if (bytes.subarray(0, 4).toString() === 'AMQP') this.refusedHeader = bytes.toString('latin1');
    else this.#parser.push(bytes);
    this.#look();
  }

  #look(): void {
    for (const look of this.#waiting) look();
  }
}
