// A mailbox that lives in a Manager: the host of unix:// and tcp:// mailboxes, under a name. Its connections speak the link's protocol from the
// moment in which they have said which mailbox they are for.

import type { Socket } from 'node:net';
import { NaruError } from '../errors/index.ts';
import { HostConnection } from '../link/host-connection.ts';
import { Host } from '../link/host.ts';
import { newSettings, readStated } from '../link/settings.ts';
import { type Held, managerError, type Seat } from './held.ts';
import type { Objects } from './objects.ts';
import type { Asked } from './protocol.ts';

export class HeldMailbox implements Held {
  readonly settings: Readonly<Record<string, unknown>> = {};
  readonly host: Host;
  readonly #text: string;

  constructor(asked: Asked, text: string) {
    this.#text = text;
    const settings = newSettings(readStated(asked.settings));
    this.host = new Host({ settings, mailbox: text, place: 'manager' });
  }

  check(): void {
    // The link's hello compares what is stated.
  }

  attach(): Seat {
    throw managerError('NARU_UNSUPPORTED', this.#text, 'a mailbox has connections of its own');
  }

  dispose(): void {
    this.host.stop(new NaruError('NARU_CLOSED', `${this.#text}: the mailbox was removed`, this.host), true);
  }
}

/** A connection for a mailbox, from now on. @param closed  told once */
export function joinMailbox(
  socket: Socket,
  objects: Objects,
  asked: Asked,
  how: {
    readonly heartbeatMs: number;
    readonly closed: (guest: HostConnection) => void;
    /** The mailbox is there; nothing else was written yet. */
    readonly found: (created: boolean) => void;
  },
): HostConnection {
  const { entry, created } = objects.find(asked);
  how.found(created);
  const removed = (): void => undefined;
  entry.users.add(removed);
  const { host } = entry.held as HeldMailbox;
  host.counters.connections += 1;
  return new HostConnection(socket, {
    host,
    heartbeatMs: how.heartbeatMs,
    unlink: () => {
      objects.remove(entry);
      return Promise.resolve();
    },
    closed: (connection) => {
      host.counters.connections -= 1;
      objects.left(entry, removed);
      how.closed(connection);
    },
  });
}
