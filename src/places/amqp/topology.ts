// Finding, making and removing a mailbox at the server. Makers follow one another by a queue that only one connection can have; the settings
// come last, so that a mailbox without them is not there yet. Queues and exchanges that others made are taken as they are.

import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import type { AmqpConnection } from './client.ts';
import { amqpError, REPLY, replyCode, replyText } from './failures.ts';
import { adoptQueue } from './foreign.ts';
import { NAMES } from './names.ts';
import type { OwnOptions } from './options.ts';
import type { AmqpChannel } from './protocol.ts';
import {
  type BoxSettings,
  newSettings,
  parseSettings,
  queueOptions,
  refuseDifferences,
  settingsText,
  statedSettings,
} from './settings.ts';

/** How long whoever finds the lock taken waits before it looks again, in milliseconds. */
const LOCK_MS = 30;
/** Nothing has settings of this text. */
const UNKNOWN = '?';

export interface FoundBox {
  readonly settings: BoxSettings;
  readonly created: boolean;
}

/** @throws NARU_EXISTS, NARU_NOT_FOUND, NARU_DENIED, NARU_DISCONNECTED, NARU_CORRUPT */
export async function findBox(
  connection: AmqpConnection,
  url: PlaceUrl,
  own: OwnOptions,
  options: PlaceOptions,
): Promise<FoundBox> {
  try {
    for (;;) {
      const existing = await findExisting(connection, url, own, options);
      if (existing !== undefined) return { settings: existing, created: false };
      if (options.create === 'never')
        throw refusal('NARU_NOT_FOUND', url, `there is no mailbox "${own.name}", and create is "never"`);
      const made = await makeAlone(connection, url, own, options);
      if (made !== undefined) return made;
      await pause(LOCK_MS, undefined, { signal: options.signal });
    }
  } catch (error) {
    throw amqpError(error, url.text);
  }
}

async function findExisting(
  connection: AmqpConnection,
  url: PlaceUrl,
  own: OwnOptions,
  options: PlaceOptions,
): Promise<BoxSettings | undefined> {
  const settings =
    (await readSettings(connection, url, own.name)) ?? (await adoptForeign(connection, url, own, options));
  if (settings === undefined) return undefined;
  if (options.create === 'new')
    throw refusal(
      'NARU_EXISTS',
      url,
      `the mailbox "${own.name}" exists already, and create is "new"; choose another name`,
    );
  refuseDifferences(url, statedSettings(own, options), settings);
  await restoreQueue(connection, settings);
  return settings;
}

/** A queue with survives "process" goes with its server; the settings stay, and say how it was. */
async function restoreQueue(connection: AmqpConnection, settings: BoxSettings): Promise<void> {
  const { id, name, deliver, survives } = settings;
  if (survives === 'restart' || deliver === 'all' || id === '') return;
  if (await attempt(connection, (channel) => channel.checkQueue(name), REPLY.notFound)) return;
  await declareBox(connection, settings);
}

/** @returns undefined when somebody else is making one */
async function makeAlone(
  connection: AmqpConnection,
  url: PlaceUrl,
  own: OwnOptions,
  options: PlaceOptions,
): Promise<FoundBox | undefined> {
  const lock = NAMES.lock(own.name);
  const isMine = await attempt(
    connection,
    (channel) => channel.assertQueue(lock, { exclusive: true, durable: false }),
    REPLY.locked,
  );
  if (!isMine) return undefined;
  try {
    const existing = await findExisting(connection, url, own, options);
    if (existing !== undefined) return { settings: existing, created: false };
    const settings = newSettings(own, options, randomBytes(6).toString('hex'));
    await declareBox(connection, settings);
    return { settings, created: true };
  } finally {
    await connection.once((channel) => channel.deleteQueue(lock)).catch(() => undefined);
  }
}

/**
 * Declares what a mailbox of Naru consists of; what is there already stays as it is, and what others made is theirs.
 * @throws what the server says, when it differs
 */
export async function declareBox(connection: AmqpConnection, settings: BoxSettings): Promise<void> {
  const { name, deliver, id } = settings;
  if (id === '') return;
  await connection.once(async (channel) => {
    if (deliver === 'one') await channel.assertQueue(name, queueOptions(settings));
    else await channel.assertExchange(name, 'fanout', { durable: true });
    await channel.assertExchange(NAMES.settings(name), 'fanout', {
      durable: true,
      alternateExchange: settingsText(settings),
    });
  });
}

/** Those who have a seat hear of it by their seat. */
export async function removeBox(connection: AmqpConnection, { name, deliver }: BoxSettings): Promise<void> {
  await connection.once(async (channel) => {
    await channel.deleteExchange(NAMES.settings(name));
    if (deliver === 'one') await channel.deleteQueue(name);
    else await channel.deleteExchange(name);
    await channel.deleteQueue(NAMES.seats(name, 'p'));
    await channel.deleteQueue(NAMES.seats(name, 'c'));
  });
}

/** Whether the mailbox is still there, and still the same. */
export async function isThere(connection: AmqpConnection, settings: BoxSettings): Promise<boolean> {
  if (settings.id === '') {
    return settings.deliver === 'one'
      ? attempt(connection, (channel) => channel.checkQueue(settings.name), REPLY.notFound)
      : attempt(connection, (channel) => channel.checkExchange(settings.name), REPLY.notFound);
  }
  return (await settingsFound(connection, settings.name)) === settingsText(settings);
}

async function readSettings(
  connection: AmqpConnection,
  url: PlaceUrl,
  name: string,
): Promise<BoxSettings | undefined> {
  const text = await settingsFound(connection, name);
  if (text === undefined) return undefined;
  const settings = parseSettings(name, text);
  if (settings !== undefined) return settings;
  throw refusal(
    'NARU_CORRUPT',
    url,
    `its settings have a format that this version of Naru does not know ("${text.slice(0, 80)}"); update Naru, or choose another name`,
  );
}

async function settingsFound(connection: AmqpConnection, name: string): Promise<string | undefined> {
  const exchange = NAMES.settings(name);
  if (!(await attempt(connection, (channel) => channel.checkExchange(exchange), REPLY.notFound)))
    return undefined;
  try {
    await connection.once(async (channel) => {
      await channel.assertExchange(exchange, 'fanout', { durable: true, alternateExchange: UNKNOWN });
      // It was removed a moment ago, and now it is there again: with nothing in it.
      await channel.deleteExchange(exchange);
    });
    return undefined;
  } catch (error) {
    if (replyCode(error) !== REPLY.precondition) throw error;
    return currentValue(replyText(error));
  }
}

async function adoptForeign(
  connection: AmqpConnection,
  url: PlaceUrl,
  own: OwnOptions,
  options: PlaceOptions,
): Promise<BoxSettings | undefined> {
  const { name } = own;
  if (await attempt(connection, (channel) => channel.checkQueue(name), REPLY.notFound)) {
    return adoptQueue(connection, url, newSettings(own, { ...options, deliver: 'one' }, ''), own, options);
  }
  if (options.deliver !== 'all') return undefined;
  const isExchange = await attempt(connection, (channel) => channel.checkExchange(name), REPLY.notFound);
  return isExchange ? newSettings(own, options, '') : undefined;
}

/** @returns false when the server refuses with this code */
async function attempt(
  connection: AmqpConnection,
  use: (channel: AmqpChannel) => Promise<unknown>,
  refused: number,
): Promise<boolean> {
  try {
    await connection.once(use);
    return true;
  } catch (error) {
    if (replyCode(error) !== refused) throw error;
    return false;
  }
}

/** `… but current is the value 'x' of type 'longstr'`, `… but current is 'x'`; `none` is undefined. */
export function currentValue(text: string): string | undefined {
  return /current is (?:the value )?'([^']*)'/.exec(text)?.[1];
}
