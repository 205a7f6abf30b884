// The options of open() and the URL parameters of the same names; parsing and checking of both. Defaults stand in
// defaults.ts. A place that knows more parameters names them in its own options.ts; this file knows no place.

import type { Confirm, Feature, Owner } from './capabilities.ts';
import type { Codec, CodecName } from './codec.ts';
import type { Schema } from './schema.ts';

export type Relation = '1:1' | 'N:1' | '1:N' | 'N:N';
export type Deliver = 'one' | 'all';
export type Role = 'producer' | 'consumer' | 'both';
export type Create = 'if-missing' | 'new' | 'never';
export type Survives = 'process' | 'restart';
export type FullPolicy = 'wait' | 'fail' | 'drop-oldest' | 'drop-newest';
export type NobodyPolicy = 'keep' | 'wait' | 'fail' | 'drop';
export type Settle = 'auto' | 'manual';
export type Frame = 'lines' | 'length' | 'fixed' | 'chunk' | 'eof';

/** How often and how fast `consume()` tries a failing message again. */
export interface RetryOptions {
  /** Attempts in all, the first included. Default 5. */
  readonly attempts?: number;
  /** Delay after the first failure, in milliseconds; doubles each time, with jitter. Default 100. */
  readonly delayMs?: number;
  /** Longest delay in milliseconds. Default 30,000. */
  readonly delayMsMax?: number;
}

/** Certificates for places that speak TLS: PEM text, or the path of a PEM file. */
export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Name to check the certificate against; default: the host of the URL. */
  readonly servername?: string;
  /** Listener: ask for and check a client's certificate. Default false. */
  readonly requestCert?: boolean;
}

/** How long a wait looks for itself before it sleeps. Rings in shared memory and files; of queues of the kernel the event loop's `yields`. */
export interface WaitOptions {
  /** How long a waiting thread spins before it yields, in microseconds. Default 0 for event loops, 20 for `…Sync`. */
  readonly spinMicros?: number;
  /** How many turns it looks before it sleeps. Default: 0 to 24 for event loops, by what it brought of late; 10 for `…Sync`. */
  readonly yields?: number;
}

/** Options that describe the mailbox itself or the handle; each may also stand in the URL, unless it is an object. */
export interface MailboxOptions<N extends Feature = Feature> {
  /** Features that must be there; checked before anything is created. For URLs known only at run time. */
  readonly needs?: readonly N[];
  /** Features that Naru may emulate where the place has none of its own. */
  readonly emulate?: readonly Feature[];
  /** What this handle is for. Default both: it takes a producer's or a consumer's seat at the first send or receive. */
  readonly role?: Role;
  readonly relation?: Relation;
  readonly deliver?: Deliver;
  /** Consumer group (deliver all): one of each group gets a message. */
  readonly group?: string;
  readonly create?: Create;
  readonly owner?: Owner;
  readonly survives?: Survives;
  /** Room for bodies and their headers, in bytes; shm: of each producer's lane. 0 = rendezvous. */
  readonly capacityBytes?: number;
  /** Room in messages. 0 = rendezvous. */
  readonly capacityMessages?: number;
  /** Fixed length of every body, in bytes. */
  readonly slotBytes?: number;
  /** Largest body in bytes. */
  readonly maxMessageBytes?: number;
  /** How many priorities a new mailbox has, 1 to 10. Default: what the place has; shm: 1, and a lane for each. */
  readonly priorities?: number;
  readonly full?: FullPolicy;
  readonly nobody?: NobodyPolicy;
  /** How many sends may wait for room before OVERLOADED. Default 10,000. */
  readonly maxWaiting?: number;
  /** How many messages may be fetched ahead for iteration and consume(). Default 256. */
  readonly prefetch?: number;
  readonly settle?: Settle;
  readonly retry?: RetryOptions;
  /** URL of the mailbox that gets messages which failed `retry.attempts` times or were rejected. */
  readonly deadLetter?: string;
  /** A message not settled for so long is delivered again. Default: never. */
  readonly leaseMs?: number;
  /** How many of a topic's last messages are kept for late consumers. Default 0. */
  readonly retain?: number;
  /** Where a new consumer of a topic starts: with new messages, or with the retained ones. Default: retained. */
  readonly from?: 'now' | 'start';
  /** How many of the last ids are remembered to drop duplicates. Default 0: none. */
  readonly dedup?: number;
  /** Level that `send()` waits for. Default: the place's. */
  readonly confirm?: Confirm;
  /** How long unsent messages may keep the process and close(), in milliseconds. Default 2,000. */
  readonly flushMs?: number;
  readonly format?: 'envelope' | 'raw';
  readonly frame?: Frame;
  /** Take on another place's features and limits (memory only). */
  readonly as?: string;
  readonly wait?: WaitOptions;
  readonly tls?: TlsOptions;
}

/** What open() takes beside the URL. */
export interface OpenOptions<N extends Feature = Feature, S extends Schema | undefined = Schema | undefined>
  extends MailboxOptions<N> {
  readonly schema?: S;
  /** When the schema runs. Default both. */
  readonly validate?: 'both' | 'send' | 'receive' | 'off';
  readonly codec?: CodecName | Codec;
  /**
   * Key of the Manager where the mailbox lives (default: of the URL's `keyFile`, or of NARU_MANAGER_KEY), or of a listener on ws, or
   * the bearer token of http (default: the URL's password).
   */
  readonly key?: string;
  /** Aborts opening. */
  readonly signal?: AbortSignal;
  /** Longest time opening may take, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
}
