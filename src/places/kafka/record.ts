// A message as a record of Kafka and back. Body, ordering key, user headers and time are Kafka's own, so that programs that know nothing
// of Naru read and write them; what only Naru knows (sender, number, id, type …) lies in one header.

import type { Outgoing } from '../../mailbox/driver.ts';
import type { Envelope, MessageFields } from '../../wire/envelope-types.ts';
import { encodeNamed, NamedReader, namedSize, viewOf } from '../../wire/named-envelope.ts';
import { HEADER, type InRecord, type OutRecord } from './client.ts';
import { partitionOf } from './murmur.ts';

/** What a record takes in a batch beside key, value and headers, at most. */
const RECORD_BYTES = 64;
const NOTHING = new Uint8Array(0);

/** Envelopes lie together in pieces of memory of so many bytes. */
const SLAB_BYTES = 16_384;

/** A record on its way. */
export interface Encoded extends OutRecord {
  /** What it takes in a batch, in bytes. */
  readonly size: number;
  readonly done: Outgoing['done'];
}

export class RecordWriter {
  readonly #identity: string;
  readonly #partitions: number;
  /** Whoever has no key keeps to one partition: its messages stay in order. */
  readonly #ownPartition: number;
  #slab = Buffer.allocUnsafe(0);
  #view = viewOf(this.#slab);
  /** Where the next envelope goes. */
  #at = 0;

  /** @param partitions  how many the topic has */
  constructor(identity: string, partitions: number) {
    this.#identity = identity;
    this.#partitions = partitions;
    this.#ownPartition = partitionOf(Buffer.from(identity), partitions);
  }

  /** @throws NARU_TOO_LARGE, NARU_INVALID_MESSAGE  the fields cannot be carried */
  encode(message: Outgoing): Encoded {
    const { body, time, fields, done } = message;
    const headers = nativeHeaders(fields?.headers);
    const key = fields?.key === undefined ? null : Buffer.from(fields.key);
    const envelope = this.#envelope(message, reduced(fields, headers !== undefined));
    return {
      partition: key === null ? this.#ownPartition : partitionOf(key, this.#partitions),
      key,
      value: Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength),
      envelope,
      headers,
      timestamp: Math.max(0, Math.round(time)),
      size: RECORD_BYTES + envelope.length + body.length + (key?.length ?? 0) + sizeOf(headers),
      done,
    };
  }

  /** What only Naru knows of a message. */
  #envelope({ sequence, time }: Outgoing, fields: MessageFields | undefined): Buffer {
    const rest = { body: NOTHING, sequence, time, fields };
    const end = this.#at + namedSize(rest, this.#identity);
    if (end > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, end - this.#at));
      this.#view = viewOf(this.#slab);
      this.#at = 0;
    }
    const from = this.#at;
    this.#at = encodeNamed(rest, this.#identity, this.#slab, this.#view, from);
    return this.#slab.subarray(from, this.#at);
  }
}

/** User headers as Kafka carries them; undefined where there are none, or where it would change them. */
function nativeHeaders(headers: MessageFields['headers']): Record<string, Buffer> | undefined {
  if (headers === undefined || !Object.keys(headers).every((name) => isPlain(name))) return undefined;
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]));
}

function sizeOf(headers: Readonly<Record<string, Buffer>> | undefined): number {
  if (headers === undefined) return 0;
  return Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length + 10, 0);
}

/** Without what Kafka carries itself; undefined when nothing is left. */
function reduced(fields: MessageFields | undefined, areNative: boolean): MessageFields | undefined {
  if (fields === undefined) return undefined;
  const { key: _key, headers, ...rest } = fields;
  const kept = areNative || headers === undefined ? rest : { ...rest, headers };
  return Object.values(kept).every((value) => value === undefined) ? undefined : kept;
}

/** Names that an object keeps in order, that UTF-8 can carry, and that are not ours. */
function isPlain(name: string): boolean {
  return name !== HEADER && name !== '' && name !== '__proto__' && !/^\d|[^\u0020-\u007e]/.test(name);
}

const TEXT = new TextDecoder();

export class RecordReader {
  readonly #reader = new NamedReader();
  /** Where the header before lay; those of one fetch lie in the same memory. */
  #memory: Uint8Array = NOTHING;

  /** @throws NARU_INVALID_MESSAGE  its header of Naru is damaged */
  read(record: InRecord, partition: number): Envelope {
    const body = record.value ?? NOTHING;
    const key = record.key === null ? undefined : TEXT.decode(record.key);
    if (record.own === undefined) return this.#strange(record, partition, body, key);
    const { sender, sequence, time, fields } = this.#decode(record.own);
    if (key === undefined && record.headers.length === 0) return { body, sender, sequence, time, fields };
    const headers = fields?.headers ?? headersOf(record);
    return {
      body,
      sender,
      sequence,
      time,
      fields: { ...fields, ...(key === undefined ? {} : { key }), ...headersField(headers) },
    };
  }

  #decode({ buffer, byteOffset, length }: Uint8Array): Envelope {
    if (buffer !== this.#memory.buffer) this.#memory = new Uint8Array(buffer);
    return this.#reader.decode(this.#memory, byteOffset, byteOffset + length);
  }

  /** What a program wrote that knows nothing of Naru: its place in the topic is its id. */
  #strange(record: InRecord, partition: number, body: Uint8Array, key: string | undefined): Envelope {
    const fields: MessageFields = {
      id: `${partition}:${record.offset}`,
      ...(key === undefined ? {} : { key }),
      ...headersField(headersOf(record)),
    };
    return { body, sender: '', sequence: 0, time: record.timestamp, fields };
  }
}

function headersOf({ headers }: InRecord): Record<string, string> | undefined {
  if (headers.length === 0) return undefined;
  return Object.fromEntries(headers.map(([name, value]) => [name, TEXT.decode(value)]));
}

function headersField(headers: Readonly<Record<string, string>> | undefined): Pick<MessageFields, 'headers'> {
  return headers === undefined ? {} : { headers };
}
