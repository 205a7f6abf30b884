// From URL and options to the server, the name of the mailbox and how it is to be made.

import { readTls } from '../../client/tls-files.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { amqp } from './capabilities.ts';

/** The mailbox that a URL without `?queue=` means. */
const DEFAULT_NAME = 'default';
const PORT = 5_672;
const PORT_TLS = 5_671;
/** How often either side says that it lives, in seconds; after two that did not come the connection counts as broken. */
const HEARTBEAT_SECONDS = 10;
const HEARTBEAT_SECONDS_MAX = 3_600;
/** So much may wait in the socket before amqplib stops passing it on: what goes out together. */
const SOCKET_BYTES = 524_288;
/** The largest body that any RabbitMQ takes by default. */
const MESSAGE_BYTES_MAX = 134_217_728;

export const PARAMETERS = ['queue', 'type', 'heartbeat', 'routingKey'] as const;

export type QueueType = 'classic' | 'quorum';

export interface AmqpTarget {
  readonly text: string;
  /** For amqplib: where, who, how. */
  readonly server: object;
  readonly socket: object;
}

/** What the URL says beyond the options that every place has. */
export interface OwnOptions {
  readonly name: string;
  readonly type: QueueType | undefined;
  /** With which key messages go to a topic, and by which pattern consumers choose. Matters with exchanges that others made. */
  readonly routingKey: string;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED */
export function checkOptions(url: PlaceUrl, options: PlaceOptions): OwnOptions {
  const { type, routingKey = '#' } = url.extra;
  if (type !== undefined && type !== 'classic' && type !== 'quorum')
    throw refusal('NARU_INVALID_ARGUMENT', url, `type is classic or quorum, got "${type.slice(0, 40)}"`);
  if (Buffer.byteLength(routingKey) > 255)
    throw refusal('NARU_INVALID_ARGUMENT', url, 'routingKey has at most 255 bytes');
  if (options.tls !== undefined && url.scheme !== 'amqps')
    throw refusal(
      'NARU_INVALID_ARGUMENT',
      url,
      'the option tls belongs to TLS; say amqps:// instead of amqp://',
    );
  refuseMeaningless(url, options);
  refuseCombinations(url, options, type);
  targetOf(url, options);
  return { name: checkName(url.extra['queue'] ?? DEFAULT_NAME, url.text), type, routingKey };
}

function refuseMeaningless(url: PlaceUrl, options: PlaceOptions): void {
  const { owner, frame, capacityBytes, maxMessageBytes } = options;
  if (owner !== undefined && owner !== 'system')
    throw refusal(
      'NARU_UNSUPPORTED',
      url,
      `a mailbox on a server stays until it is removed (owner "system"), not with owner "${owner}"`,
    );
  if (frame !== undefined)
    throw refusal('NARU_UNSUPPORTED', url, 'the option frame has no meaning here; leave it out');
  if (capacityBytes !== undefined)
    throw refusal(
      'NARU_UNSUPPORTED',
      url,
      'AMQP tells the number of waiting messages, not their bytes: limit it by capacityMessages (depth=N)',
    );
  if (maxMessageBytes !== undefined && maxMessageBytes > MESSAGE_BYTES_MAX)
    throw refusal(
      'NARU_INVALID_ARGUMENT',
      url,
      `maxMessageBytes ${maxMessageBytes} is more than a server takes (${MESSAGE_BYTES_MAX})`,
    );
}

function refuseCombinations(url: PlaceUrl, options: PlaceOptions, type: QueueType | undefined): void {
  const { deliver, capacityMessages, survives, priorities = 1 } = options;
  const isTopic = deliver === 'all';
  if (isTopic && capacityMessages !== undefined)
    throw refusal(
      'NARU_UNSUPPORTED',
      url,
      'a topic has no limit of capacity here: one full queue would refuse what others took',
    );
  if (isTopic && priorities > 1)
    throw refusal('NARU_UNSUPPORTED', url, 'a topic has no priorities here; leave them out');
  if (type === 'quorum' && priorities > 1)
    throw refusal('NARU_UNSUPPORTED', url, 'quorum queues have no priority; use type=classic');
  if (type === 'quorum' && survives === 'process')
    throw refusal('NARU_UNSUPPORTED', url, 'quorum queues are always durable; leave survives out');
  if (options.group !== undefined && deliver === 'one')
    throw refusal('NARU_INVALID_ARGUMENT', url, 'a group needs deliver "all"');
}

/** @throws NARU_INVALID_ARGUMENT */
export function targetOf(url: PlaceUrl, options: PlaceOptions): AmqpTarget {
  const isTls = url.scheme === 'amqps';
  const seconds = Number(url.extra['heartbeat'] ?? HEARTBEAT_SECONDS);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > HEARTBEAT_SECONDS_MAX)
    throw refusal('NARU_INVALID_ARGUMENT', url, `heartbeat is 1 to ${HEARTBEAT_SECONDS_MAX} seconds`);
  const username = url.username === '' ? 'guest' : url.username;
  return {
    text: url.text,
    server: {
      protocol: isTls ? 'amqps' : 'amqp',
      hostname: url.host === '' ? '127.0.0.1' : url.host,
      port: url.port ?? (isTls ? PORT_TLS : PORT),
      username,
      password: passwordOf(url, username),
      vhost: encodeURIComponent(vhostOf(url)),
      heartbeat: seconds,
    },
    socket: {
      noDelay: true,
      highWaterMark: SOCKET_BYTES,
      clientProperties: { connection_name: 'naru' },
      ...(isTls ? readTls(url, options.tls) : {}),
    },
  };
}

/** The URL that others open: without the password, which they have from where this handle had it, or from NARU_AMQP_PASSWORD. */
export function addressOf(url: PlaceUrl, name: string): string {
  const user = url.username === '' ? '' : `${encodeURIComponent(url.username)}@`;
  const host = url.host.includes(':') ? `[${url.host}]` : url.host;
  const port = url.port === undefined ? '' : `:${url.port}`;
  const rest = (['heartbeat', 'routingKey'] as const).flatMap((one) => {
    const value = url.extra[one];
    return value === undefined ? [] : [`&${one}=${encodeURIComponent(value)}`];
  });
  const path = url.path === '' ? '' : `/${encodeURIComponent(url.path.slice(1))}`;
  return `${url.scheme}://${user}${host}${port}${path}?queue=${name}${rest.join('')}`;
}

/** `/` of the URL, or no path at all, is the virtual host `/`, as everywhere. */
function vhostOf({ path }: PlaceUrl): string {
  return path === '' || path === '/' ? '/' : path.slice(1);
}

function passwordOf({ password }: PlaceUrl, username: string): string {
  if (password !== '') return password;
  return process.env['NARU_AMQP_PASSWORD'] ?? (username === 'guest' ? 'guest' : '');
}

/** What bodies may have at most when nothing is stated. */
export const USUAL_MESSAGE_BYTES: number = amqp.limits.maxMessageBytes;
