// How often a message was handed out. A quorum queue counts; a classic one says only that it was not the first time, so that what comes
// back to this handle is counted here: by its id, or by its content where it has none. Bounded: the longest not seen are forgotten.

import { createHash } from 'node:crypto';
import type { AmqpMessage } from './protocol.ts';

const REMEMBERED_MAX = 16_384;

export class Deliveries {
  readonly #seen = new Map<string, number>();

  /** How many times it was handed out, with this one. */
  count(message: AmqpMessage): number {
    const { redelivered } = message.fields;
    const returns = Number(message.properties.headers?.['x-delivery-count'] ?? 0);
    if (returns > 0) return returns + 1;
    // A classic queue may have forgotten when its server was killed.
    const known = this.#seen.size === 0 ? undefined : this.#seen.get(keyOf(message));
    if (known !== undefined) return known + 1;
    return redelivered ? 2 : 1;
  }

  /** It goes back, having been handed out so many times. */
  wentBack(message: AmqpMessage, deliveries: number): void {
    const key = keyOf(message);
    this.#seen.delete(key);
    this.#seen.set(key, deliveries);
    if (this.#seen.size <= REMEMBERED_MAX) return;
    for (const oldest of this.#seen.keys()) {
      this.#seen.delete(oldest);
      return;
    }
  }

  /** It is gone for good. */
  forget(message: AmqpMessage): void {
    if (this.#seen.size > 0) this.#seen.delete(keyOf(message));
  }
}

function keyOf({ content, properties, fields }: AmqpMessage): string {
  const { messageId } = properties;
  if (messageId !== undefined && messageId !== '') return `i${messageId}`;
  return `c${fields.routingKey}/${createHash('sha256').update(content).digest('base64url')}`;
}
