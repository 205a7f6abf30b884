// From the user's data and options to what a driver sends: encoding, the schema, the checks of size and of what the place
// can do. The same object serves every send of a handle.

import { NaruError } from '../errors/index.ts';
import type { MessageFields } from '../wire/envelope-types.ts';
import type { Capabilities, Confirm, Feature } from './capabilities.ts';
import type { Codec } from './codec.ts';
import type { ClaimRequest, DriverFacts, Outgoing } from './driver.ts';
import type { SendOptions } from './lacks.ts';
import { has } from './requirements.ts';
import { validate, type Schema } from './schema.ts';

/** What encoding needs to know of the handle. */
export interface EncoderSettings {
  readonly mailbox: string;
  readonly codec: Codec;
  /** Runs on send; undefined = none. */
  readonly schema: Schema | undefined;
  readonly slotBytes: number | undefined;
  readonly emulate: readonly Feature[];
}

/** Feature behind each optional field of a message. */
const FIELD_FEATURES: ReadonlyMap<string, Feature> = new Map<keyof SendOptions, Feature>([
  ['id', 'headers'],
  ['priority', 'priority'],
  ['ttlMs', 'ttl'],
  ['delayMs', 'delay'],
  ['key', 'orderingKey'],
  ['headers', 'headers'],
  ['type', 'type'],
  ['contentType', 'headers'],
  ['correlationId', 'headers'],
  ['replyTo', 'headers'],
]);

export class Encoder {
  readonly #facts: DriverFacts;
  readonly #settings: EncoderSettings;
  readonly #sizeMax: number;
  /** What require() found last. It is asked for the same with every message, and the table is looked up by a name that varies. */
  #required: Feature | undefined;
  #sequence = 0;

  constructor(facts: DriverFacts, settings: EncoderSettings) {
    this.#facts = facts;
    this.#settings = settings;
    this.#sizeMax = Math.min(facts.maxMessageBytes, settings.slotBytes ?? Number.POSITIVE_INFINITY);
  }

  /**
   * The data as the schema leaves it; a promise where the schema is asynchronous.
   * @throws NARU_INVALID_MESSAGE
   */
  check(data: unknown): unknown {
    const { schema, mailbox } = this.#settings;
    return schema === undefined ? data : validate(schema, data, mailbox);
  }

  /** check() for the calls that cannot wait. @throws NARU_INVALID_ARGUMENT when the schema is asynchronous */
  checkSync(data: unknown): unknown {
    const checked = this.check(data);
    if (checked instanceof Promise) {
      checked.catch(() => undefined);
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${this.#settings.mailbox}: the schema is asynchronous; use the waiting calls, or validate: 'off'`,
      );
    }
    return checked;
  }

  /**
   * @throws NARU_INVALID_MESSAGE  the codec refused the data
   * @throws NARU_TOO_LARGE        the body is over the limit
   * @throws NARU_UNSUPPORTED, NARU_INVALID_ARGUMENT  an option the place does not have, or a value out of its range
   */
  encode(
    data: unknown,
    time: number,
    options: SendOptions | undefined,
    confirm: Confirm | undefined,
    done: ((error?: Error) => void) | undefined,
  ): Outgoing {
    const body = this.#encodeBody(data);
    const { contentType } = this.#settings.codec;
    const fields = options === undefined ? this.#defaultFields() : this.#fields(options, contentType);
    this.#sequence = (this.#sequence + 1) >>> 0;
    return { body, sequence: this.#sequence, time, fields, confirm, done };
  }

  /**
   * The same for a message whose body is written later: codec and schema have no part in it.
   *
   * @throws NARU_TOO_LARGE, NARU_UNSUPPORTED, NARU_INVALID_ARGUMENT  as encode(); also for a size that is no number of bytes
   */
  claim(sizeBytes: number, time: number, options: SendOptions | undefined): ClaimRequest {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${this.#settings.mailbox}: a claim takes a number of bytes from 0, got ${String(sizeBytes)}`,
      );
    }
    this.#checkSize(sizeBytes);
    const fields = options === undefined ? undefined : this.#fields(options, undefined);
    this.#sequence = (this.#sequence + 1) >>> 0;
    return { sizeBytes, sequence: this.#sequence, time, fields };
  }

  /** Whether the place has a feature, or Naru emulates it here. */
  can(feature: Feature): boolean {
    return has(this.#facts.capabilities, feature, this.#settings.emulate);
  }

  /** Checks an option of one call against what the place can do. @throws NARU_UNSUPPORTED */
  require(feature: Feature, what: string): void {
    if (feature === this.#required) return;
    if (!this.can(feature)) {
      throw unsupported(this.#facts.capabilities, feature, what, this.#settings.mailbox);
    }
    this.#required = feature;
  }

  #encodeBody(data: unknown): Uint8Array {
    const { codec, mailbox } = this.#settings;
    let body: Uint8Array;
    try {
      body = codec.encode(data);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new NaruError('NARU_INVALID_MESSAGE', `${mailbox}: the message cannot be encoded: ${why}`, {
        mailbox,
        cause,
      });
    }
    this.#checkSize(body.byteLength);
    return body;
  }

  #checkSize(bytes: number): void {
    if (bytes <= this.#sizeMax) return;
    const { mailbox } = this.#settings;
    const { sizeLimit } = this.#facts;
    const why =
      sizeLimit === undefined
        ? '; create the mailbox with a larger capacity or size'
        : `, set by ${sizeLimit}`;
    throw new NaruError(
      'NARU_TOO_LARGE',
      `${mailbox}: the message has ${bytes} bytes, the limit is ${this.#sizeMax}${why}`,
      { mailbox },
    );
  }

  #defaultFields(): MessageFields | undefined {
    const { contentType } = this.#settings.codec;
    return contentType === undefined ? undefined : { contentType };
  }

  /** @param contentType  the codec's, unless the options name another */
  #fields(options: SendOptions, contentType: string | undefined): MessageFields | undefined {
    const fields: Record<string, unknown> = {};
    let count = 0;
    if (contentType !== undefined) {
      fields['contentType'] = contentType;
      count = 1;
    }
    // Few options are given as a rule, and this is done for every message.
    for (const name in options) {
      const feature = this.#isOfRequest(name, options) ? 'reply' : FIELD_FEATURES.get(name);
      const value = (options as Record<string, unknown>)[name];
      if (feature === undefined || value === undefined) continue;
      if (!this.can(feature)) this.require(feature, `the option ${name}`);
      this.#checkField(name, value);
      fields[name] = value;
      count += 1;
    }
    return count === 0 ? undefined : fields;
  }

  /** What a request cannot do without goes with it, also where no other headers do. */
  #isOfRequest(name: string, { replyTo }: SendOptions): boolean {
    return replyTo !== undefined && (name === 'replyTo' || name === 'correlationId') && this.can('reply');
  }

  #checkField(name: string, value: unknown): void {
    const { mailbox } = this.#settings;
    const { priorityMin, priorityMax } = this.#facts.capabilities.limits;
    if (name === 'priority') {
      if (Number.isInteger(value) && (value as number) >= priorityMin && (value as number) <= priorityMax)
        return;
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${mailbox}: priority ${String(value)} is outside ${priorityMin} to ${priorityMax} (integers, higher is more urgent)`,
      );
    }
    if (name === 'ttlMs' || name === 'delayMs') {
      if (typeof value === 'number' && value >= 0 && value <= 2 ** 31 - 1) return;
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${mailbox}: ${name} must be from 0 to 2147483647, got ${String(value)}`,
      );
    }
    if (name === 'headers') {
      const bad = Object.entries(value as object).find(([, text]) => typeof text !== 'string');
      if (bad === undefined) return;
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${mailbox}: header "${bad[0]}" must be a string, got ${typeof bad[1]}`,
      );
    }
    if (typeof value !== 'string') {
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${mailbox}: ${name} must be a string, got ${typeof value}`,
      );
    }
  }
}

/** The error of a call that uses a feature which the place does not have. */
export function unsupported(
  capabilities: Capabilities,
  feature: Feature,
  what: string,
  mailbox: string,
): NaruError {
  const how =
    capabilities.features[feature] === 'emulated'
      ? `has on request only: open with emulate: ['${feature}']`
      : `does not have; open with needs: ['${feature}'] to learn it at once`;
  return new NaruError(
    'NARU_UNSUPPORTED',
    `${mailbox}: ${what} needs '${feature}', which ${capabilities.scheme}:// ${how}`,
    { place: capabilities.scheme, mailbox },
  );
}
