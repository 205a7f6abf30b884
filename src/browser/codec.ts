// How `data` becomes bytes and back in a browser: the codecs of mailbox/codec.ts that need no Node.

import { NaruError } from '../errors/index.ts';

/** Turns data into bytes and back. Both directions may throw: that is NARU_INVALID_MESSAGE. */
export interface Codec<T = unknown> {
  /** Sent as the message's content type; undefined = none. */
  readonly contentType?: string | undefined;
  encode(data: T): Uint8Array;
  decode(body: Uint8Array): T;
}

/** json: any JSON value (default). bytes: Uint8Array. text: string. The host and the other users must use the same. */
export type CodecName = 'json' | 'bytes' | 'text';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const json: Codec = {
  encode(data) {
    if (data instanceof Uint8Array) throw new TypeError('a Uint8Array is not JSON: use codec "bytes"');
    const text = JSON.stringify(data) as string | undefined;
    if (text === undefined) throw new TypeError(`${typeof data} has no JSON form`);
    return encoder.encode(text);
  },
  decode: (body) => JSON.parse(decoder.decode(body)) as unknown,
};

const bytes: Codec = {
  encode(data) {
    if (data instanceof Uint8Array) return data;
    throw new TypeError(`codec "bytes" takes a Uint8Array, not ${typeof data}`);
  },
  decode: (body) => body,
};

const text: Codec = {
  encode(data) {
    if (typeof data === 'string') return encoder.encode(data);
    throw new TypeError(`codec "text" takes a string, not ${typeof data}`);
  },
  decode: (body) => decoder.decode(body),
};

const CODECS: Readonly<Record<CodecName, Codec>> = { json, bytes, text };

/** @throws NARU_INVALID_ARGUMENT  unknown name */
export function resolveCodec(codec: CodecName | Codec = 'json'): Codec {
  if (typeof codec === 'object') return codec;
  const found = Object.hasOwn(CODECS, codec) ? CODECS[codec] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(CODECS).join(', ');
  throw new NaruError('NARU_INVALID_ARGUMENT', `unknown codec "${codec}": use ${names}`);
}
