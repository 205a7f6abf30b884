// Where an object of a Manager is: unix:///path.sock?name=orders, tcp://host:port/orders. The same schemes without a name are mailboxes of their
// own.

import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { NaruError } from '../errors/index.ts';
import { connectSocket as connectTcp, tcpAddress } from '../link/tcp-socket.ts';
import { checkPeer, connectSocket as connectUnix, socketPath, unixAddress } from '../link/unix-socket.ts';
import { checkName } from '../mailbox/parse-url.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import { findKey } from './key.ts';
import { MANAGER } from './limits.ts';

/** URL parameters that only these addresses have. */
export const PARAMETERS: readonly string[] = ['name', 'keyFile', 'heartbeatMs'];

/** A Manager, and an object in it. */
export interface Target {
  readonly name: string;
  readonly place: 'unix' | 'tcp';
  readonly key: string;
  readonly heartbeatMs: number;
  /** The URL as it may be shown. */
  readonly text: string;
  /** The URL by which others open the object. */
  readonly address: string;
  /** Options that others need beside it, and that are not to be shown. */
  readonly secrets: { readonly key?: string };
  /** Same for the same Manager, key and heartbeat; holds no key. */
  readonly id: string;
  /** @throws NARU_DISCONNECTED, NARU_DENIED, NARU_LIMIT */
  connect(signal: AbortSignal): Promise<Socket>;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_NOT_FOUND or NARU_DENIED (the key file) */
export function readTarget(url: PlaceUrl, givenKey: string | undefined): Target {
  const { scheme, text, extra } = url;
  const keyFile = extra['keyFile'];
  const file = keyFile === undefined ? '' : `keyFile=${encodeURIComponent(keyFile)}`;
  const heartbeatMs = readHeartbeat(url);
  const name = nameOf(url);
  const key = findKey(givenKey, keyFile, text);
  const common = { text, key, heartbeatMs, secrets: givenKey === undefined ? {} : { key: givenKey } };
  const idOf = (at: string): string =>
    `${at} ${heartbeatMs} ${createHash('sha256').update(key).digest('base64url')}`;
  if (scheme === 'unix') {
    const path = socketPath(url);
    return {
      ...common,
      name,
      place: 'unix',
      address: unixAddress(path, `?name=${name}${file === '' ? '' : `&${file}`}`),
      id: idOf(unixAddress(path, '')),
      connect: () => dialUnix(path, text),
    };
  }
  const { host, port } = url;
  if (host === '' || port === undefined || port === 0)
    throw invalid(text, 'name host and port: tcp://127.0.0.1:5000/orders');
  if (extra['name'] !== undefined)
    throw invalid(text, `the name is the path: tcp://${host}:${port}/${extra['name']}`);
  const at = tcpAddress(host, port, '');
  return {
    ...common,
    name,
    place: 'tcp',
    address: `${at}/${name}${file === '' ? '' : `?${file}`}`,
    id: idOf(at),
    connect: (signal) => connectTcp({ host, port, tls: undefined }, text, signal),
  };
}

async function dialUnix(path: string, text: string): Promise<Socket> {
  const socket = await connectUnix(path, { place: 'unix', mailbox: text });
  if (socket === undefined)
    throw new NaruError('NARU_DISCONNECTED', `${text}: no Manager listens there`, {
      place: 'unix',
      mailbox: text,
    });
  try {
    checkPeer(socket, { place: 'unix', mailbox: text });
    return socket;
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  }
}

/** @throws NARU_UNSUPPORTED  it is the URL of a mailbox's own socket; NARU_INVALID_ARGUMENT  no name */
function nameOf({ scheme, path, extra, text }: PlaceUrl): string {
  const name = scheme === 'unix' ? extra['name'] : path.slice(1);
  if (name !== undefined && name !== '') return checkName(name, text);
  const example = scheme === 'unix' ? 'unix:///path.sock?name=orders' : 'tcp://127.0.0.1:5000/orders';
  throw new NaruError(
    'NARU_UNSUPPORTED',
    `${text}: this is the address of a mailbox; other objects live in a Manager, under a name: ${example}`,
    { place: scheme, mailbox: text },
  );
}

function readHeartbeat(url: PlaceUrl): number {
  const text = url.extra['heartbeatMs'];
  if (text === undefined) return url.scheme === 'unix' ? 0 : MANAGER.heartbeatMs;
  if (/^\d{1,7}$/.test(text) && Number(text) <= 3_600_000) return Number(text);
  throw invalid(url.text, `heartbeatMs is a whole number from 0 to 3600000, got "${text.slice(0, 40)}"`);
}

function invalid(text: string, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${text}: ${what}`, { mailbox: text });
}
