// Values and keys of a map on their way in and out: schema, codec, limits, freezing. One object serves a handle.

import { NaruError } from '../errors/index.ts';
import type { Codec } from '../mailbox/codec.ts';
import { type Schema, validate } from '../mailbox/schema.ts';
import { freezeDeep } from './frozen.ts';
import type { MapFacts } from './map-driver.ts';

/** Node 20 has it, the ES2023 library of TypeScript does not yet. */
type Text = string & { isWellFormed(): boolean };

/** What they must know of the map. */
type ValueFacts = Pick<MapFacts, 'text' | 'maxKeyBytes' | 'maxValueBytes'>;

export class MapValues {
  readonly #facts: ValueFacts;
  readonly #codec: Codec;
  readonly #schema: Schema | undefined;

  constructor(facts: ValueFacts, codec: Codec, schema: Schema | undefined) {
    this.#facts = facts;
    this.#codec = codec;
    this.#schema = schema;
  }

  /** @throws NARU_INVALID_ARGUMENT (no text, empty, half a surrogate pair), NARU_TOO_LARGE */
  checkKey(key: string): string {
    const { text, maxKeyBytes } = this.#facts;
    if (typeof key !== 'string')
      throw this.#invalid(`a key is a string, not ${key === null ? 'null' : typeof key}`);
    if (key.length * 3 > maxKeyBytes && Buffer.byteLength(key) > maxKeyBytes) {
      throw new NaruError(
        'NARU_TOO_LARGE',
        `${text}: the key "${key.slice(0, 40)}…" has ${Buffer.byteLength(key)} bytes, the limit is ${maxKeyBytes}`,
        { mailbox: text },
      );
    }
    if (key === '') throw this.#invalid('a key has at least one character');
    // As UTF-8 two different halves would be one key.
    if (!(key as Text).isWellFormed()) throw this.#invalid('the key holds half a surrogate pair');
    return key;
  }

  /**
   * @returns the bytes to store, or their promise when the schema is asynchronous
   * @throws NARU_INVALID_MESSAGE (schema, codec), NARU_TOO_LARGE
   */
  encode(key: string, value: unknown): Uint8Array | Promise<Uint8Array> {
    const checked = this.#checked(value);
    return checked instanceof Promise
      ? checked.then((one) => this.#encode(key, one))
      : this.#encode(key, checked);
  }

  /** encode() for the calls that cannot wait. @throws the same, NARU_INVALID_ARGUMENT (an asynchronous schema) */
  encodeSync(key: string, value: unknown): Uint8Array {
    return this.#encode(key, this.#now(this.#checked(value)));
  }

  /** @returns the value, frozen, or its promise @throws NARU_INVALID_MESSAGE */
  decode(key: string, body: Uint8Array): unknown {
    const checked = this.#checked(this.#decode(key, body));
    return checked instanceof Promise
      ? checked.then((one) => this.#frozen(key, one))
      : this.#frozen(key, checked);
  }

  /** decode() for the calls that cannot wait. @throws the same, NARU_INVALID_ARGUMENT (an asynchronous schema) */
  decodeSync(key: string, body: Uint8Array): unknown {
    return this.#frozen(key, this.#now(this.#checked(this.#decode(key, body))));
  }

  #checked(value: unknown): unknown {
    return this.#schema === undefined ? value : validate(this.#schema, value, this.#facts.text);
  }

  #now(checked: unknown): unknown {
    if (!(checked instanceof Promise)) return checked;
    checked.catch(() => undefined);
    throw this.#invalid('the schema is asynchronous; use the calls that return promises');
  }

  #frozen(key: string, value: unknown): unknown {
    if (typeof value === 'object' && value !== null)
      freezeDeep(value, `${this.#facts.text}: the value of "${key}"`);
    return value;
  }

  #encode(key: string, value: unknown): Uint8Array {
    let body: Uint8Array;
    try {
      body = this.#codec.encode(value);
    } catch (error) {
      throw this.#unusable(key, 'cannot be stored', error);
    }
    const { text, maxValueBytes } = this.#facts;
    if (body.byteLength <= maxValueBytes) return body;
    throw new NaruError(
      'NARU_TOO_LARGE',
      `${text}: the value of "${key.slice(0, 40)}" has ${body.byteLength} bytes, the limit of this map is ${maxValueBytes}; ` +
        'store less under one key, or make the map with a larger maxValueBytes',
      { mailbox: text },
    );
  }

  #decode(key: string, body: Uint8Array): unknown {
    try {
      return this.#codec.decode(body);
    } catch (error) {
      throw this.#unusable(key, 'cannot be read; was it stored with another codec?', error);
    }
  }

  #unusable(key: string, what: string, error: unknown): NaruError {
    const { text } = this.#facts;
    return new NaruError(
      'NARU_INVALID_MESSAGE',
      `${text}: the value of "${key.slice(0, 40)}" ${what} (${error instanceof Error ? error.message : String(error)})`,
      { mailbox: text, cause: error },
    );
  }

  #invalid(what: string): NaruError {
    const { text } = this.#facts;
    return new NaruError('NARU_INVALID_ARGUMENT', `${text}: ${what}`, { mailbox: text });
  }
}
