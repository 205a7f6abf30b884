// http://host:port/name: the mailbox lives in the process that listens (?listen), or that mounts its handler (?mount); anything
// that speaks HTTP uses it. Joins the parts of this folder.

import { NaruError } from '../../errors/index.ts';
import { openLink } from '../../link/driver.ts';
import { Host } from '../../link/host.ts';
import { LocalSession } from '../../link/local-session.ts';
import { type DialInit, dialHost } from '../../link/port.ts';
import type { Session, SessionEvents } from '../../link/session.ts';
import { type MailboxSettings, newSettings, refuseMeaningless, statedSettings } from '../../link/settings.ts';
import type { Driver } from '../../mailbox/driver.ts';
import type { Place, PlaceContext, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { http } from './capabilities.ts';
import { openHttpStream } from './client-stream.ts';
import { Gateway } from './gateway.ts';
import { addMounted, removeMounted } from './mount.ts';
import { httpAddress, type HttpOptions, PARAMETERS, readHttpOptions } from './options.ts';
import { serverFor } from './server.ts';

export { type HandlerOptions, handlerOf, type HttpHandler } from './mount.ts';

/** One handle's way to its mailbox. */
class Approach {
  readonly #url: PlaceUrl;
  readonly #options: PlaceOptions;
  readonly #own: HttpOptions;
  readonly #identity: string;

  constructor(url: PlaceUrl, options: PlaceOptions, own: HttpOptions, identity: string) {
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
    const { listen, mount } = this.#own;
    if (listen || mount) return await this.#host(events);
    const dial: DialInit = {
      mailbox: this.#url.text,
      place: 'http',
      identity: this.#identity,
      options: this.#options,
      heartbeatMs: this.#own.heartbeatMs,
      address: () => httpAddress(this.#own, this.#own.port),
      dial: (dialSignal) => openHttpStream(this.#own, this.#url.text, dialSignal),
    };
    return await dialHost(dial, events, signal, previous);
  }

  async #host(events: SessionEvents): Promise<Session> {
    const { text: mailbox } = this.#url;
    const own = this.#own;
    if (this.#options.create === 'never') {
      throw new NaruError(
        'NARU_NOT_FOUND',
        `${mailbox}: listening makes the mailbox, and create is "never"`,
        {
          place: 'http',
          mailbox,
        },
      );
    }
    const settings = newSettings(statedSettings(this.#options));
    const host = new Host({ settings, mailbox, place: 'http' });
    const server = own.mount ? undefined : await serverFor(own, mailbox);
    const address = httpAddress(own, server?.port ?? 0);
    const gateway: Gateway = new Gateway({
      host,
      options: own,
      address,
      unlink: () => session.unlink(),
      onError: (error) => events.event('error', { error }),
    });
    if (server === undefined) addMounted(gateway, mailbox);
    else {
      server.checkFree(own.path, mailbox);
      server.add(gateway);
    }
    const session: LocalSession = new LocalSession({
      host,
      identity: this.#identity,
      address,
      events,
      shutDown: () => (server === undefined ? removeMounted(gateway) : server.remove(gateway)),
      flushMs: this.#options.flushMs,
    });
    return session;
  }
}

export const place: Place = {
  modes: [http],
  parameters: PARAMETERS,
  takesKey: true,
  check(url, options) {
    readHttpOptions(url, options);
    refuseMeaningless(options, url.text, 'http');
  },
  async open(url: PlaceUrl, options: PlaceOptions, { hooks }: PlaceContext): Promise<Driver> {
    const own = readHttpOptions(url, options);
    const identity = newHandleIdentity();
    const approach = new Approach(url, options, own, identity);
    return await openLink(
      {
        capabilities: http,
        identity,
        mailbox: url.text,
        place: 'http',
        hooks,
        ...(own.token === undefined ? {} : { secrets: { key: own.token } }),
        consumer: { group: options.group, from: options.from },
        connect: (events, signal, previous) => approach.connect(events, signal, previous),
      },
      options.signal,
    );
  },
};
