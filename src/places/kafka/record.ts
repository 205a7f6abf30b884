// A message as a record of Kafka and back. Body, ordering key, user headers and time are Kafka's own, so that programs that know nothing
// of Naru read and write them; what only Naru knows (sender, number, id, type …) lies in one header.

import type { Outgoing } from '../../mailbox/driver.ts';
import type { Envelope, MessageFields } from '../../wire/envelope-types.ts';
import { encodeNamed, NamedReader, namedSize, viewOf } from '../../wire/named-envelope.ts';
import type { InRecord, OutRecord } from './client.ts';
import { partitionOf } from './murmur.ts';

/** The header with the envelope: named-envelope.ts, without a body. */
export const HEADER = 'naru';

/** What a record takes in a batch beside key, value and headers, at most. */
const RECORD_BYTES = 64;
const NOTHING = new Uint8Array(0);

/** A record and how many bytes it takes in a batch. */
export interface Encoded {
  readonly record: OutRecord;
  readonly size: number;
}

/**
 * @param partitions  how many the topic has
 * @throws NARU_TOO_LARGE, NARU_INVALID_MESSAGE  the fields cannot be carried
 */
export function encodeRecord(message: Outgoing, identity: string, partitions: number): Encoded {
  const { key, headers } = message.fields ?? {};
  const areNative = headers !== undefined && Object.keys(headers).every((name) => isPlain(name));
  const fields = reduced(message.fields, areNative);
  const rest = { body: NOTHING, sequence: message.sequence, time: message.time, fields };
  const envelope = Buffer.allocUnsafe(namedSize(rest, identity));
  encodeNamed(rest, identity, envelope, viewOf(envelope), 0);
  const native: Record<string, Buffer> = { [HEADER]: envelope };
  let size = RECORD_BYTES + envelope.length + message.body.length;
  if (areNative)
    for (const [name, value] of Object.entries(headers)) {
      const bytes = Buffer.from(value);
      native[name] = bytes;
      size += 3 * name.length + bytes.length + 10;
    }
  const keyBytes = key === undefined ? null : Buffer.from(key);
  const { buffer, byteOffset, byteLength } = message.body;
  const record = {
    // Whoever has no key keeps to one partition: its messages stay in order.
    partition: partitionOf(keyBytes ?? Buffer.from(identity), partitions),
    key: keyBytes,
    value: Buffer.from(buffer, byteOffset, byteLength),
    headers: native,
    timestamp: Math.max(0, Math.round(message.time)),
  };
  return { record, size: size + (keyBytes?.length ?? 0) };
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

  /** @throws NARU_INVALID_MESSAGE  its header of Naru is damaged */
  read(record: InRecord, partition: number): Envelope {
    const body = record.value ?? NOTHING;
    const own = record.headers.find(([name]) => name === HEADER)?.[1];
    const key = record.key === null ? undefined : TEXT.decode(record.key);
    if (own === undefined) return this.#strange(record, partition, body, key);
    const { sender, sequence, time, fields } = this.#reader.decode(own, 0, own.length);
    if (key === undefined && record.headers.length === 1) return { body, sender, sequence, time, fields };
    const headers = fields?.headers ?? headersOf(record);
    return {
      body,
      sender,
      sequence,
      time,
      fields: { ...fields, ...(key === undefined ? {} : { key }), ...headersField(headers) },
    };
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
  const own = headers.filter(([name]) => name !== HEADER);
  if (own.length === 0) return undefined;
  return Object.fromEntries(own.map(([name, value]) => [name, TEXT.decode(value)]));
}

function headersField(headers: Readonly<Record<string, string>> | undefined): Pick<MessageFields, 'headers'> {
  return headers === undefined ? {} : { headers };
}
