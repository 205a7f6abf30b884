// kafka://host:9092?topic=orders&group=billing: a topic of Kafka as a mailbox. Joins the parts of this folder.

import type { Driver } from '../../mailbox/driver.ts';
import type { Place, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { kafka } from './capabilities.ts';
import type { KafkaClient } from './client.ts';
import { connect } from './connect.ts';
import { KafkaDriver } from './driver.ts';
import { isCalled, translate } from './failures.ts';
import { addressOf, PARAMETERS, type Reading, readingOf, targetOf } from './options.ts';

/** The largest batch of a topic, unless it says otherwise. */
const BATCH_BYTES = 1_048_588;
/** Room in a batch for key, headers and the rest, beside the largest body. */
const SPARE_BYTES = 48_588;
/** So often a new topic is looked for, and for so long at most, in milliseconds. */
const APPEAR = { everyMs: 20, withinMs: 15_000 } as const;
/** What a broker says of a topic that another one has just made; the packages differ in one name. */
const NOT_YET = [
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'NOT_LEADER_FOR_PARTITION',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
];
/** The controller has not done it in time, or is another one by now. */
const BUSY = ['REQUEST_TIMED_OUT', 'NOT_CONTROLLER'];

export const place: Place = {
  modes: [kafka],
  parameters: [...PARAMETERS],
  check(url, options) {
    targetOf(url, options);
    readingOf(url, options);
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const reading = readingOf(url, options);
    const client = await connect(targetOf(url, options));
    try {
      const found = await findTopic(client, url, options, reading.topic, reading.partitions);
      const batchBytesMax = (await client.maxBatchBytes(reading.topic)) ?? BATCH_BYTES;
      options.signal.throwIfAborted();
      const facts = factsOf(url, options, reading, batchBytesMax, found.created);
      const { partitions } = found;
      return new KafkaDriver({ facts, reading, hooks, client, text: url.text, partitions, batchBytesMax });
    } catch (error) {
      client.close().catch(() => undefined);
      options.signal.throwIfAborted();
      throw translate(error, url.text, false);
    }
  },
};

function factsOf(
  url: PlaceUrl,
  { maxMessageBytes }: PlaceOptions,
  reading: Reading,
  batchBytesMax: number,
  created: boolean,
): Driver['facts'] {
  const largest = Math.max(1, batchBytesMax - Math.min(SPARE_BYTES, batchBytesMax >> 1));
  if (maxMessageBytes !== undefined && maxMessageBytes > largest) {
    const what = `maxMessageBytes ${maxMessageBytes} is more than the topic takes (${largest}): raise its max.message.bytes`;
    throw refusal('NARU_EXISTS', url, what);
  }
  return {
    capabilities: kafka,
    offered: 'accepted',
    maxMessageBytes: maxMessageBytes ?? largest,
    sizeLimit: 'max.message.bytes of the topic, less what headers may take',
    identity: newHandleIdentity(),
    address: addressOf(url, reading),
    deliver: reading.deliver,
    created,
  };
}

/** @throws NARU_NOT_FOUND, NARU_EXISTS  as `create` says; it is "never" when nothing is said */
async function findTopic(
  client: KafkaClient,
  url: PlaceUrl,
  { create = 'never', signal }: PlaceOptions,
  topic: string,
  asked: number | undefined,
): Promise<{ readonly partitions: number; readonly created: boolean }> {
  let partitions = await client.partitions(topic);
  if (partitions === undefined && create === 'never')
    throw refusal(
      'NARU_NOT_FOUND',
      url,
      `there is no topic "${topic}", and create is "never", as always on Kafka unless you say "if-missing"`,
    );
  const deadline = performance.now() + APPEAR.withinMs;
  const pause = async (error?: unknown): Promise<void> => {
    signal.throwIfAborted();
    if (performance.now() > deadline)
      throw error ?? new Error(`the topic "${topic}" was made, and no broker leads it yet`);
    await new Promise((resolve) => setTimeout(resolve, APPEAR.everyMs));
  };
  const created = partitions === undefined && (await make(client, topic, asked, pause));
  if (create === 'new' && !created)
    throw refusal(
      'NARU_EXISTS',
      url,
      `the topic "${topic}" exists already, and create is "new"; choose another name`,
    );
  // The broker that answered may learn of it a moment later.
  while ((partitions = await appeared(client, topic)) === undefined) await pause();
  if (asked !== undefined && asked !== partitions)
    throw refusal('NARU_EXISTS', url, `the topic has ${partitions} partitions, asked were ${asked}`);
  return { partitions, created };
}

/** One of many that make it at once is first; a controller that has too much to do is asked again. @returns whether it was this one */
async function make(
  client: KafkaClient,
  topic: string,
  partitions: number | undefined,
  pause: (error: unknown) => Promise<void>,
): Promise<boolean> {
  for (;;) {
    try {
      return await client.create(topic, partitions);
    } catch (error) {
      if (!isCalled(error, ...BUSY)) throw error;
      await pause(error);
    }
  }
}

async function appeared(client: KafkaClient, topic: string): Promise<number | undefined> {
  try {
    const partitions = await client.partitions(topic);
    if (partitions !== undefined) await client.ranges(topic);
    return partitions;
  } catch (error) {
    if (isCalled(error, ...NOT_YET)) return undefined;
    throw error;
  }
}
