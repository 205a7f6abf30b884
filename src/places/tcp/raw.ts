// tcp://host:port?format=raw&frame=…: a client of a stranger's server, or with ?listen the server of strangers.

import type { AddressInfo, Server } from 'node:net';
import type { Driver } from '../../mailbox/driver.ts';
import type { PlaceContext, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { untilConnected } from '../../link/backoff.ts';
import { openRaw, type RawInit } from '../../link/raw-driver.ts';
import { tcpRaw } from './capabilities.ts';
import type { TcpOptions } from './options.ts';
import { connectSocket, listenSocket, tcpAddress } from '../../link/tcp-socket.ts';

/** @throws NARU_DISCONNECTED, NARU_EXISTS, NARU_DENIED, NARU_LIMIT */
export async function openTcpRaw(
  url: PlaceUrl,
  options: PlaceOptions,
  context: PlaceContext,
  own: TcpOptions,
  identity: string,
): Promise<Driver> {
  const { text } = url;
  const { host, tls } = own;
  const slot = options.slotBytes === undefined ? '' : `&slotBytes=${options.slotBytes}`;
  const query = `?format=raw&frame=${options.frame}${slot}${tls === undefined ? '' : '&tls'}`;
  const init: Omit<RawInit, 'server' | 'socket' | 'address'> = {
    capabilities: tcpRaw,
    identity,
    mailbox: text,
    place: 'tcp',
    hooks: context.hooks,
    options,
    connectionsMax: own.connectionsMax,
    event: tls === undefined ? 'connection' : 'secureConnection',
    checkPeer: () => undefined,
    dial: (signal) => connectSocket(own, text, signal),
    released: () => undefined,
  };
  if (own.listen) {
    const server: Server = await listenSocket(own, text);
    const { port } = server.address() as AddressInfo;
    return openRaw({ ...init, server, socket: undefined, address: tcpAddress(host, port, query) });
  }
  const socket = await untilConnected(() => connectSocket(own, text, options.signal), options.signal);
  return openRaw({ ...init, server: undefined, socket, address: tcpAddress(host, own.port, query) });
}
