// Opens drivers of the memory place the way open() does, without the Mailbox around them. For this folder's tests.

import type { Capabilities } from '../../mailbox/capabilities.ts';
import type { Delivery, Driver, DriverEvents, Outgoing } from '../../mailbox/driver.ts';
import { mergeOptions, parseUrl, placeOptions } from '../../mailbox/parse-url.ts';
import type { OpenOptions } from '../../mailbox/options.ts';
import type { MessageFields } from '../../wire/envelope-types.ts';
import { shm } from '../shm/capabilities.ts';
import { place } from './index.ts';

/** A driver with everything it told. */
export interface Opened {
  readonly driver: Driver;
  readonly told: {
    readable: number;
    writable: number;
    peers: number;
    replies: Delivery[];
    drops: DriverEvents['drop'][];
    failed: Error[];
  };
}

const opened = new Set<Driver>();

export async function openDriver(url: string, options: OpenOptions = {}): Promise<Opened> {
  const { parts, stated } = parseUrl(url);
  const resolved = placeOptions(mergeOptions(stated, options, url), new AbortController().signal);
  place.check?.(parts, resolved);
  const told: Opened['told'] = { readable: 0, writable: 0, peers: 0, replies: [], drops: [], failed: [] };
  const hooks = {
    readable: () => {
      told.readable += 1;
    },
    writable: () => {
      told.writable += 1;
    },
    peers: () => {
      told.peers += 1;
    },
    reply: (delivery: Delivery) => void told.replies.push(delivery),
    event: <K extends keyof DriverEvents>(type: K, detail: DriverEvents[K]) => {
      if (type === 'drop') told.drops.push(detail as DriverEvents['drop']);
    },
    failed: (error: Error) => void told.failed.push(error),
  };
  const capabilitiesOf = (): Promise<Capabilities> => Promise.resolve(shm);
  const driver = await place.open(parts, resolved, { hooks, capabilitiesOf });
  opened.add(driver);
  return { driver, told };
}

/** Closes and unlinks whatever a test left open. */
export async function closeAll(): Promise<void> {
  for (const driver of opened) {
    await driver.unlink();
    await driver.close();
  }
  opened.clear();
}

/** A message with a text body. */
export function outgoing(text: string, fields?: MessageFields, done?: (error?: Error) => void): Outgoing {
  return {
    body: Buffer.from(text),
    sequence: 1,
    time: 0,
    fields,
    confirm: done === undefined ? undefined : 'received',
    done,
  };
}

export function textOf(delivery: Delivery | undefined): string | undefined {
  return delivery === undefined ? undefined : Buffer.from(delivery.body).toString();
}

/** Resolves when every microtask that is queued now has run. */
export function microtasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
