// activemq://user:password@host:5672?queue=jobs or ?topic=news: a mailbox on ActiveMQ (Artemis or Classic) by AMQP 1.0. Joins the parts of
// this folder.

import { Reconnecting } from '../../client/reconnecting.ts';
import type { Capabilities } from '../../mailbox/capabilities.ts';
import type { Driver, DriverFacts } from '../../mailbox/driver.ts';
import type { Place, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { findBox, type FoundBox } from './address.ts';
import { activemq } from './capabilities.ts';
import { ActivemqConnection, type ServerFacts } from './client.ts';
import { ActivemqDriver } from './driver.ts';
import { activemqError } from './failures.ts';
import { Management } from './management.ts';
import { addressOf, type Box, boxOf, PARAMETERS, targetOf } from './options.ts';

export const place: Place = {
  modes: [activemq],
  parameters: [...PARAMETERS],
  check(url, options) {
    targetOf(url, options, boxOf(url, options));
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const asked = boxOf(url, options);
    const target = targetOf(url, options, asked);
    let isOpen = false;
    const reconnecting = await Reconnecting.open<ActivemqConnection>(
      (lost) =>
        ActivemqConnection.connect(target, () => {
          lost();
          if (isOpen) hooks.event('disconnect', { reason: 'the connection to the server broke' });
        }),
      { place: 'activemq', text: url.text },
      options.signal,
    );
    try {
      const connection = reconnecting.current;
      if (connection === undefined) throw refusal('NARU_DISCONNECTED', url, 'the connection broke at once');
      const management = await Management.of(connection);
      const found = await findBox(management, url, options, asked);
      const syncs = (await management?.syncs()) === true;
      options.signal.throwIfAborted();
      const facts = factsOf(url, options, found, connection.server, management !== undefined, syncs);
      if (options.confirm === 'durable' && facts.capabilities.confirm !== 'durable') throw notDurable(url);
      const { prefetch, flushMs } = options;
      const { box } = found;
      const { text } = url;
      const driver = new ActivemqDriver({
        facts,
        box,
        hooks,
        reconnecting,
        text,
        prefetch,
        flushMs,
      });
      await driver.begin(connection, management);
      isOpen = true;
      return driver;
    } catch (error) {
      reconnecting.close();
      options.signal.throwIfAborted();
      throw activemqError(error, url.text);
    }
  },
};

function factsOf(
  url: PlaceUrl,
  { maxMessageBytes = activemq.limits.maxMessageBytes, priorities }: PlaceOptions,
  { box, created }: FoundBox,
  server: ServerFacts,
  isManaged: boolean,
  syncs: boolean,
): DriverFacts {
  return {
    capabilities: capabilitiesOf(box, server, isManaged, syncs, priorities),
    offered: 'accepted',
    maxMessageBytes,
    sizeLimit: 'the option maxMessageBytes (size=); a message is in memory in one piece at both ends',
    identity: newHandleIdentity(),
    address: addressOf(url, box),
    deliver: box.deliver,
    created,
  };
}

/** What this very mailbox can do: of a place that differs from server to server. */
function capabilitiesOf(
  { deliver, survives }: Box,
  { isArtemis, delays }: ServerFacts,
  isManaged: boolean,
  syncs: boolean,
  priorities: number | undefined,
): Capabilities {
  const isTold = isManaged && deliver === 'one' ? 'native' : 'none';
  const priority = isArtemis ? 'native' : 'none';
  return {
    ...activemq,
    features: {
      ...activemq.features,
      priority,
      delay: delays ? 'native' : 'none',
      depth: isTold,
      peek: isTold,
    },
    limits: {
      ...activemq.limits,
      priorityMax: isArtemis ? (priorities ?? activemq.limits.priorityMax + 1) - 1 : 0,
    },
    confirm: survives === 'restart' && syncs ? 'durable' : 'placed',
  };
}

function notDurable(url: PlaceUrl): Error {
  const what =
    'confirm "durable" needs \'durable\', which this server does not say of itself: Artemis with persistence and journal-sync-non-transactional, survives "restart", and a user who may ask activemq.management';
  return refusal('NARU_UNSUPPORTED', url, what);
}
