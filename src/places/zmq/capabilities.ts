// What zmq:// and zmq+ipc:// can do, and what each pattern of ZeroMQ takes away from that. Read by types, open(), conformance,
// `naru places` and the docs; say it only here.

import type { Capabilities, Feature, Level } from '../../mailbox/capabilities.ts';

/** The patterns of ZeroMQ, named by the end that this handle is. */
export type Pattern = 'push' | 'pull' | 'pub' | 'sub' | 'req' | 'rep' | 'pair';

/** What the end of a pattern is for. */
export interface PatternFacts {
  /** The pattern at the other end. */
  readonly other: Pattern;
  readonly canSend: boolean;
  readonly canReceive: boolean;
  /** Features that only some patterns have, and this one does. */
  readonly features: readonly Feature[];
}

/** Features that belong to some patterns only. */
const OF_PATTERNS: readonly Feature[] = ['deliverAll', 'reply', 'multiProducer', 'multiConsumer'];

export const PATTERNS: Readonly<Record<Pattern, PatternFacts>> = {
  push: {
    other: 'pull',
    canSend: true,
    canReceive: false,
    features: ['multiProducer', 'multiConsumer'],
  },
  pull: {
    other: 'push',
    canSend: false,
    canReceive: true,
    features: ['multiProducer', 'multiConsumer'],
  },
  pub: {
    other: 'sub',
    canSend: true,
    canReceive: false,
    features: ['deliverAll', 'multiProducer', 'multiConsumer'],
  },
  sub: {
    other: 'pub',
    canSend: false,
    canReceive: true,
    features: ['deliverAll', 'multiProducer', 'multiConsumer'],
  },
  req: {
    other: 'rep',
    canSend: true,
    canReceive: false,
    features: ['reply', 'multiProducer', 'multiConsumer'],
  },
  rep: {
    other: 'req',
    canSend: false,
    canReceive: true,
    features: ['reply', 'multiProducer', 'multiConsumer'],
  },
  pair: { other: 'pair', canSend: true, canReceive: true, features: [] },
};

/** With programs that know nothing of Naru: the body alone. */
export const zmqRaw = {
  scheme: 'zmq',
  mode: 'raw',
  summary: 'ZeroMQ sockets in any language, without a broker: push/pull, pub/sub, req/rep, pair',
  features: {
    ack: 'none',
    requeue: 'none',
    deadLetter: 'none',
    lease: 'none',
    priority: 'none',
    ttl: 'none',
    delay: 'none',
    headers: 'none',
    type: 'none',
    reply: 'native',
    deliverAll: 'native',
    groups: 'none',
    orderingKey: 'none',
    dedup: 'none',
    receipts: 'none',
    durable: 'none',
    depth: 'none',
    peek: 'none',
    trySync: 'none',
    waitSync: 'none',
    wait: 'native',
    multiProducer: 'native',
    multiConsumer: 'native',
    crossProcess: 'native',
    crossHost: 'native',
    replay: 'none',
    retain: 'none',
    dropOldest: 'none',
    overwrite: 'none',
    dropNewest: 'native',
    rendezvous: 'none',
    fixedSlots: 'none',
    end: 'none',
    claim: 'none',
    views: 'none',
  },
  notes: {
    reply:
      'patterns req and rep: any number of requests in flight, with REP and REQ sockets of strangers, too',
    deliverAll: 'patterns pub and sub; the slowest consumer holds the producer (full: "wait")',
    multiProducer: 'not with pattern pair',
    multiConsumer: 'not with pattern pair',
  },
  limits: {
    maxMessageBytes: 16_777_216,
    priorityMin: 0,
    priorityMax: 0,
    maxProducers: 65_536,
    maxConsumers: 65_536,
  },
  confirm: 'accepted',
  relation: 'advisory',
  owner: 'process',
  shapes: ['process', 'child'],
  needs: ['zeromq'],
} as const;

type Raw = typeof zmqRaw;
/** A mode that differs from zmqRaw in some features. */
type Variant<Scheme extends string, Mode extends string, Differs> = Omit<
  Raw,
  'scheme' | 'mode' | 'summary' | 'features'
> & {
  readonly scheme: Scheme;
  readonly mode: Mode;
  readonly summary: string;
  readonly features: Omit<Raw['features'], keyof Differs> & Differs;
};
type Headers = { readonly headers: 'native'; readonly type: 'native' };
type OneMachine = { readonly crossHost: 'none' };

/** With `?format=envelope`: Naru at both ends. */
export const zmq: Variant<'zmq', 'envelope', Headers> = {
  ...zmqRaw,
  mode: 'envelope',
  summary: 'ZeroMQ sockets with Naru at both ends: headers, and gaps of a topic are told',
  features: { ...zmqRaw.features, headers: 'native', type: 'native' },
};

export const zmqIpcRaw: Variant<'zmq+ipc', 'raw', OneMachine> = {
  ...zmqRaw,
  scheme: 'zmq+ipc',
  summary: 'the same over a Unix socket of this machine',
  features: { ...zmqRaw.features, crossHost: 'none' },
};

export const zmqIpc: Variant<'zmq+ipc', 'envelope', Headers & OneMachine> = {
  ...zmqIpcRaw,
  mode: 'envelope',
  summary: 'the same over a Unix socket of this machine, with Naru at both ends',
  features: { ...zmq.features, crossHost: 'none' },
};

/** What remains of a place's capabilities for one pattern. */
export function ofPattern(all: Capabilities, pattern: Pattern): Capabilities {
  const lost = OF_PATTERNS.filter((name) => !PATTERNS[pattern].features.includes(name));
  const features: Record<Feature, Level> = { ...all.features };
  for (const name of lost) features[name] = 'none';
  return { ...all, features };
}
