// From URL and options to where a topic is and how it is read; and what means nothing on Kafka.

import { readFileSync } from 'node:fs';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import type { TlsOptions } from '../../mailbox/options.ts';
import { refusal } from '../../mailbox/refusal.ts';

/** Parameters that only this place knows. */
export const PARAMETERS = [
  'topic',
  'brokers',
  'client',
  'offset',
  'since',
  'partitions',
  'sasl',
  'tls',
] as const;

/** The packages that can speak to Kafka, the one that is preferred first. */
export const CLIENTS = ['platformatic', 'kafkajs'] as const;
export type ClientName = (typeof CLIENTS)[number];

export const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
export type Mechanism = (typeof MECHANISMS)[number];

/** How the brokers are reached. */
export interface Target {
  /** The URL as it may be shown. */
  readonly text: string;
  /** `host:port` of each broker that is asked first. */
  readonly brokers: readonly string[];
  readonly sasl:
    | { readonly mechanism: Mechanism; readonly username: string; readonly password: string }
    | undefined;
  readonly tls: Readonly<Record<string, unknown>> | undefined;
  readonly client: ClientName | undefined;
}

/** Where a consumer begins when its group has no place of its own, or in spite of it. */
export type Start =
  | { readonly at: 'start' | 'now' }
  | { readonly at: 'offset'; readonly offset: number }
  | { readonly at: 'time'; readonly time: number };

/** How one handle uses a topic. */
export interface Reading {
  readonly topic: string;
  readonly deliver: 'one' | 'all';
  /** Undefined: a consumer of its own, which commits nothing. */
  readonly group: string | undefined;
  readonly start: Start;
  /** `start` holds even where the group has a place: offset or time were given. */
  readonly isReplay: boolean;
  /** For a topic that is made; undefined: what the broker makes by itself. */
  readonly partitions: number | undefined;
}

/** @throws NARU_INVALID_ARGUMENT */
export function targetOf(url: PlaceUrl, options: Pick<PlaceOptions, 'tls'>): Target {
  const listed = url.extra['brokers']?.split(',') ?? [];
  const host = url.host.includes(':') ? `[${url.host}]` : url.host;
  const brokers = [...(host === '' ? [] : [`${host}:${url.port ?? 9092}`]), ...listed];
  if (brokers.length === 0)
    throw wrong(url, 'name a broker: kafka://host:9092?topic=orders, or ?brokers=a:9092,b:9092');
  for (const broker of brokers)
    if (!/^(\[[0-9a-fA-F:.]+\]|[^:/\s]+):\d{1,5}$/.test(broker))
      throw wrong(url, `brokers are host:port, separated by commas (got "${broker.slice(0, 60)}")`);
  return {
    text: url.text,
    brokers,
    sasl: saslOf(url),
    tls: tlsOf(url, options.tls),
    client: oneOf(url, 'client', CLIENTS),
  };
}

/** @throws NARU_UNSUPPORTED, NARU_INVALID_ARGUMENT */
export function readingOf(url: PlaceUrl, options: PlaceOptions): Reading {
  refuseMeaningless(url, options);
  const topic = url.extra['topic'] ?? '';
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(topic) || topic === '.' || topic === '..')
    throw wrong(url, 'topic=… is 1 to 249 of the characters A-Z a-z 0-9 . _ -');
  const { group } = options;
  const deliver = options.deliver ?? (group === undefined ? 'one' : 'all');
  const offset = numberOf(url, 'offset');
  const time = timeOf(url);
  if (offset !== undefined && time !== undefined) throw wrong(url, 'give offset or since, not both');
  if (options.from !== undefined && (offset !== undefined || time !== undefined))
    throw wrong(url, 'give from, offset or since, not two of them');
  if (deliver === 'one' && group !== undefined)
    throw wrong(url, 'deliver=one has one group for everybody; leave group or deliver out');
  const start: Start =
    offset !== undefined
      ? { at: 'offset', offset }
      : time !== undefined
        ? { at: 'time', time }
        : { at: options.from ?? (deliver === 'one' ? 'start' : 'now') };
  return {
    topic,
    deliver,
    // Of its own for each topic: who joins a group holds up all its members.
    group: group ?? (deliver === 'one' ? `naru.${topic}` : undefined),
    start,
    isReplay: offset !== undefined || time !== undefined,
    partitions: numberOf(url, 'partitions'),
  };
}

/** The URL that others open: without the password, which they have from where this handle had it. */
export function addressOf(url: PlaceUrl, reading: Reading): string {
  const user = url.username === '' ? '' : `${encodeURIComponent(url.username)}@`;
  const host = url.host.includes(':') ? `[${url.host}]` : url.host;
  const port = url.port === undefined ? '' : `:${url.port}`;
  const rest = ['brokers', 'client', 'sasl', 'tls'].flatMap((name) => {
    const value = url.extra[name];
    return value === undefined ? [] : [`&${name}=${encodeURIComponent(value)}`];
  });
  const deliver = reading.deliver === 'all' ? '&deliver=all' : '';
  return `kafka://${user}${host}${port}?topic=${reading.topic}${deliver}${rest.join('')}`;
}

function refuseMeaningless(url: PlaceUrl, options: PlaceOptions): void {
  const { owner, nobody, relation, capacityBytes, capacityMessages, frame, full } = options;
  const refuse = (what: string): never => {
    throw refusal('NARU_UNSUPPORTED', url, what);
  };
  if (capacityBytes !== undefined || capacityMessages !== undefined)
    refuse('a topic of Kafka has no capacity: its retention says what it keeps; leave the option out');
  if (owner !== undefined && owner !== 'system')
    refuse(`a topic of Kafka stays until it is removed (owner "system"), not with owner "${owner}"`);
  if (nobody !== undefined && nobody !== 'keep')
    refuse(`Kafka does not say who reads a topic: it keeps what is sent, nobody "${nobody}" is not possible`);
  if (relation !== undefined && relation !== 'N:N')
    refuse(
      `Kafka gives out no seats: anybody may write to a topic and read it, relation ${relation} cannot be held`,
    );
  if (full !== 'wait' && full !== 'fail')
    refuse(`a topic of Kafka is never full: full "${full}" has no meaning`);
  if (frame !== undefined) refuse('the option frame has no meaning here; leave it out');
}

function saslOf(url: PlaceUrl): Target['sasl'] {
  const mechanism = oneOf(url, 'sasl', MECHANISMS);
  if (url.username === '') {
    if (mechanism !== undefined) throw wrong(url, 'sasl needs a user: kafka://user:password@host:9092');
    return undefined;
  }
  const password = url.password === '' ? (process.env['KAFKA_PASSWORD'] ?? '') : url.password;
  return { mechanism: mechanism ?? 'plain', username: url.username, password };
}

function tlsOf(url: PlaceUrl, tls: TlsOptions | undefined): Target['tls'] {
  if (tls === undefined && url.extra['tls'] === undefined) return undefined;
  const read = (text: string | undefined): string | undefined =>
    text === undefined || text.includes('-----BEGIN') ? text : readFileSync(text, 'utf8');
  const given = {
    ca: read(tls?.ca),
    cert: read(tls?.cert),
    key: read(tls?.key),
    servername: tls?.servername,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function oneOf<T extends string>(url: PlaceUrl, name: string, values: readonly T[]): T | undefined {
  const value = url.extra[name];
  const found = values.find((one) => one === value);
  if (value !== undefined && found === undefined) throw wrong(url, `${name} is one of ${values.join(', ')}`);
  return found;
}

function numberOf(url: PlaceUrl, name: 'offset' | 'partitions'): number | undefined {
  const text = url.extra[name];
  if (text === undefined) return undefined;
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(number) || (name === 'partitions' && (number < 1 || number > 10_000)))
    throw wrong(url, `${name} is a number (got "${text.slice(0, 40)}")`);
  return number;
}

/** Milliseconds since the epoch, or an ISO date. */
function timeOf(url: PlaceUrl): number | undefined {
  const text = url.extra['since'];
  if (text === undefined) return undefined;
  const time = /^\d{1,16}$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(time))
    throw wrong(url, `since is a date as 2026-11-29T12:00:00Z, or milliseconds (got "${text.slice(0, 40)}")`);
  return time;
}

function wrong(url: PlaceUrl, what: string): Error {
  return refusal('NARU_INVALID_ARGUMENT', url, what);
}
