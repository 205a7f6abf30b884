// The one table of the broker's limits: what each is, how far it can be raised, what a peer that reaches it is told, and why it
// exists. The page docs/reference/broker-limits.md is generated from it.

/** The names of all limits. */
export type LimitName =
  | 'frameBytesMax'
  | 'frameBytesMin'
  | 'handshakeFrameBytesMax'
  | 'handshakeMs'
  | 'handshakesMax'
  | 'failedLoginMs'
  | 'connectionsMax'
  | 'channelsMax'
  | 'consumersPerChannelMax'
  | 'queuesPerVhostMax'
  | 'exchangesPerVhostMax'
  | 'bindingsPerVhostMax'
  | 'messageBytesMax'
  | 'priorityMax'
  | 'tableNestingMax'
  | 'tableFieldsMax'
  | 'topicWordsMax'
  | 'txMessagesMax'
  | 'outputBytesMax'
  | 'memoryBytesMax'
  | 'httpBodyBytesMax';

export interface Limit {
  readonly default: number;
  readonly max: number;
  /** What the peer gets: a reply code, or how else it is told. */
  readonly reply: number | 'closed' | 'blocked' | 'none';
  readonly reason: string;
}

export const LIMITS: Readonly<Record<LimitName, Limit>> = {
  frameBytesMax: {
    default: 131_072,
    max: 16_777_216,
    reply: 501,
    reason: 'a peer cannot make the broker hold more than this of an unfinished frame',
  },
  frameBytesMin: {
    default: 4096,
    max: 4096,
    reply: 530,
    reason: 'smaller frames than the protocol allows multiply the work for each message',
  },
  handshakeFrameBytesMax: {
    default: 8192,
    max: 8192,
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
  connectionsMax: {
    default: 10_000,
    max: 1_000_000,
    reply: 320,
    reason: 'descriptors and memory are finite',
  },
  channelsMax: { default: 2047, max: 65_535, reply: 530, reason: 'each channel has memory of its own' },
  consumersPerChannelMax: {
    default: 10_000,
    max: 1_000_000,
    reply: 406,
    reason: 'each consumer has memory of its own',
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
    max: 255,
    reply: 406,
    reason: 'each priority of a queue has a list of its own',
  },
  tableNestingMax: { default: 64, max: 64, reply: 502, reason: 'clients recurse into what they are sent' },
  tableFieldsMax: {
    default: 4096,
    max: 4096,
    reply: 502,
    reason: 'a frame of headers is cheap to send and dear to read',
  },
  topicWordsMax: {
    default: 128,
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
  httpBodyBytesMax: {
    default: 1_048_576,
    max: 67_108_864,
    reply: 413,
    reason: 'a request is read before it is looked at',
  },
};

/** The value of each limit as one broker has it. */
export type Limits = { readonly [name in LimitName]: number };

/** Every limit's default, with those given put in place. */
export function limitsOf(given: Partial<Limits> = {}): Limits {
  const names = Object.keys(LIMITS) as LimitName[];
  return Object.fromEntries(
    names.map((name) => [name, Math.min(given[name] ?? LIMITS[name].default, LIMITS[name].max)]),
  ) as Limits;
}
