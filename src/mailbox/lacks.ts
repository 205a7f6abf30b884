// Capabilities at type level: what a place cannot do does not compile, and the editor says what is missing.

import type { Feature } from './capabilities.ts';
import type { WaitLimits } from './waiting.ts';
import type { Confirm } from './capabilities.ts';

declare const lacks: unique symbol;

/** What the editor shows where a feature is used that the place does not have. No value has this type. */
export interface Lacks<F extends string> {
  readonly [lacks]: `This place has no '${F}'. Run "naru places", or name it in needs: ['${F}'].`;
}

/** `T` where the feature is there, else `Lacks`. */
export type If<F extends Feature, Has extends Feature, T> = F extends Has ? T : Lacks<F>;

/** A parameter list that cannot be satisfied where the feature is missing. */
export type Needs<F extends Feature, Has extends Feature, Args extends readonly unknown[]> = F extends Has
  ? Args
  : [Lacks<F>, ...never[]];

/** Headers and limits of one send. */
export interface SendOptions<Has extends Feature = Feature> extends WaitLimits {
  /** How far the message must get before the call comes back. Default: the mailbox's. */
  readonly confirm?:
    | Exclude<Confirm, 'received' | 'durable'>
    | If<'receipts', Has, 'received'>
    | If<'durable', Has, 'durable'>;
  /** The message's id; a message sent again must carry the same. Default: made of sender and sequence. */
  readonly id?: string;
  /** Integer, higher is more urgent; the place declares its range. */
  readonly priority?: If<'priority', Has, number>;
  /** The message expires so many milliseconds from now. */
  readonly ttlMs?: If<'ttl', Has, number>;
  /** The message becomes visible so many milliseconds from now. */
  readonly delayMs?: If<'delay', Has, number>;
  /** Ordering key. */
  readonly key?: If<'orderingKey', Has, string>;
  readonly headers?: If<'headers', Has, Readonly<Record<string, string>>>;
  /** What kind of message it is. Kernel queues of System V: a whole number from 1, as text. */
  readonly type?: If<'type', Has, string>;
  readonly contentType?: If<'headers', Has, string>;
  readonly correlationId?: If<'headers', Has, string>;
  readonly replyTo?: If<'headers', Has, string>;
}
