// The one table of the broker's limits: what each is, how far it can be changed, what a peer that reaches it is told, and why it
// exists. The page docs/reference/broker-limits.md is generated from it; nothing that a peer can reach is bounded elsewhere.

import { NaruError } from '../errors/index.ts';
import { CODEC_LIMITS } from '../wire/amqp091/index.ts';

/** The names of all limits. */
export type LimitName =
  | 'frameBytesMax'
  | 'frameBytesMin'
  | 'handshakeFrameBytesMax'
  | 'handshakeMs'
  | 'handshakesMax'
  | 'failedLoginMs'
  | 'closeMs'
  | 'lingerMs'
  | 'stopMs'
  | 'heartbeatSeconds'
  | 'connectionsMax'
  | 'descriptorsReserved'
  | 'channelsMax'
  | 'consumersPerChannelMax'
  | 'nameBytesMax'
  | 'vhostsMax'
  | 'usersMax'
  | 'patternCharsMax'
  | 'policiesPerVhostMax'
  | 'queuesPerVhostMax'
  | 'exchangesPerVhostMax'
  | 'bindingsPerVhostMax'
  | 'messageBytesMax'
  | 'priorityMax'
  | 'consumerTimeoutMs'
  | 'ttlMsMax'
  | 'deathsMax'
  | 'tableNestingMax'
  | 'tableFieldsMax'
  | 'topicWordsMax'
  | 'txMessagesMax'
  | 'outputBytesMax'
  | 'heldBytesMax'
  | 'unwrittenBytesMax'
  | 'memoryBytesMax'
  | 'storedBytesInMemoryMax'
  | 'httpConnectionsMax'
  | 'httpHeadersMs'
  | 'httpRequestMs'
  | 'httpIdleMs'
  | 'httpBodyBytesMax'
  | 'httpMessagesMax'
  | 'httpPageMax'
  | 'pageRowsMax';

export interface Limit {
  readonly default: number;
  /** Smallest value it can be set to. Default: 1. */
  readonly min?: number;
  readonly max: number;
  /** What the peer gets: a reply code, or how else it is told. */
  readonly reply: number | 'closed' | 'blocked' | 'none';
  readonly reason: string;
}

/** 100 years of 365 days in milliseconds. */
const TTL_MS_MAX = 100 * 365 * 86_400_000;

export const LIMITS: Readonly<Record<LimitName, Limit>> = {
  frameBytesMax: {
    default: 131_072,
    min: 4096,
    max: 16_777_216,
    reply: 501,
    reason: 'a peer cannot make the broker hold more than this of an unfinished frame',
  },
  frameBytesMin: {
    default: 4096,
    min: 4096,
    max: 4096,
    reply: 530,
    reason: 'smaller frames than the protocol allows multiply the work for each message',
  },
  handshakeFrameBytesMax: {
    default: CODEC_LIMITS.handshakeFrameBytesMax,
    min: CODEC_LIMITS.handshakeFrameBytesMax,
    max: CODEC_LIMITS.handshakeFrameBytesMax,
    reply: 501,
    reason: 'strangers get little memory',
  },
  handshakeMs: {
    default: 10_000,
    max: 600_000,
    reply: 'closed',
    reason: 'who says nothing, or a byte a second, does not keep a connection',
  },
  handshakesMax: {
    default: 1000,
    max: 100_000,
    reply: 'closed',
    reason: 'strangers cannot use up the descriptors',
  },
  failedLoginMs: {
    default: 1000,
    max: 60_000,
    reply: 'closed',
    reason: 'guessing passwords is slow',
  },
  closeMs: {
    default: 10_000,
    max: 600_000,
    reply: 'closed',
    reason: 'who was told that the connection ends and does not answer does not keep it',
  },
  lingerMs: {
    default: 2000,
    max: 60_000,
    reply: 'closed',
    reason: 'who does not read the last bytes does not keep the socket',
  },
  stopMs: {
    default: 1000,
    max: 4000,
    reply: 'closed',
    reason: 'a stop waits for clients to say goodbye, but not for long',
  },
  heartbeatSeconds: {
    default: 60,
    min: 0,
    max: 65_535,
    reply: 'closed',
    reason:
      'what clients are offered; 0: none. A peer that is gone without a word is noticed after twice what it agreed to',
  },
  connectionsMax: {
    default: 10_000,
    max: 1_000_000,
    reply: 320,
    reason: 'descriptors and memory are finite; fewer where `ulimit -n` allows fewer',
  },
  descriptorsReserved: {
    default: 32,
    max: 10_000,
    reply: 'none',
    reason: 'sockets never use up the descriptors that files and the embedding program need',
  },
  channelsMax: { default: 2047, max: 65_535, reply: 530, reason: 'each channel has memory of its own' },
  consumersPerChannelMax: {
    default: 10_000,
    max: 1_000_000,
    reply: 406,
    reason: 'each consumer has memory of its own',
  },
  nameBytesMax: {
    default: 255,
    min: 255,
    max: 255,
    reply: 400,
    reason:
      'names and routing keys of a message have one byte for their length; longer ones can come over HTTP only',
  },
  vhostsMax: { default: 10_000, max: 1_000_000, reply: 400, reason: 'each virtual host has exchanges' },
  usersMax: { default: 100_000, max: 10_000_000, reply: 400, reason: 'each user has memory of its own' },
  patternCharsMax: {
    default: 1024,
    min: 1024,
    max: 1024,
    reply: 400,
    reason: 'characters of a pattern that every name is matched with',
  },
  policiesPerVhostMax: {
    default: 1000,
    max: 100_000,
    reply: 400,
    reason: 'the name of each new queue and exchange is matched with all of them',
  },
  queuesPerVhostMax: {
    default: 100_000,
    max: 10_000_000,
    reply: 406,
    reason: 'each queue has memory of its own',
  },
  exchangesPerVhostMax: {
    default: 100_000,
    max: 10_000_000,
    reply: 406,
    reason: 'each exchange has memory of its own',
  },
  bindingsPerVhostMax: {
    default: 1_000_000,
    max: 100_000_000,
    reply: 406,
    reason: 'each binding has memory of its own',
  },
  messageBytesMax: {
    default: 134_217_728,
    max: 536_870_912,
    reply: 406,
    reason: 'the sum of the frames of one message is held in memory',
  },
  priorityMax: {
    default: 255,
    min: 255,
    max: 255,
    reply: 406,
    reason: 'each priority of a queue has a list of its own',
  },
  consumerTimeoutMs: {
    default: 0,
    min: 0,
    max: TTL_MS_MAX,
    reply: 406,
    reason:
      'how long a consumer may keep a message unsettled; 0: for ever. Queues can have their own (`x-consumer-timeout`, policy)',
  },
  ttlMsMax: {
    default: TTL_MS_MAX,
    min: TTL_MS_MAX,
    max: TTL_MS_MAX,
    reply: 406,
    reason: 'longest ttl, delay and expiry: 100 years of 365 days, as RabbitMQ has it',
  },
  deathsMax: {
    default: 128,
    min: 128,
    max: 128,
    reply: 'none',
    reason: 'entries of `x-death`: a message that dies for ever does not grow for ever; the oldest go',
  },
  tableNestingMax: {
    default: CODEC_LIMITS.nestingMax,
    min: CODEC_LIMITS.nestingMax,
    max: CODEC_LIMITS.nestingMax,
    reply: 502,
    reason: 'clients recurse into what they are sent',
  },
  tableFieldsMax: {
    default: CODEC_LIMITS.fieldsMax,
    min: CODEC_LIMITS.fieldsMax,
    max: CODEC_LIMITS.fieldsMax,
    reply: 502,
    reason: 'a frame of headers is cheap to send and dear to read',
  },
  topicWordsMax: {
    default: 128,
    min: 128,
    max: 128,
    reply: 406,
    reason: 'matching a pattern takes steps for each of its words',
  },
  txMessagesMax: {
    default: 1_000_000,
    max: 10_000_000,
    reply: 406,
    reason: 'an open transaction is held in memory',
  },
  heldBytesMax: {
    default: 1_048_576,
    max: 67_108_864,
    reply: 'none',
    reason: 'frames of channels that wait for the disk; with more of them their connection is not read from',
  },
  unwrittenBytesMax: {
    default: 33_554_432,
    max: Number.MAX_SAFE_INTEGER,
    reply: 'none',
    reason: 'publishers are not read from while so much waits for the disk, until half of it is written',
  },
  outputBytesMax: {
    default: 1_048_576,
    max: 67_108_864,
    reply: 'none',
    reason: 'a client that does not read gets nothing more until it does; its messages wait in their queues',
  },
  memoryBytesMax: {
    default: 1_073_741_824,
    max: Number.MAX_SAFE_INTEGER,
    reply: 'blocked',
    reason: 'publishers wait while the messages held in memory take more than this',
  },
  storedBytesInMemoryMax: {
    default: 268_435_456,
    max: Number.MAX_SAFE_INTEGER,
    reply: 'none',
    reason: 'beyond it the bytes of messages that are on the disk are read from there when they are needed',
  },
  httpConnectionsMax: {
    default: 256,
    max: 65_535,
    reply: 'closed',
    reason: 'browsers and tools cannot use up the descriptors',
  },
  httpHeadersMs: {
    default: 10_000,
    max: 600_000,
    reply: 408,
    reason: 'a header that comes a byte a second does not keep a connection',
  },
  httpRequestMs: { default: 30_000, max: 600_000, reply: 408, reason: 'the same for a whole request' },
  httpIdleMs: {
    default: 60_000,
    max: 600_000,
    reply: 'closed',
    reason: 'who asks nothing does not keep a connection',
  },
  httpBodyBytesMax: {
    default: 1_048_576,
    max: 67_108_864,
    reply: 413,
    reason: 'a request is read before it is looked at',
  },
  httpMessagesMax: {
    default: 1000,
    max: 100_000,
    reply: 'none',
    reason: 'messages in the answer to one `get`: it is made in memory',
  },
  httpPageMax: {
    default: 500,
    max: 10_000,
    reply: 400,
    reason: 'elements of one page of a list',
  },
  pageRowsMax: {
    default: 200,
    max: 100_000,
    reply: 'none',
    reason: 'rows of a table on the state page; the rest is counted',
  },
};

/** The value of each limit as one broker has it. */
export type Limits = { readonly [name in LimitName]: number };

/**
 * Every limit's default, with those given put in place.
 * @throws NARU_INVALID_ARGUMENT  there is no such limit, or its value is outside its bounds
 */
export function limitsOf(given: Partial<Limits> = {}): Limits {
  const names = Object.keys(LIMITS) as LimitName[];
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(LIMITS, name))
      throw wrong(`there is no limit '${name}'; the limits: ${names.join(', ')}`);
  }
  return Object.fromEntries(names.map((name) => [name, valueOf(name, given[name])])) as Limits;
}

/** @throws NARU_INVALID_ARGUMENT  a name or routing key that no frame can hold */
export function checkNameLength(what: string, name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes <= LIMITS.nameBytesMax.default) return;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `the ${what} has ${bytes} bytes, but ${LIMITS.nameBytesMax.default} is the limit: use a shorter one`,
  );
}

function valueOf(name: LimitName, given: number | undefined): number {
  const { default: usual, min = 1, max } = LIMITS[name];
  if (given === undefined) return usual;
  if (Number.isSafeInteger(given) && given >= min && given <= max) return given;
  throw wrong(
    min === max
      ? `limit ${name} is ${String(given)}, but it is fixed at ${max}`
      : `limit ${name} is ${String(given)}, but must be a whole number from ${min} to ${max}`,
  );
}

function wrong(what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `the broker cannot start: ${what}`);
}
