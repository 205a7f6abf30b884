// The sections of a message of AMQP 1.0 as bytes: all that Naru writes, and so much as it reads again. rhea can do all of it and takes
// several times as long; whatever stands here in another way is left to it.

import type { RheaMessage } from './protocol.ts';

const SECTION = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  annotations: 0x72,
  properties: 0x73,
  table: 0x74,
  data: 0x75,
  footer: 0x78,
} as const;
/** What a value begins with. A text, a symbol or bytes of more than 255 bytes begin with LONG more, and with a length of four bytes. */
const CODE = {
  null: 0x40,
  true: 0x41,
  false: 0x42,
  uint0: 0x43,
  list0: 0x45,
  ubyte: 0x50,
  smallUint: 0x52,
  smallUlong: 0x53,
  uint: 0x70,
  long: 0x81,
  timestamp: 0x83,
  bytes: 0xa0,
  text: 0xa1,
  symbol: 0xa3,
  list8: 0xc0,
  map8: 0xc1,
  list: 0xd0,
  map: 0xd1,
} as const;
const LONG = 0x10;
const TWO_32 = 0x1_0000_0000;
/** What is kept to write the next message in. */
const KEEP_BYTES = 4_096;
/** So many UTF-16 units are never more than 255 bytes. */
const SHORT_TEXT = 85;

/** A message as Naru writes it: its body is one section of data. */
export interface WrittenMessage extends RheaMessage {
  readonly body: Uint8Array;
  readonly message_id: string;
  readonly correlation_id?: string | undefined;
  readonly creation_time: number;
  readonly message_annotations?: Readonly<Record<string, number>> | undefined;
  readonly application_properties: Readonly<Record<string, string>>;
}

/** @returns the bytes of a transfer, which nobody else writes to */
export function writeMessage(message: WrittenMessage): Buffer {
  WRITER.write(message);
  return WRITER.take(message.body);
}

/** @returns undefined when something in it is not as Naru writes it */
export function readMessage(bytes: Buffer): RheaMessage | undefined {
  return new SectionReader(bytes).read();
}

class SectionWriter {
  #bytes = Buffer.allocUnsafe(KEEP_BYTES);
  #at = 0;

  /** Everything in front of the bytes of the body. */
  write(message: WrittenMessage): void {
    this.#at = 0;
    this.#header(message);
    const { message_annotations: annotations } = message;
    if (annotations !== undefined) {
      const start = this.#begin(SECTION.annotations, CODE.map);
      const names = Object.keys(annotations);
      for (const name of names) {
        this.#text(name, CODE.symbol);
        this.#wide(CODE.long, annotations[name] ?? 0);
      }
      this.#end(start, 2 * names.length);
    }
    this.#properties(message);
    const table = message.application_properties;
    const start = this.#begin(SECTION.table, CODE.map);
    let count = 0;
    for (const name in table) {
      this.#text(name);
      this.#text(table[name]);
      count += 2;
    }
    this.#end(start, count);
    this.#data(message.body.byteLength);
  }

  take(body: Uint8Array): Buffer {
    const taken = Buffer.allocUnsafe(this.#at + body.byteLength);
    this.#bytes.copy(taken, 0, 0, this.#at);
    taken.set(body, this.#at);
    if (this.#bytes.byteLength > KEEP_BYTES) this.#bytes = Buffer.allocUnsafe(KEEP_BYTES);
    return taken;
  }

  #header({ durable = false, priority, ttl }: WrittenMessage): void {
    const start = this.#begin(SECTION.header, CODE.list);
    this.#code(durable ? CODE.true : CODE.false);
    if (priority === undefined) this.#code(CODE.null);
    else {
      this.#code(CODE.ubyte);
      this.#code(priority);
    }
    this.#uint(ttl);
    this.#end(start, 3);
  }

  #properties(message: WrittenMessage): void {
    const start = this.#begin(SECTION.properties, CODE.list);
    this.#text(message.message_id);
    this.#code(CODE.null);
    this.#text(message.to);
    this.#text(message.subject);
    this.#text(message.reply_to);
    this.#text(message.correlation_id);
    this.#text(message.content_type, CODE.symbol);
    this.#code(CODE.null);
    this.#code(CODE.null);
    this.#wide(CODE.timestamp, message.creation_time);
    this.#end(start, 10);
  }

  #data(length: number): void {
    this.#room(8);
    this.#describe(SECTION.data);
    if (length < 256) {
      this.#code(CODE.bytes);
      this.#code(length);
      return;
    }
    this.#code(CODE.bytes + LONG);
    this.#at = this.#bytes.writeUInt32BE(length, this.#at);
  }

  #describe(section: number): void {
    this.#code(0);
    this.#code(CODE.smallUlong);
    this.#code(section);
  }

  /** @returns where its size and its count go */
  #begin(section: number, code: number): number {
    this.#room(12);
    this.#describe(section);
    this.#code(code);
    this.#at += 8;
    return this.#at - 8;
  }

  #end(start: number, count: number): void {
    this.#bytes.writeUInt32BE(this.#at - start - 4, start);
    this.#bytes.writeUInt32BE(count, start + 4);
  }

  #text(text: string | undefined, code: number = CODE.text): void {
    if (text === undefined) return this.#code(CODE.null);
    const isShort = text.length <= SHORT_TEXT;
    const head = isShort ? 2 : 5;
    this.#room(head + 3 * text.length);
    const at = this.#at;
    const bytes = this.#bytes;
    const length = bytes.write(text, at + head);
    bytes[at] = isShort ? code : code + LONG;
    if (isShort) bytes[at + 1] = length;
    else bytes.writeUInt32BE(length, at + 1);
    this.#at = at + head + length;
  }

  #uint(value: number | undefined): void {
    if (value === undefined) return this.#code(CODE.null);
    this.#room(5);
    this.#code(CODE.uint);
    this.#at = this.#bytes.writeUInt32BE(value, this.#at);
  }

  #wide(code: number, value: number): void {
    this.#room(9);
    this.#code(code);
    this.#at = this.#bytes.writeInt32BE(Math.floor(value / TWO_32), this.#at);
    this.#at = this.#bytes.writeUInt32BE((value % TWO_32) >>> 0, this.#at);
  }

  #code(code: number): void {
    if (this.#at === this.#bytes.byteLength) this.#room(1);
    this.#bytes[this.#at] = code;
    this.#at += 1;
  }

  #room(more: number): void {
    if (this.#at + more <= this.#bytes.byteLength) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.byteLength, this.#at + more));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

/** Nothing waits between two words of one message. */
const WRITER = new SectionWriter();

type Value = string | number | boolean | Uint8Array | undefined;

/** What it does not know, and what is cut off, ends it. */
class SectionReader {
  readonly #bytes: Buffer;
  #at = 0;
  #isKnown = true;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(): RheaMessage | undefined {
    const bytes = this.#bytes;
    let header: readonly Value[] = NONE;
    let properties: readonly Value[] = NONE;
    let table: Record<string, string> | undefined;
    let body: Uint8Array | undefined;
    while (this.#at < bytes.byteLength && this.#isKnown) {
      const section = bytes[this.#at + 2];
      if (bytes[this.#at] !== 0 || bytes[this.#at + 1] !== CODE.smallUlong) return undefined;
      this.#at += 3;
      if (section === SECTION.header) header = this.#list();
      else if (section === SECTION.properties) properties = this.#list();
      else if (section === SECTION.table) table = this.#table();
      else if (section === SECTION.data && body === undefined) body = this.#data();
      else if (SKIPPED.has(section)) this.#skip();
      else return undefined;
    }
    return this.#isKnown ? messageOf(header, properties, table, body) : undefined;
  }

  #list(): readonly Value[] {
    if (this.#bytes[this.#at] === CODE.list0) {
      this.#at += 1;
      return NONE;
    }
    const count = this.#compound(CODE.list8, CODE.list);
    const values: Value[] = [];
    for (let i = 0; i < count && this.#isKnown; i += 1) values.push(this.#value());
    return values;
  }

  /** Texts by their names. */
  #table(): Record<string, string> {
    const count = this.#compound(CODE.map8, CODE.map);
    const table: Record<string, string> = {};
    for (let i = 0; i < count && this.#isKnown; i += 2) {
      const name = this.#value();
      const value = this.#value();
      if (typeof name !== 'string' || typeof value !== 'string') this.#isKnown = false;
      else table[name] = value;
    }
    return table;
  }

  #data(): Uint8Array | undefined {
    const value = this.#value();
    if (value instanceof Uint8Array) return value;
    this.#isKnown = false;
    return undefined;
  }

  #skip(): void {
    const start = this.#at;
    const isShort = this.#bytes[start] === CODE.map8;
    this.#compound(CODE.map8, CODE.map);
    if (!this.#isKnown) return;
    this.#at = isShort
      ? start + 2 + this.#bytes.readUInt8(start + 1)
      : start + 5 + this.#bytes.readUInt32BE(start + 1);
    if (!this.#has(0)) this.#isKnown = false;
  }

  /** @returns how many values follow; 0 when it is none of the two */
  #compound(short: number, long: number): number {
    const bytes = this.#bytes;
    const at = this.#at;
    const code = bytes[at];
    const width = code === long ? 4 : 1;
    if ((code !== short && code !== long) || !this.#has(1 + 2 * width)) return this.#unknown(0);
    this.#at += 1 + 2 * width;
    return width === 1 ? bytes.readUInt8(at + 2) : bytes.readUInt32BE(at + 5);
  }

  #value(): Value {
    const bytes = this.#bytes;
    const code = bytes[this.#at];
    this.#at += 1;
    switch (code) {
      case CODE.null:
        return undefined;
      case CODE.true:
        return true;
      case CODE.false:
        return false;
      case CODE.uint0:
        return 0;
      case CODE.ubyte:
      case CODE.smallUint:
        return this.#number(1);
      case CODE.uint:
        return this.#number(4);
      case CODE.timestamp:
        return this.#number(8);
      case CODE.bytes:
      case CODE.text:
      case CODE.symbol:
        return this.#piece(code, this.#number(1));
      case CODE.bytes + LONG:
      case CODE.text + LONG:
      case CODE.symbol + LONG:
        return this.#piece(code - LONG, this.#number(4));
      default:
        return this.#unknown(undefined);
    }
  }

  #piece(code: number, length: number): Value {
    if (!this.#has(length)) return this.#unknown(undefined);
    const start = this.#at;
    this.#at += length;
    if (code === CODE.bytes) return this.#bytes.subarray(start, this.#at);
    return this.#bytes.toString(code === CODE.text ? 'utf8' : 'ascii', start, this.#at);
  }

  #number(width: 1 | 4 | 8): number {
    if (!this.#has(width)) return this.#unknown(0);
    const at = this.#at;
    this.#at += width;
    if (width === 1) return this.#bytes[at] as number;
    if (width === 4) return this.#bytes.readUInt32BE(at);
    return this.#bytes.readInt32BE(at) * TWO_32 + this.#bytes.readUInt32BE(at + 4);
  }

  #has(length: number): boolean {
    return this.#at + length <= this.#bytes.byteLength;
  }

  #unknown<T>(value: T): T {
    this.#isKnown = false;
    return value;
  }
}

const NONE: readonly Value[] = [];
const SKIPPED: ReadonlySet<number | undefined> = new Set([
  SECTION.deliveryAnnotations,
  SECTION.annotations,
  SECTION.footer,
]);

/** @returns undefined when something is of another kind than Naru writes it */
function messageOf(
  [durable, priority, ttl, , deliveryCount]: readonly Value[],
  properties: readonly Value[],
  table: Record<string, string> | undefined,
  body: Uint8Array | undefined,
): RheaMessage | undefined {
  const [id, , to, subject, replyTo, correlationId, contentType, , , created] = properties;
  if (!isText(id) || !isText(to) || !isText(subject) || !isText(replyTo)) return undefined;
  if (!isText(correlationId) || !isText(contentType) || !isNumber(created)) return undefined;
  if (!isNumber(priority) || !isNumber(ttl) || !isNumber(deliveryCount)) return undefined;
  return {
    durable: typeof durable === 'boolean' ? durable : undefined,
    priority,
    ttl,
    delivery_count: deliveryCount,
    message_id: id,
    to,
    subject,
    reply_to: replyTo,
    correlation_id: correlationId,
    content_type: contentType,
    creation_time: created,
    application_properties: table,
    body,
  };
}

function isText(value: Value): value is string | undefined {
  return value === undefined || typeof value === 'string';
}

function isNumber(value: Value): value is number | undefined {
  return value === undefined || typeof value === 'number';
}
