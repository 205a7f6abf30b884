// The second connection of a handle that watches: the server sends the names of all keys of the map that change, expire or are
// evicted (client tracking in broadcast mode), whoever changed them.

import { Reconnecting } from '../../client/reconnecting.ts';
import { RedisConnection, type RedisTarget } from './client.ts';

/** @param changed  the rest of the key's name after `prefix`; undefined: any may have changed */
export async function openWatch(
  target: RedisTarget,
  prefix: string,
  changed: (key: string | undefined) => void,
): Promise<{ close(): void }> {
  const hear = (key: Buffer | undefined): void => {
    const name = key?.toString();
    if (name === undefined) changed(undefined);
    else if (name.startsWith(prefix)) changed(name.slice(prefix.length));
  };
  const track = async (connection: RedisConnection): Promise<void> => {
    await connection.read('CLIENT', 'TRACKING', 'OFF');
    await connection.read('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', prefix);
  };
  const link = await Reconnecting.open<RedisConnection>(
    (lost) => RedisConnection.connect(target, lost, track, hear),
    { place: 'redis', text: target.text },
    new AbortController().signal,
  );
  link.onBack(() => changed(undefined));
  return link;
}
