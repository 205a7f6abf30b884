// Messages of the package kafkajs as records.

import { HEADER, type InRecord } from '../client.ts';

export type HeaderValue = Uint8Array | string | undefined;

export interface Message {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>;
}

const NONE: InRecord['headers'] = [];

export function recordOf({ offset, timestamp, key, value, headers }: Message): InRecord {
  const { [HEADER]: own, ...others } = headers ?? {};
  return {
    offset: Number(offset),
    key,
    value,
    own: own === undefined ? undefined : bytesOf(own),
    headers: headers === undefined ? NONE : Object.entries(others).map(([name, one]) => [name, bytesOf(one)]),
    timestamp: Number(timestamp),
  };
}

/** Of several with one name the last counts, as in an object. */
function bytesOf(value: HeaderValue | readonly HeaderValue[]): Uint8Array {
  const one = Array.isArray(value) ? (value.at(-1) as HeaderValue) : (value as HeaderValue);
  return typeof one === 'string' ? Buffer.from(one) : (one ?? Buffer.alloc(0));
}
