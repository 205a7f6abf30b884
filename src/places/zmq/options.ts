// What a zmq URL says: endpoint, pattern, who binds, which topics. Everything is checked here, before a socket is made.

import type { Capabilities } from '../../mailbox/capabilities.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { ofPattern, type Pattern, PATTERNS, zmq, zmqIpc, zmqIpcRaw, zmqRaw } from './capabilities.ts';

/** Parameters of a zmq URL that are not options of every place. */
export const PARAMETERS: readonly string[] = ['pattern', 'bind', 'topic', 'prefix', 'heartbeatMs'];

/** Messages that may wait on each side of each connection, unless it is said otherwise: libzmq's own figure. */
const HIGH_WATER_MARK = 1_000;
/** The longest path of a Unix socket. */
const PATH_BYTES_MAX = 107;

/** What a URL and its options come to. */
export interface ZmqOptions {
  readonly pattern: Pattern;
  /** What this pattern can do, in this format. */
  readonly capabilities: Capabilities;
  readonly isEnvelope: boolean;
  readonly binds: boolean;
  /** As libzmq writes it: tcp://host:port, ipc:///path. */
  readonly endpoint: string;
  /** The file of an ipc endpoint. */
  readonly path: string | undefined;
  /** pub: what everything of this handle is published under; sub: words that a topic must match. */
  readonly topic: string | undefined;
  /** sub: how the first part must begin. */
  readonly prefix: string;
  readonly highWaterMark: number;
  readonly maxMessageBytes: number;
  /** 0: none. */
  readonly heartbeatMs: number;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED; NARU_EXISTS  `create: "new"` at the end that connects */
export function readZmqOptions(url: PlaceUrl, options: PlaceOptions): ZmqOptions {
  refuseMeaningless(url, options);
  const pattern = readPattern(url);
  const isEnvelope = options.format === 'envelope';
  const binds = readFlag(url, 'bind');
  refuseDirection(url, options, pattern);
  if (options.create === 'new' && !binds) {
    throw refusal('NARU_EXISTS', url, 'create "new" is for the end that binds (&bind); this one connects');
  }
  return {
    pattern,
    capabilities: ofPattern(modeOf(url.scheme, isEnvelope), pattern),
    isEnvelope,
    binds,
    ...readEndpoint(url, binds),
    ...readTopic(url, pattern, isEnvelope),
    highWaterMark: options.capacityMessages ?? HIGH_WATER_MARK,
    maxMessageBytes: options.maxMessageBytes ?? zmqRaw.limits.maxMessageBytes,
    heartbeatMs: readNumber(url, 'heartbeatMs', 5_000, 3_600_000),
  };
}

/** The URL with which others reach what this handle bound, or the same that it connected to. */
export function addressOf(url: PlaceUrl, own: ZmqOptions, endpoint: string): string {
  const pattern = own.binds ? PATTERNS[own.pattern].other : own.pattern;
  const where = url.scheme === 'zmq+ipc' ? endpoint.slice('ipc://'.length) : endpoint.slice('tcp://'.length);
  const path = url.scheme === 'zmq+ipc' ? where.split('/').map(encodeURIComponent).join('/') : where;
  const topic = own.topic === undefined ? '' : `&topic=${encodeURIComponent(own.topic)}`;
  const format = own.isEnvelope ? '&format=envelope' : '';
  return `${url.scheme}://${path}?pattern=${pattern}${format}${topic}`;
}

function modeOf(scheme: string, isEnvelope: boolean): Capabilities {
  if (scheme === 'zmq+ipc') return isEnvelope ? zmqIpc : zmqIpcRaw;
  return isEnvelope ? zmq : zmqRaw;
}

/** @throws NARU_INVALID_ARGUMENT */
export function readPattern(url: PlaceUrl): Pattern {
  const text = url.extra['pattern'];
  if (text !== undefined && Object.hasOwn(PATTERNS, text)) return text as Pattern;
  const got = text === undefined ? '' : `, got "${text.slice(0, 40)}"`;
  const names = Object.keys(PATTERNS).join(', ');
  throw refusal('NARU_INVALID_ARGUMENT', url, `say which end this is: ?pattern= one of ${names}${got}`);
}

/** Which way messages go is the pattern's. */
function refuseDirection(url: PlaceUrl, { role, deliver }: PlaceOptions, pattern: Pattern): void {
  const { canSend, canReceive, other } = PATTERNS[pattern];
  if ((role === 'producer' && !canSend) || (role === 'consumer' && !canReceive)) {
    const what = `pattern ${pattern} only ${canSend ? 'sends' : 'receives'}; the other end is ${other}`;
    throw refusal('NARU_UNSUPPORTED', url, what);
  }
  const isTopic = pattern === 'pub' || pattern === 'sub';
  if (deliver !== undefined && (deliver === 'all') !== isTopic) {
    const what = isTopic
      ? `deliver "one" is pattern push and pull; ${pattern} gives every message to all`
      : `deliverAll (deliver "all") is pattern pub and sub; ${pattern} gives a message to one`;
    throw refusal('NARU_UNSUPPORTED', url, what);
  }
}

function readEndpoint(url: PlaceUrl, binds: boolean): Pick<ZmqOptions, 'endpoint' | 'path'> {
  const { scheme, host, port, path, username } = url;
  if (username !== '') {
    throw refusal('NARU_UNSUPPORTED', url, 'zmq:// knows no users; keep it to networks that you trust');
  }
  if (scheme === 'zmq+ipc') {
    const isPath = host === '' && port === undefined && path.startsWith('/') && !path.includes('\0');
    if (!isPath || path.endsWith('/') || Buffer.byteLength(path) > PATH_BYTES_MAX) {
      const what = `name an absolute path of at most ${PATH_BYTES_MAX} bytes: zmq+ipc:///run/jobs.sock`;
      throw refusal('NARU_INVALID_ARGUMENT', url, what);
    }
    return { endpoint: `ipc://${path}`, path };
  }
  if (host === '' || port === undefined || (path !== '' && path !== '/')) {
    throw refusal('NARU_INVALID_ARGUMENT', url, 'name host and port: zmq://127.0.0.1:5555?pattern=push');
  }
  if (port === 0 && !binds) {
    throw refusal('NARU_INVALID_ARGUMENT', url, 'port 0 is only for the end that binds (&bind)');
  }
  const name = host.includes(':') ? `[${host}]` : host;
  return { endpoint: `tcp://${name}:${port === 0 ? '*' : port}`, path: undefined };
}

function readTopic(
  url: PlaceUrl,
  pattern: Pattern,
  isEnvelope: boolean,
): Pick<ZmqOptions, 'topic' | 'prefix'> {
  const { topic, prefix } = url.extra;
  if (topic !== undefined && pattern !== 'pub' && pattern !== 'sub') {
    throw refusal('NARU_INVALID_ARGUMENT', url, 'a topic is for pattern pub and sub');
  }
  if (topic === '' || (pattern === 'pub' && topic !== undefined && /[*#]/.test(topic))) {
    const what = 'pub names one topic (prices.seoul); a sub may use * for a word and # for any number';
    throw refusal('NARU_INVALID_ARGUMENT', url, what);
  }
  if (prefix !== undefined && (pattern !== 'sub' || isEnvelope || topic !== undefined)) {
    const what = 'prefix is for pattern sub with format=raw, instead of topic';
    throw refusal('NARU_INVALID_ARGUMENT', url, what);
  }
  return { topic, prefix: prefix ?? '' };
}

/** Options that would change nothing. */
function refuseMeaningless(url: PlaceUrl, options: PlaceOptions): void {
  const { tls, capacityBytes, owner, frame } = options;
  const say = (what: string): Error => refusal('NARU_UNSUPPORTED', url, what);
  if (tls !== undefined) throw say('there is no TLS in ZeroMQ');
  if (capacityBytes !== undefined) throw say('ZeroMQ counts messages: give capacityMessages (depth)');
  if (frame !== undefined) throw say('ZeroMQ keeps the borders of messages itself; frame has no meaning');
  if (owner !== undefined && owner !== 'process') {
    throw say(`what waits lives in the processes at both ends; owner "${owner}" is not possible`);
  }
}

function readFlag(url: PlaceUrl, name: string): boolean {
  const text = url.extra[name];
  if (text === undefined || text === 'false' || text === '0') return false;
  if (text === '' || text === 'true' || text === '1') return true;
  const what = `${name} is said or not said, got "${text.slice(0, 40)}"`;
  throw refusal('NARU_INVALID_ARGUMENT', url, what);
}

function readNumber(url: PlaceUrl, name: string, otherwise: number, max: number): number {
  const text = url.extra[name];
  if (text === undefined) return otherwise;
  if (/^\d{1,9}$/.test(text) && Number(text) <= max) return Number(text);
  const what = `${name} must be a whole number from 0 to ${max}, got "${text.slice(0, 40)}"`;
  throw refusal('NARU_INVALID_ARGUMENT', url, what);
}
