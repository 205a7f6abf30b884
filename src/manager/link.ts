// The way of this thread to a Manager: one connection for all of its handles, so that what one thread calls happens in the order of its calls,
// and many calls share a write. It comes back by itself; it goes with the last handle.

import { Reconnecting } from '../client/reconnecting.ts';
import type { Target } from './address.ts';
import { Channel } from './channel.ts';

export interface Link {
  readonly connection: Reconnecting<Channel>;
  /** A handle is closed. */
  release(): Promise<void>;
}

interface Shared {
  readonly connection: Promise<Reconnecting<Channel>>;
  users: number;
}

const shared = new Map<string, Shared>();

/** @throws NARU_DISCONNECTED  nobody listens there; NARU_DENIED  the key is wrong; NARU_LIMIT, NARU_CORRUPT, NARU_UNSUPPORTED; the signal's reason */
export async function joinLink(target: Target, signal: AbortSignal): Promise<Link> {
  for (;;) {
    signal.throwIfAborted();
    const existing = shared.get(target.id);
    const entry = existing ?? begin(target, signal);
    entry.users += 1;
    try {
      const connection = await entry.connection;
      return { connection, release: once(() => leave(target.id, entry, connection)) };
    } catch (error) {
      // The signal that ended the first attempt was another caller's.
      if (existing === undefined) throw error;
    }
  }
}

function begin(target: Target, signal: AbortSignal): Shared {
  const connection = Reconnecting.open(
    (lost, ending) => Channel.connect(target, lost, ending),
    { place: target.place, text: target.text },
    signal,
  );
  const entry: Shared = { connection, users: 0 };
  shared.set(target.id, entry);
  connection.catch(() => forget(target.id, entry));
  return entry;
}

function forget(id: string, entry: Shared): void {
  if (shared.get(id) === entry) shared.delete(id);
}

async function leave(id: string, entry: Shared, connection: Reconnecting<Channel>): Promise<void> {
  entry.users -= 1;
  if (entry.users > 0) return;
  forget(id, entry);
  const channel = connection.current;
  connection.close();
  await channel?.whenGone();
}

function once(run: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= run();
    return done;
  };
}
