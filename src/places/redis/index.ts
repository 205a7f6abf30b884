// redis://host:6379/0?mailbox=name: a mailbox as a stream in Redis or Valkey, over one connection per handle. Joins the parts of this folder;
// maps are state.ts.

import { EngineDriver } from '../../engine-queue/driver.ts';
import { checkBox } from '../../engine-queue/settings.ts';
import type { Driver, DriverFacts } from '../../mailbox/driver.ts';
import type { Place, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { RedisBackend } from './backend.ts';
import { type FoundBox, findBox } from './box-keys.ts';
import { redis } from './capabilities.ts';
import { RedisConnection, redisAddress, redisTarget } from './client.ts';
import { TLS_PARAMETERS } from './tls.ts';

export const place: Place = {
  modes: [redis],
  parameters: ['mailbox', ...TLS_PARAMETERS],
  check(url, options) {
    checkBox(url, options);
    redisTarget(url);
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const name = checkBox(url, options);
    const target = redisTarget(url);
    const found = await find(url, name, options);
    const facts = factsOf(url, found);
    const dropsOldest = options.full === 'drop-oldest';
    return EngineDriver.start({ facts, settings: found.settings, hooks, dropsOldest }, (listener) =>
      RedisBackend.start({ target, identity: facts.identity, found, dropsOldest, listener }, options.signal),
    );
  },
};

async function find(url: PlaceUrl, name: string, options: PlaceOptions): Promise<FoundBox> {
  const connection = await RedisConnection.connect(redisTarget(url), () => undefined);
  try {
    await connection.prepare([]);
    return await findBox(connection, name, url, options, redis.limits.maxMessageBytes);
  } finally {
    connection.destroy();
  }
}

function factsOf(url: PlaceUrl, { settings, created }: FoundBox): DriverFacts {
  return {
    capabilities: redis,
    offered: 'accepted',
    maxMessageBytes: settings.maxMessageBytes,
    identity: newHandleIdentity(),
    address: redisAddress(url, `mailbox=${settings.name}`),
    deliver: 'one',
    created,
  };
}
