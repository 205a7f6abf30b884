// zmq://host:port?pattern=… and zmq+ipc:///path?pattern=…: a ZeroMQ socket as a mailbox. Binding and connecting; what moves
// messages is the driver's.

import { connect } from 'node:net';
import { lstatSync, rmSync } from 'node:fs';
import type { Driver } from '../../mailbox/driver.ts';
import type { Place, PlaceContext, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { ofPattern, zmq, zmqIpc, zmqIpcRaw, zmqRaw } from './capabilities.ts';
import { ZmqDriver } from './driver.ts';
import { zmqError } from './errors.ts';
import { addressOf, PARAMETERS, readPattern, readZmqOptions, type ZmqOptions } from './options.ts';
import { prefixOf } from './topics.ts';
import { loadZeromq, makeSocket, type ZmqSocket } from './zeromq.ts';

function placeOf(modes: Place['modes']): Place {
  return {
    modes,
    parameters: PARAMETERS,
    narrow: (mode, url) => ofPattern(mode, readPattern(url)),
    check(url, options) {
      readZmqOptions(url, options);
    },
    open,
  };
}

/** Over TCP. */
export const place: Place = placeOf([zmqRaw, zmq]);
/** Over a Unix socket. */
export const ipcPlace: Place = placeOf([zmqIpcRaw, zmqIpc]);

async function open(url: PlaceUrl, options: PlaceOptions, { hooks }: PlaceContext): Promise<Driver> {
  const own = readZmqOptions(url, options);
  const zeromq = await loadZeromq(url.scheme);
  options.signal.throwIfAborted();
  if (own.binds && own.path !== undefined) await checkPath(url, own.path);
  const socket = makeSocket(zeromq, own, options.flushMs);
  const driver = new ZmqDriver({
    zeromq,
    socket,
    own,
    identity: newHandleIdentity(),
    mailbox: url.text,
    scheme: url.scheme,
    hooks,
    flushMs: options.flushMs,
    released: () => {
      if (own.binds && own.path !== undefined) rmSync(own.path, { force: true });
    },
  });
  try {
    await start(socket, driver, url, own, options.signal);
    return driver;
  } catch (error) {
    await driver.close(0);
    throw zmqError(error, url.text, url.scheme);
  }
}

async function start(
  socket: ZmqSocket,
  driver: ZmqDriver,
  url: PlaceUrl,
  own: ZmqOptions,
  signal: AbortSignal,
): Promise<void> {
  if (own.pattern === 'sub') socket.subscribe?.(own.topic === undefined ? own.prefix : prefixOf(own.topic));
  if (own.binds) {
    await socket.bind(own.endpoint);
    driver.started(addressOf(url, own, socket.lastEndpoint ?? own.endpoint));
    return;
  }
  socket.connect(own.endpoint);
  driver.started(addressOf(url, own, own.endpoint));
  await driver.untilPeer(signal);
}

/** libzmq would take the path away from whoever has it. @throws NARU_EXISTS */
async function checkPath(url: PlaceUrl, path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  const what = found.isSocket() ? 'another socket has bound this path' : 'the path is a file of another kind';
  if (!found.isSocket() || (await isAnswered(path))) throw refusal('NARU_EXISTS', url, what);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}
