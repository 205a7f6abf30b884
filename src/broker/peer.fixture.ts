// A broker's core on a virtual clock, and clients that speak to it in memory, frame by frame: everything is synchronous. For the
// tests of this folder; not part of the package.

import * as amqp from '../wire/amqp091/index.ts';
import type { FieldTable, Properties } from '../wire/amqp091/index.ts';
import { VirtualClock } from '../store/clock.fixture.ts';
import { Core, type CoreInit } from './core.ts';
import type { Transport } from './connection/transport.ts';
import {
  ALL_CAPABILITIES,
  encodeFrame,
  encodeMethod,
  encodePublication,
  encodeStartOk,
  GotReader,
  typed,
  type Got,
  type Plain,
} from './got.fixture.ts';
import { Session } from './session.ts';
import { hashPassword } from './users.ts';

/** The core of a broker with a guest, on a clock that tests move. */
export class Lab {
  readonly clock: VirtualClock = new VirtualClock();
  readonly core: Core;
  readonly failures: unknown[] = [];
  #random = 0;

  constructor(init: Partial<CoreInit> = {}) {
    const { clock } = this;
    this.core = new Core({
      clock: {
        now: () => clock.now(),
        wallMs: () => 1_700_000_000_000 + clock.now(),
        schedule: (at, fn) => clock.schedule(at, fn),
      },
      random: (bytes) => this.#bytes(bytes),
      // Whoever acts ends the turn.
      later: () => undefined,
      ...init,
    });
    this.core.addVhost('/');
    this.addUser('guest');
  }

  addUser(name: string, tags: readonly string[] = []): void {
    this.core.users.put({ name, passwordHash: hashPassword(name, Buffer.alloc(4)), tags });
    this.core.users.allow(name, '/', { configure: '.*', write: '.*', read: '.*' });
  }

  /** Moves time on. */
  advance(ms: number): void {
    this.clock.advance(ms);
    this.core.endTurn();
  }

  /** A table of plain values, or of fields with types. */
  table(plain: Plain): FieldTable {
    return typed(plain);
  }

  /** A client that has not said anything. */
  stranger(isLocal = true): Peer {
    return new Peer(this, isLocal);
  }

  /** A client with channel 1 open. */
  connect(options: ConnectOptions = {}): Peer {
    const peer = this.stranger();
    peer.shakeHands(options);
    peer.open(1);
    peer.take();
    return peer;
  }

  #bytes(count: number): Uint8Array {
    this.#random += 1;
    return Buffer.alloc(count, this.#random.toString(36));
  }
}

export interface ConnectOptions {
  readonly user?: string;
  readonly password?: string;
  readonly vhost?: string;
  readonly capabilities?: readonly string[];
  readonly heartbeat?: number;
  readonly frameMax?: number;
  readonly channelMax?: number;
}

/** One client, as it looks from the wire. */
export class Peer implements Transport {
  readonly session: Session;
  /** How the broker ended the socket. */
  ended: 'end' | 'destroy' | undefined;
  paused = false;
  /** What the socket pretends not to have sent. */
  pendingBytes = 0;
  /** Bytes that came before frames: the protocol header. */
  rawBytes: Buffer[] = [];
  readonly #lab: Lab;
  readonly #parser: amqp.FrameParser;
  #got: Got[] = [];
  readonly #reader = new GotReader((got) => this.#got.push(got));

  constructor(lab: Lab, isLocal: boolean) {
    this.#lab = lab;
    this.#parser = new amqp.FrameParser(this.#reader);
    this.#parser.payloadMax = 131_072;
    const peer = { text: 'lab:1', isLocal, isTls: false };
    this.session = new Session(lab.core, this, peer, {
      opened: () => undefined,
      closed: () => undefined,
      failed: (error) => lab.failures.push(error),
    });
  }

  get heartbeats(): number {
    return this.#reader.heartbeats;
  }

  write(bytes: Buffer, written?: () => void): void {
    if (bytes.equals(amqp.PROTOCOL_HEADER)) this.rawBytes.push(Buffer.from(bytes));
    else this.#parser.push(bytes);
    written?.();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended ??= 'end';
  }

  destroy(): void {
    this.ended ??= 'destroy';
  }

  /** Sends bytes as they are. */
  bytes(bytes: Uint8Array): void {
    this.session.receive(Buffer.from(bytes));
    this.#lab.core.endTurn();
  }

  /** Sends a frame made by hand. */
  rawFrame(type: number, channel: number, payload: Uint8Array, mark = 0xce): void {
    this.bytes(encodeFrame(type, channel, payload, mark));
  }

  /** Sends a method; arguments left out have their usual values, `args` may be a plain object. */
  send(name: string, args: Plain = {}, channel = 1): void {
    this.bytes(encodeMethod(name, args, channel));
  }

  /** Sends a method. @returns all that came by it */
  call(name: string, args: Plain = {}, channel = 1): Got[] {
    this.take();
    this.send(name, args, channel);
    return this.take();
  }

  /** What publish() sends, as bytes. */
  static publication(args: Plain, body: string | Buffer, properties: Properties = {}, channel = 1): Buffer {
    return encodePublication(args, body, properties, channel);
  }

  publish(args: Plain, body: string | Buffer = '', properties: Properties = {}): Got[] {
    this.take();
    this.bytes(Peer.publication(args, body, properties));
    return this.take();
  }

  /** What came since the last take(). */
  take(): Got[] {
    const got = this.#got;
    this.#got = [];
    return got;
  }

  /** Bodies of the messages that came since the last take(). */
  bodies(): string[] {
    return this.take().flatMap(({ body }) => (body === undefined ? [] : [body]));
  }

  shakeHands(options: ConnectOptions = {}): void {
    const { vhost = '/', heartbeat = 0, frameMax = 131_072, channelMax = 2047 } = options;
    this.bytes(amqp.PROTOCOL_HEADER);
    this.startOk(options);
    this.send('connection.tune-ok', { channelMax, frameMax, heartbeat }, 0);
    this.send('connection.open', { virtualHost: vhost }, 0);
  }

  startOk({ user = 'guest', password = user, capabilities = ALL_CAPABILITIES }: ConnectOptions = {}): void {
    this.bytes(encodeStartOk(user, password, capabilities));
  }

  open(channel: number): void {
    this.send('channel.open', {}, channel);
  }

  /** Shorthand: declares a queue with x-arguments. @returns what came */
  queue(queue: string, args: Plain = {}, more: Plain = {}): Got[] {
    return this.call('queue.declare', { queue, args, ...more });
  }
}
