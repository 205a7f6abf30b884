// A client's connection that is for a mailbox: from the moment in which it has said so it speaks the link's protocol.

import type { Socket } from 'node:net';
import { HostConnection } from '../link/host-connection.ts';
import type { HeldMailbox } from './held-mailbox.ts';
import type { Objects } from './objects.ts';
import type { Asked } from './protocol.ts';

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
