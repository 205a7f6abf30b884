// A message on its way in: where it is to go and what its properties ask for. One object a channel, used again for each message; a
// transaction keeps copies.

import type { Exchange } from '../exchange/exchange.ts';
import type { Queue } from '../queue/queue.ts';

/** Names of exchange and key with their lengths, and the flags: more than any method frame has. */
const METHOD_BYTES_MAX = 514;

/** Where messages with the same exchange and key go, as long as nothing changes. */
export class Route {
  /** The arguments of basic.publish as they came. */
  readonly bytes: Buffer = Buffer.alloc(METHOD_BYTES_MAX);
  length = 0;
  exchange: Exchange | undefined;
  key = '';
  mandatory = false;
  /** The virtual host's epoch when `exchange` was looked up; 0: never. */
  epoch = 0;
  usersEpoch = -1;
  /** The queues; valid when `isFixed`. */
  queues: Queue[] = [];
  /** Nothing but the key decides, and the queues are found. */
  isFixed = false;

  /** Whether these arguments are the ones it was made for. */
  matches(bytes: Buffer, start: number, end: number): boolean {
    const { length } = this;
    if (end - start !== length) return false;
    const mine = this.bytes;
    for (let i = 0; i < length; i += 1) if (mine[i] !== bytes[start + i]) return false;
    return true;
  }

  remember(bytes: Buffer, start: number, end: number): void {
    this.bytes.set(bytes.subarray(start, end));
    this.length = end - start;
  }
}

/** What a complete message needs to be put into queues. */
export interface Publication {
  readonly slot: number;
  readonly exchange: Exchange;
  readonly key: string;
  /** Keys of CC and BCC. */
  readonly moreKeys: readonly string[];
  readonly ttlMs: number;
  readonly delayMs: number;
  readonly mandatory: boolean;
}

export const NO_KEYS: readonly string[] = [];

/** What a channel expects next. */
export const EXPECT = { method: 0, header: 1, body: 2 } as const;

export type Expected = (typeof EXPECT)[keyof typeof EXPECT];

/** The message that is coming in on a channel. */
export class Incoming {
  expects: Expected = 0;
  readonly route: Route = new Route();
  slot = 0;
  bodyBytes = 0;
  filled = 0;
  ttlMs: number = Infinity;
  delayMs = 0;
  moreKeys: readonly string[];
  /** Pieces of a body too large to reserve memory for on its word. */
  pieces: Buffer[] | undefined;
  properties: Buffer | undefined;
  priority = 0;
  persistent = false;

  constructor() {
    this.moreKeys = NO_KEYS;
  }
}
