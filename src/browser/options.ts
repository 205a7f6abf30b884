// What a page may say when it opens a mailbox, sends, and hears. What the mailbox itself is (capacity, topic or queue, what happens when it
// is full), its listener says.

import { NaruError } from '../errors/index.ts';
import type { Codec, CodecName } from './codec.ts';
import { BROWSER } from './limits.ts';
import type { Limits } from './waiting.ts';

/** Options of open(). */
export interface BrowserOptions extends Limits {
  /** Default json. */
  readonly codec?: CodecName | Codec;
  /** What the page is for; a seat is taken at once. Default both: a seat is taken at the first send or receive. */
  readonly role?: 'producer' | 'consumer' | 'both';
  /** What the listener asks for (its option `key`). */
  readonly key?: string;
  /** Consumer group of a topic: one of each group gets a message. */
  readonly group?: string;
  /** Where a subscriber of a topic starts: with new messages, or with those that the topic retains (default). */
  readonly from?: 'now' | 'start';
  /** Messages that a loop fetches ahead; 1 = one, when it asks. Default 32; of a topic that drops the oldest always 1. */
  readonly prefetch?: number;
  /** auto: loops settle when they ask for the next (of a topic that drops the oldest: at once), `receive()` at once. manual: `ack()`, `nack()`, `reject()`. Default auto. */
  readonly settle?: 'auto' | 'manual';
  /** How often is asked whether the host lives, in milliseconds; it is dead after 2.5 times that. 0 = never. Default 5,000. */
  readonly heartbeatMs?: number;
  /** Longest time for opening, in milliseconds: it is tried again and again until then. Default 10,000. */
  readonly timeoutMs?: number;
}

/** Options of send(). */
export interface BrowserSendOptions extends Limits {
  /** placed: the host has it (default). received: a consumer has it. */
  readonly confirm?: 'placed' | 'received';
  readonly id?: string;
  readonly priority?: number;
  readonly ttlMs?: number;
  readonly delayMs?: number;
  /** Ordering key. */
  readonly key?: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly correlationId?: string;
}

/** What a page's mailbox tells beside messages. */
export interface BrowserEvents {
  disconnect: { readonly reason: string };
  reconnect: { readonly attempts: number };
  /** Messages of this topic's sender that this page has not got: dropped because it was slow, or sent while it was away. */
  gap: { readonly count: number; readonly sender: string };
  /** The host dropped messages on purpose, of anybody. */
  drop: { readonly reason: string; readonly count: number };
  peers: { readonly producers: number; readonly consumers: number };
  /** A message that cannot be decoded was rejected; or the mailbox is gone for good. */
  error: { readonly error: NaruError };
}

/** @throws NARU_INVALID_ARGUMENT */
export function checkOptions(
  url: string,
  { key, prefetch = BROWSER.prefetch, heartbeatMs = 0 }: BrowserOptions,
): void {
  const wrong = (what: string): NaruError =>
    new NaruError('NARU_INVALID_ARGUMENT', `${url}: ${what}`, { place: 'ws', mailbox: url });
  if (!/^wss?:\/\/[^/?#@]+(\/[^?#]*)?$/.test(url)) {
    throw wrong('a page opens ws://host:port/path or wss://, and says everything else by options');
  }
  if (key !== undefined && typeof key !== 'string') throw wrong('a key is a text');
  if (!Number.isInteger(prefetch) || prefetch < 1 || prefetch > 65_536) {
    throw wrong('prefetch is a whole number from 1 to 65536');
  }
  if (!Number.isFinite(heartbeatMs) || heartbeatMs < 0) throw wrong('heartbeatMs is a number from 0');
}
