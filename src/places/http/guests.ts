// The handles with which requests use the mailbox: ordinary mailboxes, straight to the host in the same process. Waiting,
// timeouts, order and abort are theirs.

import { NaruError } from '../../errors/index.ts';
import { openLink } from '../../link/driver.ts';
import type { Host } from '../../link/host.ts';
import { LocalSession } from '../../link/local-session.ts';
import type { Session, SessionEvents } from '../../link/session.ts';
import { HookRelay } from '../../mailbox/hooks.ts';
import { Mailbox } from '../../mailbox/mailbox.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { http } from './capabilities.ts';

/** Bodies as bytes; settled by hand. */
export type Guest = Mailbox<Uint8Array, Uint8Array>;

export interface GuestOptions {
  readonly group?: string | undefined;
  readonly from?: 'now' | 'start' | undefined;
}

export class Guests {
  readonly #host: Host;
  readonly #address: string;
  readonly #open = new Set<Guest>();

  constructor(host: Host, address: string) {
    this.#host = host;
    this.#address = address;
  }

  async open({ group, from }: GuestOptions = {}): Promise<Guest> {
    const host = this.#host;
    const identity = newHandleIdentity();
    const hooks = new HookRelay();
    const driver = await openLink(
      {
        capabilities: http,
        identity,
        mailbox: host.mailbox,
        place: 'http',
        hooks,
        consumer: { group, from },
        connect: (events) => this.#session(events, identity),
      },
      new AbortController().signal,
    );
    const guest = new Mailbox<Uint8Array, Uint8Array>({
      driver,
      hooks,
      stated: { codec: 'bytes', settle: 'manual' },
      text: host.mailbox,
      openDeadLetter: () => Promise.reject(closed(host.mailbox)),
    });
    // Drops are told to the handle that hosts the mailbox; here nobody listens.
    guest.on('error', () => undefined);
    this.#open.add(guest);
    guest.on('close', () => this.#open.delete(guest));
    return guest;
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#open, (guest) => guest.close({ flushMs: 0 })));
  }

  #session(events: SessionEvents, identity: string): Promise<Session> {
    const host = this.#host;
    if (host.isStopped) return Promise.reject(closed(host.mailbox));
    const session = new LocalSession({
      host,
      identity,
      address: this.#address,
      events,
      created: false,
      isGuest: true,
      shutDown: () => Promise.resolve(),
      flushMs: 0,
    });
    return Promise.resolve(session);
  }
}

function closed(mailbox: string): NaruError {
  return new NaruError('NARU_CLOSED', `${mailbox}: the mailbox is closed`, { place: 'http', mailbox });
}
