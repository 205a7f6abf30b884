// How a handle reaches a mailbox behind a port: it listens, and the mailbox lives here, or it connects. How the port is bound
// and what a connection goes through first is the place's business.

import type { AddressInfo, Server } from 'node:net';
import { NaruError } from '../errors/index.ts';
import type { PlaceOptions } from '../mailbox/place.ts';
import { untilConnected } from './backoff.ts';
import type { LinkStream } from './connection.ts';
import { Host } from './host.ts';
import { Listener, type ListenerInit } from './listener.ts';
import { LocalSession } from './local-session.ts';
import type { RemoteInit } from './remote.ts';
import { connectSession } from './remote-session.ts';
import type { Session, SessionEvents } from './session.ts';
import { type MailboxSettings, newSettings, statedSettings } from './settings.ts';

/** What connecting takes. */
export interface DialInit {
  /** The mailbox's URL, for errors. */
  readonly mailbox: string;
  readonly place: string;
  readonly identity: string;
  readonly options: PlaceOptions;
  readonly heartbeatMs: number;
  /** As RemoteInit. */
  readonly key?: string | undefined;
  /** A URL that reaches the mailbox. @param port  that is bound; undefined when connecting */
  address(port: number | undefined): string;
  /** Connects, once. @throws NARU_DISCONNECTED, NARU_DENIED, NARU_LIMIT */
  dial(signal: AbortSignal): Promise<LinkStream>;
}

export interface PortInit extends DialInit {
  readonly listen: boolean;
  readonly connectionsMax: number;
  /** Binds the port. @throws NARU_EXISTS, NARU_DENIED */
  bind(): Promise<Server>;
  readonly doorway: Pick<ListenerInit, 'event' | 'admit' | 'checkHello'>;
}

/**
 * Connects to a host: the first time again and again until the time for opening is over, later once.
 * @throws NARU_EXISTS  a new mailbox was asked for; what `dial` throws
 */
export async function dialHost(
  init: DialInit,
  events: SessionEvents,
  signal: AbortSignal,
  previous: MailboxSettings | undefined,
): Promise<Session> {
  if (previous !== undefined) return await dialOnce(init, events, signal, previous);
  return await untilConnected(() => dialOnce(init, events, signal, undefined), signal);
}

async function dialOnce(
  init: DialInit,
  events: SessionEvents,
  signal: AbortSignal,
  previous: MailboxSettings | undefined,
): Promise<Session> {
  const { mailbox, place, identity, key, options, heartbeatMs } = init;
  const stream = await init.dial(signal);
  if (previous === undefined && options.create === 'new') {
    stream.destroy();
    throw new NaruError(
      'NARU_EXISTS',
      `${mailbox}: the mailbox exists already (create: "new"); a new one is made by listening: ?listen`,
      { place, mailbox },
    );
  }
  const remote: RemoteInit = {
    mailbox,
    place,
    address: init.address(undefined),
    identity,
    stated: previous ?? statedSettings(options),
    key,
    heartbeatMs,
    prefetch: options.prefetch,
    events,
  };
  return await connectSession(stream, remote, signal);
}

/** One handle's way to its mailbox. */
export class Port {
  readonly #init: PortInit;

  constructor(init: PortInit) {
    this.#init = init;
  }

  /** Listens, or connects: the first time again and again until the time for opening is over. */
  async connect(
    events: SessionEvents,
    signal: AbortSignal,
    previous: MailboxSettings | undefined,
  ): Promise<Session> {
    if (this.#init.listen) return await this.#listen(events);
    return await dialHost(this.#init, events, signal, previous);
  }

  async #listen(events: SessionEvents): Promise<Session> {
    const { mailbox, place, options, connectionsMax, heartbeatMs } = this.#init;
    if (options.create === 'never') {
      throw new NaruError(
        'NARU_NOT_FOUND',
        `${mailbox}: listening makes the mailbox, and create is "never"`,
        { place, mailbox },
      );
    }
    const server = await this.#init.bind();
    const { port } = server.address() as AddressInfo;
    const host = new Host({ settings: newSettings(statedSettings(options)), mailbox, place });
    const listener: Listener = new Listener(server, {
      ...this.#init.doorway,
      host,
      heartbeatMs,
      connectionsMax,
      checkPeer: () => undefined,
      unlink: () => session.unlink(),
    });
    const session: LocalSession = new LocalSession({
      host,
      identity: this.#init.identity,
      address: this.#init.address(port),
      events,
      shutDown: () => listener.close(),
      flushMs: options.flushMs,
    });
    return session;
  }
}
