// What a message takes along from one mailbox to another beside its body: which of its headers the target can carry, and what
// is said of the rest. Opens nothing and sends nothing.

import type { Capabilities, Feature } from '../mailbox/capabilities.ts';
import type { SendOptions } from '../mailbox/lacks.ts';
import type { Message } from '../mailbox/message.ts';
import type { MessageFields } from '../wire/envelope-types.ts';
import { formatBytes } from './output.ts';

/** What `--without` may leave behind. */
export const FIELDS = ['headers', 'type', 'priority', 'ttl', 'key', 'correlation', 'id'] as const;

/** One of them. */
export type Field = (typeof FIELDS)[number];

/** A mailbox as far as this matters. */
export interface Port {
  readonly capabilities: Capabilities;
  readonly maxMessageBytes: number;
}

/** The feature behind each field; places without a feature of that name carry it with the headers. */
const FEATURE_OF: Readonly<Record<Field, string>> = {
  headers: 'headers',
  type: 'type',
  priority: 'priority',
  ttl: 'ttl',
  key: 'orderingKey',
  correlation: 'headers',
  id: 'headers',
};

/** Decides for one pair of mailboxes. */
export class Freight {
  readonly #from: Port;
  readonly #to: Port;
  readonly #carried: ReadonlySet<Field>;
  readonly #prefix: string;
  #strangers = 0;
  #usual: { readonly fields: MessageFields; readonly options: SendOptions | undefined } | undefined;
  /** Messages whose priority the target does not have, and that got the nearest one. */
  lowered = 0;

  /**
   * @param without  fields that stay behind although the target could carry them
   * @param prefix   what the ids of messages that have none begin with
   */
  constructor(from: Port, to: Port, without: readonly Field[], prefix: string) {
    this.#from = from;
    this.#to = to;
    this.#prefix = prefix;
    this.#carried = new Set(
      FIELDS.filter((field) => can(to.capabilities, field) && !without.includes(field)),
    );
  }

  /** What the target cannot carry of what the source may bring: one sentence each. */
  get lacks(): readonly string[] {
    const { capabilities: from, maxMessageBytes: bytesFrom } = this.#from;
    const { capabilities: to, maxMessageBytes: bytesTo } = this.#to;
    const lost = FIELDS.filter((field) => can(from, field) && !this.#carried.has(field));
    const sentences: string[] = [];
    if (lost.length > 0) sentences.push(`the target does not carry ${lost.join(', ')}: left out`);
    if (!lost.includes('priority') && isNarrower(to, from)) {
      const { priorityMin, priorityMax } = to.limits;
      sentences.push(
        `the target has the priorities ${priorityMin} to ${priorityMax}: others become the nearest`,
      );
    }
    if (bytesTo < bytesFrom)
      sentences.push(
        `the target takes up to ${formatBytes(bytesTo)} a message: a larger one stops the bridge`,
      );
    return sentences;
  }

  /** The options to send a message with; undefined when its body is all that travels. */
  optionsOf(message: Message<Uint8Array>): SendOptions | undefined {
    // A message that is sent twice is known by its id, so one that has none gets one.
    return this.#optionsOf(message, message.id || this.#newId());
  }

  /** The same for a message that is sent once, or not at all: the target gives those an id that have none. */
  optionsAtOnce(message: Message<Uint8Array>): SendOptions | undefined {
    const { id } = message;
    const { fields } = message.delivery;
    if (id !== '' || fields === undefined || fields.ttlMs !== undefined) return this.#optionsOf(message, id);
    // Places without headers give all messages of a kind the same object.
    if (fields !== this.#usual?.fields) this.#usual = { fields, options: this.#optionsOf(message, id) };
    return this.#usual.options;
  }

  #optionsOf(message: Message<Uint8Array>, id: string): SendOptions | undefined {
    const carried = this.#carried;
    if (carried.size === 0) return undefined;
    const options: { -readonly [K in keyof SendOptions]: SendOptions[K] } = {};
    if (id !== '' && carried.has('id')) options.id = id;
    const { fields } = message.delivery;
    if (fields === undefined) return options;
    if (carried.has('headers')) {
      if (fields.headers !== undefined) options.headers = fields.headers;
      if (fields.contentType !== undefined) options.contentType = fields.contentType;
    }
    if (fields.correlationId !== undefined && carried.has('correlation'))
      options.correlationId = fields.correlationId;
    if (fields.type !== undefined && carried.has('type')) options.type = fields.type;
    if (fields.key !== undefined && carried.has('key')) options.key = fields.key;
    if (fields.ttlMs !== undefined && carried.has('ttl')) options.ttlMs = ttlLeft(fields.ttlMs, message.time);
    if (fields.priority !== undefined && carried.has('priority'))
      options.priority = this.#nearest(fields.priority);
    return options;
  }

  #nearest(priority: number): number {
    const { priorityMin, priorityMax } = this.#to.capabilities.limits;
    const nearest = Math.min(Math.max(priority, priorityMin), priorityMax);
    if (nearest !== priority) this.lowered += 1;
    return nearest;
  }

  #newId(): string {
    this.#strangers += 1;
    return `${this.#prefix}-bridged-${this.#strangers}`;
  }
}

/** What is left of a time to live; at least a millisecond, as the source did hand the message out. */
function ttlLeft(ttlMs: number, sentAt: number): number {
  if (sentAt === 0) return ttlMs;
  return Math.min(ttlMs, Math.max(1, ttlMs - (Date.now() - sentAt)));
}

function can({ features }: Capabilities, field: Field): boolean {
  const levels: Readonly<Record<string, string | undefined>> = features;
  const level = levels[FEATURE_OF[field]] ?? levels['headers' satisfies Feature];
  return level === 'native';
}

function isNarrower(to: Capabilities, from: Capabilities): boolean {
  if (!can(from, 'priority')) return false;
  return to.limits.priorityMin > from.limits.priorityMin || to.limits.priorityMax < from.limits.priorityMax;
}
