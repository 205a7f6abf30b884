// amqp://user:password@host:5672/vhost?queue=name (and amqps://): a mailbox on RabbitMQ or on Naru's own broker. Joins the parts of this
// folder.

import { Reconnecting } from '../../client/reconnecting.ts';
import type { Capabilities } from '../../mailbox/capabilities.ts';
import type { Driver, DriverFacts } from '../../mailbox/driver.ts';
import type { Place, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { amqp } from './capabilities.ts';
import { AmqpConnection, type ServerFacts } from './client.ts';
import { AmqpDriver } from './driver.ts';
import { addressOf, checkOptions, PARAMETERS, targetOf } from './options.ts';
import type { BoxSettings } from './settings.ts';
import { type FoundBox, findBox } from './topology.ts';

export const place: Place = {
  modes: [amqp],
  parameters: PARAMETERS,
  check(url, options) {
    checkOptions(url, options);
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const own = checkOptions(url, options);
    const target = targetOf(url, options);
    let isOpen = false;
    const reconnecting = await Reconnecting.open<AmqpConnection>(
      (lost) =>
        AmqpConnection.connect(target, !isOpen, () => {
          lost();
          if (isOpen) hooks.event('disconnect', { reason: 'the connection to the server broke' });
        }),
      { place: 'amqp', text: url.text },
      options.signal,
    );
    try {
      const connection = reconnecting.current;
      if (connection === undefined) throw refusal('NARU_DISCONNECTED', url, 'the connection broke at once');
      const found = await findBox(connection, url, own, options);
      options.signal.throwIfAborted();
      const facts = factsOf(url, found, connection.server);
      if (options.confirm === 'durable' && facts.capabilities.confirm !== 'durable') throw notDurable(url);
      if (options.survives === 'restart' && !connection.server.survives) throw inMemory(url);
      isOpen = true;
      const { group, nobody, prefetch, flushMs } = options;
      const { settings } = found;
      const { routingKey } = own;
      return new AmqpDriver({
        facts,
        settings,
        hooks,
        reconnecting,
        text: url.text,
        routingKey,
        group,
        nobody,
        prefetch,
        flushMs,
      });
    } catch (error) {
      reconnecting.close();
      throw error;
    }
  },
};

function factsOf(url: PlaceUrl, { settings, created }: FoundBox, server: ServerFacts): DriverFacts {
  const { maxMessageBytes, deliver, name } = settings;
  return {
    capabilities: capabilitiesOf(settings, server),
    offered: 'accepted',
    maxMessageBytes,
    identity: newHandleIdentity(),
    address: addressOf(url, name),
    deliver,
    created,
  };
}

/** What this very mailbox can do: of a place that differs from server to server and from queue to queue. */
function capabilitiesOf(settings: BoxSettings, server: ServerFacts): Capabilities {
  const { type, survives, priorities } = settings;
  const confirmsDurable = survives === 'restart' && (type === 'quorum' || server.confirmsDurable);
  const priorityMax = priorities - 1;
  return {
    ...amqp,
    features: {
      ...amqp.features,
      priority: type === 'quorum' ? 'none' : 'native',
    },
    limits: { ...amqp.limits, priorityMax },
    confirm: confirmsDurable ? 'durable' : 'placed',
  };
}

function inMemory(url: PlaceUrl): Error {
  const what =
    'survives "restart" needs a broker with a folder (naru broker --data DIR); this one has everything in memory';
  return refusal('NARU_UNSUPPORTED', url, what);
}

function notDurable(url: PlaceUrl): Error {
  const what =
    'confirm "durable" needs \'durable\', which this queue does not have: RabbitMQ confirms a message of a classic queue before the disk has it. Use type=quorum, or Naru\'s broker with --sync disk and survives "restart"';
  return refusal('NARU_UNSUPPORTED', url, what);
}
