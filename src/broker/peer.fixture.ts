// A broker's core on a virtual clock, and clients that speak to it in memory, frame by frame: everything is synchronous. For the
// tests of this folder; not part of the package.

import * as amqp from '../wire/amqp091/index.ts';
import type { FieldTable, Properties } from '../wire/amqp091/index.ts';
import { VirtualClock } from '../store/clock.fixture.ts';
import { Core, type CoreInit } from './core.ts';
import type { Transport } from './connection/transport.ts';
import { fromPlain } from './plain-table.ts';
import { Session } from './session.ts';
import { hashPassword } from './users.ts';

/** A method a client got, with its content where it has one. */
export interface Got {
  readonly name: string;
  readonly channel: number;
  readonly args: Readonly<Record<string, unknown>>;
  readonly body?: string;
  readonly properties?: Properties;
}

type Plain = Readonly<Record<string, unknown>>;
type WriteMethod = (writer: amqp.Writer, channel: number, args: Plain) => void;

const codec = amqp as unknown as Readonly<Record<string, unknown>>;
const DEFAULTS: Plain = {
  queue: '',
  exchange: '',
  routingKey: '',
  type: 'direct',
  source: '',
  destination: '',
  consumerTag: '',
  passive: false,
  durable: false,
  exclusive: false,
  autoDelete: false,
  internal: false,
  nowait: false,
  ifUnused: false,
  ifEmpty: false,
  noLocal: false,
  noAck: false,
  mandatory: false,
  immediate: false,
  multiple: false,
  requeue: true,
  global: false,
  prefetchSize: 0,
  prefetchCount: 0,
  replyCode: 200,
  replyText: '',
  classId: 0,
  methodId: 0,
};

function pascal(name: string): string {
  return name.replace(/(^|[-.])(\w)/g, (_all, _dash, letter: string) => letter.toUpperCase());
}

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
  heartbeats = 0;
  readonly #lab: Lab;
  readonly #parser: amqp.FrameParser;
  #got: Got[] = [];
  #content: { readonly channel: number; readonly got: Got; bodyBytes: number; parts: Buffer[] } | undefined;

  constructor(lab: Lab, isLocal: boolean) {
    this.#lab = lab;
    this.#parser = new amqp.FrameParser({
      frame: (type, channel, buffer, start, end) => this.#frame(type, channel, buffer, start, end),
      broken: () => this.#parser.stop(),
    });
    this.#parser.payloadMax = 131_072;
    const peer = { text: 'lab:1', isLocal, isTls: false };
    this.session = new Session(lab.core, this, peer, {
      opened: () => undefined,
      closed: () => undefined,
      failed: (error) => lab.failures.push(error),
    });
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
    const head = Buffer.alloc(7);
    head[0] = type;
    head.writeUInt16BE(channel, 1);
    head.writeUInt32BE(payload.length, 3);
    this.bytes(Buffer.concat([head, payload, Buffer.from([mark])]));
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
    const bytes = Buffer.from(body);
    const writer = new amqp.Writer();
    writer.bytes(encodeMethod('basic.publish', args, channel));
    writer.beginFrame(2, channel);
    writer.short(60);
    writer.short(0);
    writer.longlong(bytes.length);
    writer.bytes(amqp.encodeProperties(properties));
    writer.endFrame();
    if (bytes.length > 0) {
      writer.beginFrame(3, channel);
      writer.bytes(bytes);
      writer.endFrame();
    }
    return writer.take();
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
    this.send(
      'connection.start-ok',
      {
        clientProperties: fromPlain({
          capabilities: Object.fromEntries(capabilities.map((name) => [name, true])),
        }),
        mechanism: 'PLAIN',
        response: Buffer.from(`\0${user}\0${password}`),
        locale: 'en_US',
      },
      0,
    );
  }

  open(channel: number): void {
    this.send('channel.open', {}, channel);
  }

  /** Shorthand: declares a queue with x-arguments. @returns what came */
  queue(queue: string, args: Plain = {}, more: Plain = {}): Got[] {
    return this.call('queue.declare', { queue, args, ...more });
  }

  #frame(type: number, channel: number, buffer: Buffer, start: number, end: number): void {
    if (type === 1) this.#method(channel, buffer, start, end);
    else if (type === 2 && this.#content !== undefined) {
      this.#content.bodyBytes = Number(buffer.readBigUInt64BE(start + 4));
      const properties = amqp.decodeProperties(buffer, start + 12, end);
      Object.assign(this.#content.got, { properties, body: '' });
      this.#finishContent();
    } else if (type === 3 && this.#content !== undefined) {
      this.#content.parts.push(Buffer.from(buffer.subarray(start, end)));
      this.#finishContent();
    } else if (type === 8) this.heartbeats += 1;
  }

  #method(channel: number, buffer: Buffer, start: number, end: number): void {
    const id = buffer.readUInt32BE(start);
    const name = amqp.METHOD_NAMES.get(id) ?? String(id);
    const read = codec[`read${pascal(name)}`] as ((reader: amqp.Reader) => Plain) | undefined;
    const args = read?.(new amqp.Reader().reset(buffer, start + 4, end)) ?? {};
    const got: Got = { name, channel, args };
    this.#got.push(got);
    if (['basic.deliver', 'basic.return', 'basic.get-ok'].includes(name)) {
      this.#content = { channel, got, bodyBytes: 0, parts: [] };
    }
  }

  #finishContent(): void {
    const content = this.#content;
    if (content === undefined) return;
    const bytes = Buffer.concat(content.parts);
    if (bytes.length < content.bodyBytes) return;
    Object.assign(content.got, { body: bytes.toString() });
    this.#content = undefined;
  }
}

export const ALL_CAPABILITIES: readonly string[] = [
  'consumer_cancel_notify',
  'connection.blocked',
  'authentication_failure_close',
];

function encodeMethod(name: string, args: Plain, channel: number): Buffer {
  const write = codec[`write${pascal(name)}`] as WriteMethod;
  const table = args['args'];
  const writer = new amqp.Writer();
  write(writer, channel, { ...DEFAULTS, ...args, args: typed(table as Plain | undefined) });
  return writer.take();
}

/** A table given as plain values, or with types already. */
function typed(table: Plain | undefined): FieldTable {
  const out = amqp.emptyTable();
  for (const [key, value] of Object.entries(table ?? {})) {
    const isField = typeof value === 'object' && value !== null && 'type' in value && 'value' in value;
    out[key] = isField ? (value as amqp.Field) : (fromPlain({ v: value })['v'] as amqp.Field);
  }
  return out;
}

/** The reply that ended a channel or a connection: `channel 404 NOT_FOUND - …`. */
export function refusal(got: readonly Got[]): string | undefined {
  const close = got.find(({ name }) => name === 'channel.close' || name === 'connection.close');
  if (close === undefined) return undefined;
  const { replyCode, replyText } = close.args;
  return `${close.name.split('.')[0]} ${String(replyCode)} ${String(replyText)}`;
}
