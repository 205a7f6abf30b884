// unix:///path.sock?format=raw&frame=…: a client of a server that listens there, or, where nobody does, the server.

import type { Driver } from '../../mailbox/driver.ts';
import type { PlaceContext, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { NaruError } from '../../errors/index.ts';
import { openRaw, type RawInit } from '../../link/raw-driver.ts';
import { unixRaw } from './capabilities.ts';
import { tryHostLock } from '../../link/host-lock.ts';
import type { UnixOptions } from './options.ts';
import { bindSocket, checkPeer, connectSocket, socketError, unixAddress } from '../../link/unix-socket.ts';

/** @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_DENIED, NARU_LIMIT */
export async function openUnixRaw(
  url: PlaceUrl,
  options: PlaceOptions,
  context: PlaceContext,
  own: UnixOptions,
  identity: string,
): Promise<Driver> {
  const { text } = url;
  const { path } = own;
  const at = { place: 'unix', mailbox: text };
  const slot = options.slotBytes === undefined ? '' : `&slotBytes=${options.slotBytes}`;
  const init: Omit<RawInit, 'server' | 'socket' | 'released'> = {
    capabilities: unixRaw,
    identity,
    ...at,
    address: unixAddress(path, `?format=raw&frame=${options.frame}${slot}`),
    hooks: context.hooks,
    options,
    connectionsMax: own.connectionsMax,
    event: 'connection',
    checkPeer: (socket) => checkPeer(socket, at),
    dial: async () => {
      const socket = await connectSocket(path, at);
      if (socket === undefined) throw new NaruError('NARU_DISCONNECTED', `${text}: nobody listens`, at);
      return socket;
    },
  };
  const socket = await connectSocket(path, at);
  if (socket !== undefined) {
    if (options.create !== 'new')
      return openRaw({ ...init, server: undefined, socket, released: () => undefined });
    socket.destroy();
    throw new NaruError('NARU_EXISTS', `${text}: somebody listens there already (create: "new")`, at);
  }
  if (options.create === 'never') {
    throw new NaruError('NARU_NOT_FOUND', `${text}: nobody listens there (create: "never")`, at);
  }
  return await listenRaw(path, init);
}

async function listenRaw(
  path: string,
  init: Omit<RawInit, 'server' | 'socket' | 'released'>,
): Promise<Driver> {
  let lock: ReturnType<typeof tryHostLock>;
  try {
    lock = tryHostLock(`${path}.lock`);
  } catch (error) {
    throw socketError(error as NodeJS.ErrnoException, path, init);
  }
  if (lock === undefined) {
    throw new NaruError(
      'NARU_EXISTS',
      `${init.mailbox}: another process is about to listen there; open again`,
      init,
    );
  }
  try {
    const server = await bindSocket(path, init);
    server.unref();
    return openRaw({ ...init, server, socket: undefined, released: () => lock.release() });
  } catch (error) {
    lock.release();
    throw error;
  }
}
