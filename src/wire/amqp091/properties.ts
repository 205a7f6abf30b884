// The 14 properties of a message's content header. They travel as they came: found by offset where somebody must look, taken
// apart into raw pieces where one must be replaced, decoded in full only for people.

import { checkTable, decodeTable, encodeFields, fieldSize, type FieldTable } from './field-table.ts';
import { malformed } from './problem.ts';
import { textOf } from './reader.ts';
import { Writer } from './writer.ts';

/** The properties in their order on the wire, with their kinds. Their flags are bits 15 to 2. */
export const PROPERTIES = [
  ['contentType', 'shortstr'],
  ['contentEncoding', 'shortstr'],
  ['headers', 'table'],
  ['deliveryMode', 'octet'],
  ['priority', 'octet'],
  ['correlationId', 'shortstr'],
  ['replyTo', 'shortstr'],
  ['expiration', 'shortstr'],
  ['messageId', 'shortstr'],
  ['timestamp', 'longlong'],
  ['type', 'shortstr'],
  ['userId', 'shortstr'],
  ['appId', 'shortstr'],
  ['clusterId', 'shortstr'],
] as const;

/** A property by its place in PROPERTIES. */
export const PROPERTY = {
  headers: 2,
  deliveryMode: 3,
  priority: 4,
  correlationId: 5,
  replyTo: 6,
  expiration: 7,
  messageId: 8,
  timestamp: 9,
  userId: 11,
} as const;

/** The properties in a form for people and programs. */
export interface Properties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly headers?: FieldTable;
  readonly deliveryMode?: number;
  readonly priority?: number;
  readonly correlationId?: string;
  readonly replyTo?: string;
  readonly expiration?: string;
  readonly messageId?: string;
  /** Seconds since 1970. */
  readonly timestamp?: number;
  readonly type?: string;
  readonly userId?: string;
  readonly appId?: string;
  readonly clusterId?: string;
}

/** No property at all, as bytes. */
export const NO_PROPERTIES: Buffer = Buffer.from([0, 0]);

const COUNT = PROPERTIES.length;
/** Continuation flags, and bit 1: no property has them. */
const UNKNOWN_FLAGS = 0x0003;
const OCTET = 0;
const LONGLONG = 1;
const SHORTSTR = 2;
const TABLE = 3;
const KINDS = Uint8Array.from(PROPERTIES, ([, kind]) =>
  kind === 'octet' ? OCTET : kind === 'longlong' ? LONGLONG : kind === 'shortstr' ? SHORTSTR : TABLE,
);

/** Where each property lies in the bytes that were looked at last. One object serves a whole connection. */
export class PropertyScan {
  /** Bit 15 is the first property's. */
  flags = 0;
  /** Offset of each property's value in the buffer, its length octets included; valid where its flag is set. */
  readonly starts: Int32Array = new Int32Array(COUNT);
  readonly ends: Int32Array = new Int32Array(COUNT);

  /** Whether a property is there. */
  has(property: number): boolean {
    return (this.flags & (0x8000 >> property)) !== 0;
  }

  /**
   * Checks the properties in `buffer[start…end)`, flags first, and notes where each lies.
   * @throws NARU_INVALID_MESSAGE  cut off, something behind the last, unknown flags, headers that checkTable() refuses
   */
  scan(buffer: Buffer, start: number, end: number): void {
    if (end - start < 2) throw malformed('the properties are cut off');
    const flags = buffer.readUInt16BE(start);
    if ((flags & UNKNOWN_FLAGS) !== 0) throw malformed(`property flags ${flags} are unknown`);
    this.flags = flags;
    let at = start + 2;
    for (let property = 0; property < COUNT && (flags << property) & 0xffff; property += 1) {
      if ((flags & (0x8000 >> property)) === 0) continue;
      this.starts[property] = at;
      at = endOf(buffer, KINDS[property] as number, at, end);
      this.ends[property] = at;
    }
    if (at !== end) throw malformed(`${end - at} bytes after the last property`);
  }
}

function endOf(buffer: Buffer, kind: number, at: number, end: number): number {
  let next: number;
  if (kind === OCTET) next = at + 1;
  else if (kind === LONGLONG) next = at + 8;
  else if (kind === SHORTSTR) next = at + 1 + (at < end ? (buffer[at] as number) : 0);
  else {
    if (end - at < 4) throw malformed('the headers are cut off');
    next = at + 4 + buffer.readUInt32BE(at);
    if (next <= end) checkTable(buffer, at + 4, next);
  }
  if (next > end) throw malformed('a property reaches beyond its frame');
  return next;
}

/** The bytes of each property by its place in PROPERTIES, lengths included: replace some, then joinProperties(). */
export type PropertyPieces = (Uint8Array | undefined)[];

/** Takes checked properties apart. The pieces are views. */
export function splitProperties(buffer: Buffer, start: number, end: number): PropertyPieces {
  const scan = new PropertyScan();
  scan.scan(buffer, start, end);
  return PROPERTIES.map((_, property) =>
    scan.has(property) ? buffer.subarray(scan.starts[property], scan.ends[property]) : undefined,
  );
}

/** Puts pieces together, flags first. */
export function joinProperties(pieces: PropertyPieces): Buffer {
  let flags = 0;
  const present: Uint8Array[] = [];
  pieces.forEach((piece, property) => {
    if (piece === undefined) return;
    flags |= 0x8000 >> property;
    present.push(piece);
  });
  return Buffer.concat([Buffer.from([flags >> 8, flags & 0xff]), ...present]);
}

/** A piece that holds a text. */
export function shortstrPiece(text: string): Uint8Array {
  const writer = new Writer(1024);
  writer.shortstr(text);
  return writer.take();
}

/** A piece that holds headers. */
export function tablePiece(table: FieldTable): Uint8Array {
  const writer = new Writer(1024);
  writer.table(table);
  return writer.take();
}

/** The headers in a piece; undefined when there are none. */
export function headersOf(piece: Uint8Array | undefined): FieldTable | undefined {
  if (piece === undefined) return undefined;
  const bytes = asBuffer(piece);
  return decodeTable(bytes, 4, bytes.length);
}

/**
 * Headers with some fields removed and others added at the end; what stays keeps its bytes.
 * @param piece  the headers as they were, or undefined
 */
export function changeHeaders(
  piece: Uint8Array | undefined,
  remove: ReadonlySet<string>,
  add: FieldTable,
): Uint8Array {
  const writer = new Writer(1024 + (piece?.length ?? 0));
  writer.long(0);
  if (piece !== undefined) copyFields(asBuffer(piece), remove, writer);
  encodeFields(add, writer);
  writer.buffer.writeUInt32BE(writer.at - 4, 0);
  return writer.take();
}

/** Copies the fields of checked headers whose names are not in `remove`. */
function copyFields(bytes: Buffer, remove: ReadonlySet<string>, writer: Writer): void {
  let at = 4;
  while (at < bytes.length) {
    const valueAt = at + 1 + (bytes[at] as number);
    const end = valueAt + fieldSize(bytes, valueAt);
    if (!remove.has(bytes.toString('utf8', at + 1, valueAt))) writer.bytes(bytes.subarray(at, end));
    at = end;
  }
}

function asBuffer(piece: Uint8Array): Buffer {
  return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
}

/** The properties in `buffer[start…end)`, decoded. @throws NARU_INVALID_MESSAGE  as scan(), or a text that is not UTF-8 */
export function decodeProperties(buffer: Buffer, start: number, end: number): Properties {
  const scan = new PropertyScan();
  scan.scan(buffer, start, end);
  const found: Record<string, unknown> = {};
  PROPERTIES.forEach(([name, kind], property) => {
    if (!scan.has(property)) return;
    const from = scan.starts[property] as number;
    const to = scan.ends[property] as number;
    if (kind === 'octet') found[name] = buffer[from];
    else if (kind === 'longlong') found[name] = Number(buffer.readBigUInt64BE(from));
    else if (kind === 'shortstr') found[name] = textOf(buffer, from + 1, to);
    else found[name] = decodeTable(buffer, from + 4, to);
  });
  return found;
}

/** The bytes of properties, flags first. */
export function encodeProperties(properties: Properties): Buffer {
  const writer = new Writer(1024);
  writer.short(0);
  let flags = 0;
  PROPERTIES.forEach(([name, kind], property) => {
    const value = properties[name];
    if (value === undefined) return;
    flags |= 0x8000 >> property;
    if (kind === 'octet') writer.octet(value as number);
    else if (kind === 'longlong') writer.longlong(value as number);
    else if (kind === 'shortstr') writer.shortstr(value as string);
    else writer.table(value as FieldTable);
  });
  writer.buffer.writeUInt16BE(flags, 0);
  return writer.take();
}
