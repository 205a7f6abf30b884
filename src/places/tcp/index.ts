// tcp://host:port: the mailbox lives in the process that listens (?listen); the others connect, from any machine. What a
// connection says is in link/; raw sockets for strangers are in link/raw-driver.ts.

import { openLink } from '../../link/driver.ts';
import { Port } from '../../link/port.ts';
import { rawFraming } from '../../link/raw-driver.ts';
import { refuseMeaningless } from '../../link/settings.ts';
import { connectSocket, listenSocket, tcpAddress } from '../../link/tcp-socket.ts';
import type { Driver } from '../../mailbox/driver.ts';
import type { Place, PlaceContext, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { tcp, tcpRaw } from './capabilities.ts';
import { PARAMETERS, readTcpOptions, type TcpOptions } from './options.ts';
import { openTcpRaw } from './raw.ts';

function portOf(url: PlaceUrl, options: PlaceOptions, own: TcpOptions, identity: string): Port {
  const { host, listen, heartbeatMs, connectionsMax, tls } = own;
  return new Port({
    mailbox: url.text,
    place: 'tcp',
    identity,
    options,
    listen,
    heartbeatMs,
    connectionsMax,
    address: (port = own.port) => tcpAddress(host, port, tls === undefined ? '' : '?tls'),
    dial: (signal) => connectSocket(own, url.text, signal),
    bind: () => listenSocket(own, url.text),
    doorway: { event: tls === undefined ? 'connection' : 'secureConnection' },
  });
}

export const place: Place = {
  modes: [tcp, tcpRaw],
  parameters: PARAMETERS,
  check(url, options) {
    readTcpOptions(url, options);
    refuseMeaningless(options, url.text, 'tcp');
    if (options.format === 'raw') rawFraming(options, url.text, 'tcp');
  },
  async open(url: PlaceUrl, options: PlaceOptions, context: PlaceContext): Promise<Driver> {
    const own = readTcpOptions(url, options);
    const identity = newHandleIdentity();
    if (options.format === 'raw') return await openTcpRaw(url, options, context, own, identity);
    const port = portOf(url, options, own, identity);
    return await openLink(
      {
        capabilities: tcp,
        identity,
        mailbox: url.text,
        place: 'tcp',
        hooks: context.hooks,
        consumer: { group: options.group, from: options.from },
        connect: (events, signal, previous) => port.connect(events, signal, previous),
      },
      options.signal,
    );
  },
};
