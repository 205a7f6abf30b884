// ws://host:port/path and wss://: the mailbox lives in the process that listens (?listen); programs and browsers connect.
// What a connection says is in link/.

import { openLink } from '../../link/driver.ts';
import { Port } from '../../link/port.ts';
import { refuseMeaningless } from '../../link/settings.ts';
import { hostAndPort, listenSocket } from '../../link/tcp-socket.ts';
import type { Driver } from '../../mailbox/driver.ts';
import type { Place, PlaceContext, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { ws } from './capabilities.ts';
import { loadWs, type WsPackage } from './client.ts';
import { dial } from './dial.ts';
import { Doorway } from './doorway.ts';
import { PARAMETERS, readWsOptions, type WsOptions } from './options.ts';

function portOf(
  url: PlaceUrl,
  options: PlaceOptions,
  own: WsOptions,
  identity: string,
  library: WsPackage,
): Port {
  const { host, path, listen, heartbeatMs, connectionsMax, tls, key, keyFile } = own;
  const { text } = url;
  const doorway = new Doorway(library, own, text);
  const query = keyFile === undefined ? '' : `?keyFile=${encodeURIComponent(keyFile)}`;
  return new Port({
    mailbox: text,
    place: 'ws',
    identity,
    options,
    listen,
    heartbeatMs,
    connectionsMax,
    key,
    address: (port = own.port) => `${url.scheme}://${hostAndPort(host, port)}${path}${query}`,
    dial: (signal) => dial(library, own, text, signal),
    bind: () => listenSocket(own, text),
    doorway: {
      event: tls === undefined ? 'connection' : 'secureConnection',
      admit: (socket, ready) => doorway.admit(socket, ready),
      checkHello: (hello) => doorway.checkHello(hello),
    },
  });
}

export const place: Place = {
  modes: [ws],
  parameters: PARAMETERS,
  takesKey: true,
  check(url, options) {
    readWsOptions(url, options);
    refuseMeaningless(options, url.text, 'ws');
  },
  async open(url: PlaceUrl, options: PlaceOptions, context: PlaceContext): Promise<Driver> {
    const own = readWsOptions(url, options);
    const identity = newHandleIdentity();
    const port = portOf(url, options, own, identity, await loadWs());
    return await openLink(
      {
        capabilities: ws,
        identity,
        mailbox: url.text,
        place: 'ws',
        hooks: context.hooks,
        consumer: { group: options.group, from: options.from },
        ...(own.key === undefined || own.keyFile !== undefined ? {} : { secrets: { key: own.key } }),
        connect: (events, signal, previous) => port.connect(events, signal, previous),
      },
      options.signal,
    );
  },
};
