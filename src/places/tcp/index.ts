// tcp://host:port: the mailbox lives in the process that listens (?listen); the others connect, from any machine. What a
// connection says is in link/; raw sockets for strangers are in link/raw-driver.ts.

import type { AddressInfo } from 'node:net';
import { NaruError } from '../../errors/index.ts';
import { untilConnected } from '../../link/backoff.ts';
import { openLink } from '../../link/driver.ts';
import { Host } from '../../link/host.ts';
import { Listener } from '../../link/listener.ts';
import { rawFraming } from '../../link/raw-driver.ts';
import { LocalSession } from '../../link/local-session.ts';
import type { RemoteInit } from '../../link/remote.ts';
import { connectSession } from '../../link/remote-session.ts';
import type { Session, SessionEvents } from '../../link/session.ts';
import { type MailboxSettings, newSettings, refuseMeaningless, statedSettings } from '../../link/settings.ts';
import type { Driver } from '../../mailbox/driver.ts';
import type { Place, PlaceContext, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { tcp, tcpRaw } from './capabilities.ts';
import { PARAMETERS, readTcpOptions, type TcpOptions } from './options.ts';
import { openTcpRaw } from './raw.ts';
import { connectSocket, listenSocket, tcpAddress } from '../../link/tcp-socket.ts';

/** One handle's way to its mailbox. */
class Approach {
  readonly #url: PlaceUrl;
  readonly #options: PlaceOptions;
  readonly #own: TcpOptions;
  readonly #identity: string;

  constructor(url: PlaceUrl, options: PlaceOptions, own: TcpOptions, identity: string) {
    this.#url = url;
    this.#options = options;
    this.#own = own;
    this.#identity = identity;
  }

  /** Listens, or connects: the first time again and again until the time for opening is over. */
  async connect(
    events: SessionEvents,
    signal: AbortSignal,
    previous: MailboxSettings | undefined,
  ): Promise<Session> {
    if (this.#own.listen) return await this.#listen(events);
    if (previous !== undefined) return await this.#dial(events, signal, previous);
    return await untilConnected(() => this.#dial(events, signal, undefined), signal);
  }

  async #dial(
    events: SessionEvents,
    signal: AbortSignal,
    previous: MailboxSettings | undefined,
  ): Promise<Session> {
    const { text } = this.#url;
    const { host, port, heartbeatMs, tls } = this.#own;
    const socket = await connectSocket(this.#own, text, signal);
    if (previous === undefined && this.#options.create === 'new') {
      socket.destroy();
      throw new NaruError(
        'NARU_EXISTS',
        `${text}: the mailbox exists already (create: "new"); a new one is made by listening: ?listen`,
        { place: 'tcp', mailbox: text },
      );
    }
    const init: RemoteInit = {
      mailbox: text,
      place: 'tcp',
      address: tcpAddress(host, port, tls === undefined ? '' : '?tls'),
      identity: this.#identity,
      stated: previous ?? statedSettings(this.#options),
      heartbeatMs,
      prefetch: this.#options.prefetch,
      events,
    };
    return await connectSession(socket, init, signal);
  }

  async #listen(events: SessionEvents): Promise<Session> {
    const { text: mailbox } = this.#url;
    const { host: name, connectionsMax, heartbeatMs, tls } = this.#own;
    if (this.#options.create === 'never') {
      throw new NaruError(
        'NARU_NOT_FOUND',
        `${mailbox}: listening makes the mailbox, and create is "never"`,
        {
          place: 'tcp',
          mailbox,
        },
      );
    }
    const server = await listenSocket(this.#own, mailbox);
    const { port } = server.address() as AddressInfo;
    const settings = newSettings(statedSettings(this.#options));
    const host = new Host({ settings, mailbox, place: 'tcp' });
    const listener: Listener = new Listener(server, {
      host,
      heartbeatMs,
      connectionsMax,
      event: tls === undefined ? 'connection' : 'secureConnection',
      checkPeer: () => undefined,
      unlink: () => session.unlink(),
    });
    const session: LocalSession = new LocalSession({
      host,
      identity: this.#identity,
      address: tcpAddress(name, port, tls === undefined ? '' : '?tls'),
      events,
      shutDown: () => listener.close(),
      flushMs: this.#options.flushMs,
    });
    return session;
  }
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
    const approach = new Approach(url, options, own, identity);
    return await openLink(
      {
        capabilities: tcp,
        identity,
        mailbox: url.text,
        place: 'tcp',
        hooks: context.hooks,
        consumer: { group: options.group, from: options.from },
        connect: (events, signal, previous) => approach.connect(events, signal, previous),
      },
      options.signal,
    );
  },
};
