// redis://host:6379/0: `?mailbox=name` is a mailbox as a stream in Redis or Valkey, `?channel=name` a channel of publish and subscribe, each over
// one connection per handle. Joins the parts of this folder; maps are state.ts.

import { EngineDriver } from '../../engine-queue/driver.ts';
import { checkBox } from '../../engine-queue/settings.ts';
import type { Driver, DriverFacts } from '../../mailbox/driver.ts';
import type { Place, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { RedisBackend } from './backend.ts';
import { type FoundBox, findBox } from './box-keys.ts';
import { redis, redisChannel } from './capabilities.ts';
import { ChannelDriver } from './channel.ts';
import { RedisConnection, redisAddress, redisTarget } from './client.ts';
import { TLS_PARAMETERS } from './tls.ts';

export const place: Place = {
  modes: [redis],
  parameters: ['mailbox', 'channel', ...TLS_PARAMETERS],
  narrow: (mode, url) => (url.extra['channel'] === undefined ? mode : redisChannel),
  check(url, options) {
    if (url.extra['channel'] === undefined) checkBox(url, options);
    else checkChannel(url, options);
    redisTarget(url);
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const { channel } = url.extra;
    if (channel !== undefined) {
      const facts = channelFacts(url, channel);
      return ChannelDriver.open({ target: redisTarget(url), channel, facts, hooks }, options.signal);
    }
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

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED  what a channel has no meaning for */
function checkChannel(url: PlaceUrl, options: PlaceOptions): void {
  const { channel, mailbox } = url.extra;
  if (mailbox !== undefined)
    throw refusal('NARU_INVALID_ARGUMENT', url, 'say mailbox (a queue) or channel (a topic), not both');
  if (channel === '' || (channel?.length ?? 0) > 256)
    throw refusal('NARU_INVALID_ARGUMENT', url, 'a channel has a name of 1 to 256 characters');
  if (options.deliver === 'one')
    throw refusal(
      'NARU_UNSUPPORTED',
      url,
      'every consumer of a channel gets every message; a queue is ?mailbox=',
    );
  const asked = (['relation', 'capacityBytes', 'capacityMessages', 'frame', 'tls', 'owner'] as const).filter(
    (option) => options[option] !== undefined && options[option] !== 'system',
  );
  if (asked.length > 0)
    throw refusal('NARU_UNSUPPORTED', url, `a channel knows no ${asked.join(', ')}; leave it out`);
}

function channelFacts(url: PlaceUrl, channel: string): DriverFacts {
  return {
    capabilities: redisChannel,
    offered: 'accepted',
    maxMessageBytes: redisChannel.limits.maxMessageBytes,
    identity: newHandleIdentity(),
    address: redisAddress(url, `channel=${encodeURIComponent(channel)}`),
    deliver: 'all',
    created: false,
  };
}

async function find(url: PlaceUrl, name: string, options: PlaceOptions): Promise<FoundBox> {
  const connection = await RedisConnection.connect(
    redisTarget(url),
    () => undefined,
    (one) => one.prepare([]),
  );
  try {
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
