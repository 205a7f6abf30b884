// Codecs: how `data` becomes bytes and back. Four are built in; a program may bring its own. No schema here (schema.ts).

import { deserialize, serialize } from 'node:v8';
import { isUint8Array } from 'node:util/types';
import { NaruError } from '../errors/index.ts';

/** Turns data into bytes and back. Both directions may throw; Mailbox reports that as NARU_INVALID_MESSAGE. */
export interface Codec<T = unknown> {
  /** Sent as the message's content type; undefined = none. */
  readonly contentType?: string | undefined;
  encode(data: T): Uint8Array;
  decode(body: Uint8Array): T;
}

/** json: any JSON value (default). bytes: Uint8Array. text: string. v8: structured clone, for processes of the same user only. */
export type CodecName = 'json' | 'bytes' | 'text' | 'v8';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const json: Codec = {
  encode(data) {
    if (isUint8Array(data))
      throw new TypeError('a Uint8Array is not JSON: open the mailbox with codec "bytes"');
    const text = JSON.stringify(data) as string | undefined;
    if (text === undefined) throw new TypeError(`${typeof data} has no JSON form`);
    return Buffer.from(text, 'utf8');
  },
  decode: (body) => JSON.parse(decoder.decode(body)) as unknown,
};

const bytes: Codec = {
  encode(data) {
    if (!isUint8Array(data)) throw new TypeError(`codec "bytes" takes a Uint8Array, not ${typeof data}`);
    return data;
  },
  decode: (body) => body,
};

const text: Codec = {
  encode(data) {
    if (typeof data !== 'string') throw new TypeError(`codec "text" takes a string, not ${typeof data}`);
    return Buffer.from(data, 'utf8');
  },
  decode: (body) => decoder.decode(body),
};

const v8: Codec = {
  encode: (data) => serialize(data),
  decode: (body) => deserialize(body) as unknown,
};

const CODECS: Readonly<Record<CodecName, Codec>> = { json, bytes, text, v8 };

/**
 * The codec behind a name, or the given one.
 * @throws NARU_INVALID_ARGUMENT  unknown name
 */
export function resolveCodec(codec: CodecName | Codec | undefined): Codec {
  if (typeof codec === 'object') return codec;
  const found = Object.hasOwn(CODECS, codec ?? 'json') ? CODECS[codec ?? 'json'] : undefined;
  if (found !== undefined) return found;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `unknown codec "${codec}": use ${Object.keys(CODECS).join(', ')}`,
  );
}
