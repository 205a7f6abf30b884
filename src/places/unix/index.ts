// unix:///path.sock: the mailbox lives in the first process that opens it; the others connect. When that one goes, another
// takes its place. What a connection says is in link/; raw sockets for strangers are in link/raw-driver.ts.

import { newHandleIdentity } from '../../native/identity.ts';
import { NaruError } from '../../errors/index.ts';
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
import { unix, unixRaw } from './capabilities.ts';
import { type HostLock, tryHostLock } from '../../link/host-lock.ts';
import { openUnixRaw } from './raw.ts';
import { PARAMETERS, readUnixOptions, type UnixOptions } from './options.ts';
import { bindSocket, checkPeer, connectSocket, socketError, unixAddress } from '../../link/unix-socket.ts';

/** How long to leave a process that is about to become the host, before looking again. */
const ELECTION_MS = 10;

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
  async connect(
    events: SessionEvents,
    signal: AbortSignal,
    previous: MailboxSettings | undefined,
  ): Promise<Session> {
    const { path } = this.#own;
    const { text } = this.#url;
    // Only the first opener states anything new; who comes back wants what was there.
    const create =
      previous === undefined ? this.#options.create : this.#options.create === 'never' ? 'never' : undefined;
    for (;;) {
      signal.throwIfAborted();
      const socket = await connectSocket(path, text);
      if (socket !== undefined) {
        if (create === 'new') {
          socket.destroy();
          throw new NaruError(
            'NARU_EXISTS',
            `${text}: the mailbox exists already (create: "new")`,
            this.#init,
          );
        }
        checkPeer(socket, text);
        const stated = previous ?? statedSettings(this.#options);
        return await connectSession(socket, { ...this.#init, stated, events }, signal);
      }
      if (create === 'never') {
        throw new NaruError(
          'NARU_NOT_FOUND',
          `${text}: nobody hosts the mailbox (create: "never")`,
          this.#init,
        );
      }
      const lock = this.#tryLock();
      if (lock !== undefined) return await this.#becomeHost(lock, events, previous);
      await pause(ELECTION_MS);
    }
  }

  #tryLock(): HostLock | undefined {
    const { path } = this.#own;
    try {
      return tryHostLock(`${path}.lock`);
    } catch (error) {
      throw socketError(error as NodeJS.ErrnoException, path, this.#url.text);
    }
  }

  async #becomeHost(
    lock: HostLock,
    events: SessionEvents,
    previous: MailboxSettings | undefined,
  ): Promise<Session> {
    const { mailbox, place, address, identity, heartbeatMs } = this.#init;
    try {
      const server = await bindSocket(this.#own.path, mailbox);
      // Connections keep the process alive, an idle host does not.
      server.unref();
      const settings = previous ?? newSettings(statedSettings(this.#options));
      const host = new Host({ settings, mailbox, place });
      const listener: Listener = new Listener(server, {
        host,
        heartbeatMs,
        connectionsMax: this.#own.connectionsMax,
        event: 'connection',
        checkPeer: (socket) => checkPeer(socket, mailbox),
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
    const approach = new Approach(url, options, own, identity);
    return await openLink(
      {
        capabilities: unix,
        identity,
        mailbox: url.text,
        place: 'unix',
        hooks: context.hooks,
        consumer: { group: options.group, from: options.from },
        connect: (events, signal, previous) => approach.connect(events, signal, previous),
      },
      options.signal,
    );
  },
};

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
