// From URL and options to the server and the address of the mailbox; and what means nothing on ActiveMQ.

import { randomBytes } from 'node:crypto';
import { readTls } from '../../client/tls-files.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';

export const PARAMETERS = ['queue', 'topic', 'heartbeat', 'tls'] as const;

/** The mailbox that a URL without a name means. */
const DEFAULT_NAME = 'default';
const PORT = 5_672;
const PORT_TLS = 5_671;
/** How often the server has to give a sign of life, in seconds; after twice as long without one the connection counts as broken. */
const HEARTBEAT_SECONDS = 5;
const HEARTBEAT_SECONDS_MAX = 3_600;
/** A message is in one piece in memory at both ends. */
const MESSAGE_BYTES_MAX = 134_217_728;

/** Which address, and how it is used. */
export interface Box {
  readonly name: string;
  readonly deliver: 'one' | 'all';
  /** Name of a durable subscription; undefined: a consumer of its own. */
  readonly group: string | undefined;
  readonly survives: 'process' | 'restart';
}

export interface ActivemqTarget {
  readonly text: string;
  /** Classic gives a durable subscription to the connection that has its name, Artemis to anybody. */
  readonly containerId: string;
  /** For rhea: where, who, how. */
  readonly server: object;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED */
export function boxOf(url: PlaceUrl, options: PlaceOptions): Box {
  refuseMeaningless(url, options);
  const { queue, topic } = url.extra;
  if (queue !== undefined && topic !== undefined) throw wrong(url, 'give queue or topic, not both');
  if (topic !== undefined && options.deliver === 'one')
    throw wrong(url, 'a topic delivers to all; for deliver "one" say queue= instead of topic=');
  const deliver = options.deliver ?? (topic === undefined ? 'one' : 'all');
  if (options.group !== undefined && deliver === 'one')
    throw wrong(url, 'a group is a durable subscription of a topic: say topic= or deliver "all"');
  return {
    name: checkName(queue ?? topic ?? DEFAULT_NAME, url.text),
    deliver,
    group: options.group,
    survives: options.survives ?? 'restart',
  };
}

/** @throws NARU_INVALID_ARGUMENT, NARU_DENIED */
export function targetOf(url: PlaceUrl, options: PlaceOptions, box: Box): ActivemqTarget {
  const seconds = Number(url.extra['heartbeat'] ?? HEARTBEAT_SECONDS);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > HEARTBEAT_SECONDS_MAX)
    throw wrong(url, `heartbeat is 1 to ${HEARTBEAT_SECONDS_MAX} seconds`);
  const isTls = url.extra['tls'] !== undefined || options.tls !== undefined;
  return {
    text: url.text,
    containerId:
      box.group === undefined
        ? `naru.${randomBytes(9).toString('hex')}`
        : subscriptionOf(box.name, box.group),
    server: {
      host: url.host === '' ? '127.0.0.1' : url.host,
      port: url.port ?? (isTls ? PORT_TLS : PORT),
      // Without a user it is nobody's connection; without SASL both servers refuse to talk.
      username: url.username === '' ? 'anonymous' : url.username,
      password: passwordOf(url),
      idle_time_out: seconds * 1_000,
      ...(isTls ? { transport: 'tls', ...readTls(url, options.tls) } : {}),
    },
  };
}

/** The name under which a group's subscription is known at the server: the same group of another topic is another one. */
export function subscriptionOf(name: string, group: string): string {
  return `naru.${name}.${group}`;
}

/** The URL that others open: without the password, which they have from where this handle had it, or from NARU_ACTIVEMQ_PASSWORD. */
export function addressOf(url: PlaceUrl, { name, deliver }: Box): string {
  const user = url.username === '' ? '' : `${encodeURIComponent(url.username)}@`;
  const host = url.host.includes(':') ? `[${url.host}]` : url.host;
  const port = url.port === undefined ? '' : `:${url.port}`;
  const rest = (['heartbeat', 'tls'] as const).flatMap((one) => {
    const value = url.extra[one];
    return value === undefined ? [] : [`&${one}=${encodeURIComponent(value)}`];
  });
  const topic = deliver === 'all' ? '&deliver=all' : '';
  return `${url.scheme}://${user}${host}${port}?queue=${encodeURIComponent(name)}${topic}${rest.join('')}`;
}

function refuseMeaningless(url: PlaceUrl, options: PlaceOptions): void {
  const { owner, nobody, relation, capacityBytes, capacityMessages, frame, full } = options;
  const refuse = (what: string): never => {
    throw refusal('NARU_UNSUPPORTED', url, what);
  };
  if (url.path !== '' && url.path !== '/')
    throw wrong(url, 'name the mailbox by ?queue= or ?topic=, not by a path');
  if (capacityBytes !== undefined || capacityMessages !== undefined)
    refuse(
      "the capacity of an address is the server's to say (max-size-bytes of Artemis); leave the option out",
    );
  if (owner !== undefined && owner !== 'system')
    refuse(`a mailbox on a server stays until it is removed (owner "system"), not with owner "${owner}"`);
  if (nobody !== undefined && nobody !== 'keep')
    refuse(
      `ActiveMQ does not say who is there: nobody "${nobody}" is not possible, what is sent to a queue is kept`,
    );
  if (relation !== undefined && relation !== 'N:N')
    refuse(`ActiveMQ gives out no seats: relation ${relation} cannot be held`);
  if (full !== 'wait' && full !== 'fail')
    refuse(`a server that has no room gives no credit: full "${full}" has no meaning`);
  if (frame !== undefined) refuse('the option frame has no meaning here; leave it out');
  refuseTooLarge(url, options);
}

function refuseTooLarge(url: PlaceUrl, { maxMessageBytes }: PlaceOptions): void {
  if (maxMessageBytes !== undefined && maxMessageBytes > MESSAGE_BYTES_MAX)
    throw wrong(
      url,
      `maxMessageBytes ${maxMessageBytes} is more than a message may have (${MESSAGE_BYTES_MAX})`,
    );
}

/** A user without one would be nobody to the server, and be told so much later. @throws NARU_DENIED */
function passwordOf(url: PlaceUrl): string | undefined {
  if (url.password !== '' || url.username === '') return url.password === '' ? undefined : url.password;
  const password = process.env['NARU_ACTIVEMQ_PASSWORD'];
  if (password !== undefined && password !== '') return password;
  throw refusal(
    'NARU_DENIED',
    url,
    'the user has no password: write user:password@ in the URL, or set NARU_ACTIVEMQ_PASSWORD',
  );
}

function wrong(url: PlaceUrl, what: string): Error {
  return refusal('NARU_INVALID_ARGUMENT', url, what);
}
