// What a client of the tests sends and gets, as plain values: methods with defaults to bytes, frames to methods with their content.
// For clients in memory (peer.fixture.ts) and on sockets alike; not part of the package.

import * as amqp from '../wire/amqp091/index.ts';
import type { FieldTable, Properties } from '../wire/amqp091/index.ts';
import { fromPlain } from './plain-table.ts';

/** A method a client got, with its content where it has one. */
export interface Got {
  readonly name: string;
  readonly channel: number;
  readonly args: Readonly<Record<string, unknown>>;
  readonly body?: string;
  readonly properties?: Properties;
}

/** Arguments as plain values. */
export type Plain = Readonly<Record<string, unknown>>;
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
  realm: '',
  active: false,
  write: false,
  read: false,
};

function pascal(name: string): string {
  return name.replace(/(^|[-.])(\w)/g, (_all, _dash, letter: string) => letter.toUpperCase());
}

/** Methods that a content follows. */
const CONTENT: ReadonlySet<string> = new Set(['basic.deliver', 'basic.return', 'basic.get-ok']);

/** What a client of today tells that it can. */
export const ALL_CAPABILITIES: readonly string[] = [
  'consumer_cancel_notify',
  'connection.blocked',
  'authentication_failure_close',
];

/** A method; arguments left out have their usual values, `args` may be a plain object. */
export function encodeMethod(name: string, args: Plain, channel: number): Buffer {
  const write = codec[`write${pascal(name)}`] as WriteMethod;
  const table = args['args'];
  const writer = new amqp.Writer();
  write(writer, channel, { ...DEFAULTS, ...args, args: typed(table as Plain | undefined) });
  return writer.take();
}

/** A table given as plain values, or with types already. */
export function typed(table: Plain | undefined): FieldTable {
  const out = amqp.emptyTable();
  for (const [key, value] of Object.entries(table ?? {})) {
    const isField = typeof value === 'object' && value !== null && 'type' in value && 'value' in value;
    out[key] = isField ? (value as amqp.Field) : (fromPlain({ v: value })['v'] as amqp.Field);
  }
  return out;
}

/** A publication, as bytes: the method, the header, and the body in one frame. */
export function encodePublication(
  args: Plain,
  body: string | Buffer,
  properties: Properties = {},
  channel = 1,
): Buffer {
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

/** A frame made by hand. */
export function encodeFrame(type: number, channel: number, payload: Uint8Array, mark = 0xce): Buffer {
  const head = Buffer.alloc(7);
  head[0] = type;
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([mark])]);
}

/** connection.start-ok of a client that can do what modern clients can. */
export function encodeStartOk(
  user: string,
  password: string,
  capabilities: readonly string[] = ALL_CAPABILITIES,
): Buffer {
  return encodeMethod(
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

/** Frames from a broker, made into what a client got; a content lies in the method it belongs to. */
export class GotReader implements amqp.FrameHandler {
  heartbeats = 0;
  readonly #got: (got: Got) => void;
  /** Contents that are not complete, by channel. */
  readonly #contents = new Map<number, { readonly got: Got; bodyBytes: number; parts: Buffer[] }>();

  /** @param got  takes each method, when its content is there */
  constructor(got: (got: Got) => void) {
    this.#got = got;
  }

  frame(type: number, channel: number, buffer: Buffer, start: number, end: number): void {
    if (type === 8) this.heartbeats += 1;
    else if (type === 1) this.#method(channel, buffer, start, end);
    else this.#content(type, channel, buffer, start, end);
  }

  broken(): void {
    throw new Error('the broker sent what is no frame');
  }

  #method(channel: number, buffer: Buffer, start: number, end: number): void {
    const id = buffer.readUInt32BE(start);
    const name = amqp.METHOD_NAMES.get(id) ?? String(id);
    const read = codec[`read${pascal(name)}`] as ((reader: amqp.Reader) => Plain) | undefined;
    const args = read?.(new amqp.Reader().reset(buffer, start + 4, end)) ?? {};
    const got: Got = { name, channel, args };
    if (CONTENT.has(name)) this.#contents.set(channel, { got, bodyBytes: 0, parts: [] });
    else this.#got(got);
  }

  #content(type: number, channel: number, buffer: Buffer, start: number, end: number): void {
    const content = this.#contents.get(channel);
    if (content === undefined) throw new Error('the broker sent a content of no method');
    if (type === 2) {
      content.bodyBytes = Number(buffer.readBigUInt64BE(start + 4));
      Object.assign(content.got, { properties: amqp.decodeProperties(buffer, start + 12, end) });
    } else content.parts.push(Buffer.from(buffer.subarray(start, end)));
    const bytes = Buffer.concat(content.parts);
    if (bytes.length < content.bodyBytes) return;
    this.#contents.delete(channel);
    this.#got({ ...content.got, body: bytes.toString() });
  }
}

/** The reply that ended a channel or a connection: `channel 404 NOT_FOUND - …`. */
export function refusal(got: readonly Got[]): string | undefined {
  const close = got.find(({ name }) => name === 'channel.close' || name === 'connection.close');
  if (close === undefined) return undefined;
  const { replyCode, replyText } = close.args;
  return `${close.name.split('.')[0]} ${String(replyCode)} ${String(replyText)}`;
}
