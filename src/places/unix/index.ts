// unix:///path.sock: the mailbox lives in the first process that opens it; the others connect. When that one goes, another
// takes its place. What a connection says is in link/; raw sockets for strangers are in link/raw-driver.ts.

import { newHandleIdentity } from '../../native/identity.ts';
import { NaruError } from '../../errors/index.ts';
import { approach, type ApproachInit } from '../../link/approach.ts';
import { openLink } from '../../link/driver.ts';
import { Host } from '../../link/host.ts';
import { Listener } from '../../link/listener.ts';
import { rawFraming } from '../../link/raw-driver.ts';
import { LocalSession } from '../../link/local-session.ts';
import type { RemoteInit } from '../../link/remote.ts';
import type { Session, SessionEvents } from '../../link/session.ts';
import { bindSocket, checkPeer, socketError, unixAddress } from '../../link/unix-socket.ts';
import { type MailboxSettings, newSettings, refuseMeaningless, statedSettings } from '../../link/settings.ts';
import type { Driver } from '../../mailbox/driver.ts';
import type { Place, PlaceContext, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { unix, unixRaw } from './capabilities.ts';
import { type HostLock, tryHostLock } from '../../link/host-lock.ts';
import { openUnixRaw } from './raw.ts';
import { PARAMETERS, readUnixOptions, type UnixOptions } from './options.ts';

/** One handle's way to its mailbox. */
class Approach {
  readonly #url: PlaceUrl;
  readonly #options: PlaceOptions;
  readonly #own: UnixOptions;
  readonly #init: Omit<RemoteInit, 'events' | 'stated'>;

  constructor(url: PlaceUrl, options: PlaceOptions, own: UnixOptions, identity: string) {
    this.#url = url;
    this.#options = options;
    this.#own = own;
    this.#init = {
      mailbox: url.text,
      place: 'unix',
      address: unixAddress(own.path, ''),
      identity,
      heartbeatMs: own.heartbeatMs,
      prefetch: options.prefetch,
    };
  }

  /** Connects to the host, or becomes it. */
  connect(
    events: SessionEvents,
    signal: AbortSignal,
    previous: MailboxSettings | undefined,
  ): Promise<Session> {
    const { create } = this.#options;
    const init: ApproachInit = {
      ...this.#init,
      path: this.#own.path,
      stated: statedSettings(this.#options),
      create,
      nobodyListens: () => {
        if (create !== 'never') return Promise.resolve();
        const text = `${this.#url.text}: nobody hosts the mailbox (create: "never")`;
        return Promise.reject(new NaruError('NARU_NOT_FOUND', text, this.#init));
      },
      becomeHost: async (hostEvents) => {
        const lock = this.#tryLock();
        return lock === undefined ? undefined : await this.#becomeHost(lock, hostEvents, previous);
      },
    };
    return approach(init, events, signal, previous);
  }

  #tryLock(): HostLock | undefined {
    const { path } = this.#own;
    try {
      return tryHostLock(`${path}.lock`);
    } catch (error) {
      throw socketError(error as NodeJS.ErrnoException, path, this.#init);
    }
  }

  async #becomeHost(
    lock: HostLock,
    events: SessionEvents,
    previous: MailboxSettings | undefined,
  ): Promise<Session> {
    const { mailbox, place, address, identity, heartbeatMs } = this.#init;
    try {
      const server = await bindSocket(this.#own.path, this.#init);
      // Connections keep the process alive, an idle host does not.
      server.unref();
      const settings = previous ?? newSettings(statedSettings(this.#options));
      const host = new Host({ settings, mailbox, place });
      const listener: Listener = new Listener(server, {
        host,
        heartbeatMs,
        connectionsMax: this.#own.connectionsMax,
        event: 'connection',
        checkPeer: (socket) => checkPeer(socket, this.#init),
        unlink: () => session.unlink(),
      });
      const shutDown = async (): Promise<void> => {
        await listener.close();
        lock.release();
      };
      const { flushMs } = this.#options;
      const session: LocalSession = new LocalSession({ host, identity, address, events, shutDown, flushMs });
      return session;
    } catch (error) {
      lock.release();
      throw error;
    }
  }
}

/** @throws NARU_UNSUPPORTED */
function refuseTls({ text }: PlaceUrl, { tls }: PlaceOptions): void {
  if (tls === undefined) return;
  throw new NaruError(
    'NARU_UNSUPPORTED',
    `${text}: the option tls has no meaning on a Unix socket; leave it out, or use tcp://`,
    { place: 'unix', mailbox: text },
  );
}

export const place: Place = {
  modes: [unix, unixRaw],
  parameters: PARAMETERS,
  check(url, options) {
    readUnixOptions(url);
    refuseTls(url, options);
    refuseMeaningless(options, url.text, 'unix');
    if (options.format === 'raw') rawFraming(options, url.text, 'unix');
  },
  async open(url: PlaceUrl, options: PlaceOptions, context: PlaceContext): Promise<Driver> {
    const own = readUnixOptions(url);
    const identity = newHandleIdentity();
    if (options.format === 'raw') return await openUnixRaw(url, options, context, own, identity);
    const way = new Approach(url, options, own, identity);
    return await openLink(
      {
        capabilities: unix,
        identity,
        mailbox: url.text,
        place: 'unix',
        hooks: context.hooks,
        consumer: { group: options.group, from: options.from },
        connect: (events, signal, previous) => way.connect(events, signal, previous),
      },
      options.signal,
    );
  },
};
