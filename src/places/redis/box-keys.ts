// That a mailbox exists in a Redis database, and what was fixed when it was made: the hash `naru:box:{name}`. One that was removed leaves a
// mark for a minute, by which handles that were away see that it is gone. Layout: docs/internals/redis-mailbox.md.

import { randomBytes } from 'node:crypto';
import type { BoxSettings } from '../../engine-queue/backend.ts';
import {
  existingBox,
  missingBox,
  newSettings,
  refuseDifferences,
  wrongFormat,
} from '../../engine-queue/settings.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import type { RedisConnection } from './client.ts';
import { type Script, script } from './script.ts';

const FORMAT = 1;
const REMOVED_MARK_MS = 60_000;

const CREATE = `
call('HSET', box, 'format', '${FORMAT}', 'generation', ARGV[1], 'settings', ARGV[2], 'bytes', '0', 'p', '0', 'c', '0')
local time, stream = call('TIME'), box .. ':' .. ARGV[1] .. ':s'
local last = time[1] .. string.sub('00000' .. time[2], -6)
call('HSET', box, 'last', last)
call('XGROUP', 'CREATE', stream, 'g', '0', 'MKSTREAM')
call('XSETID', stream, '0-' .. last)
`;

/** ARGV: a new generation, its settings as JSON or '' not to make it. @returns format, generation, settings of what is there now */
const FIND: Script = script(`
local call, box = redis.call, KEYS[1]
if call('EXISTS', box) == 0 then
  if ARGV[2] == '' then return false end${CREATE}
end
return call('HMGET', box, 'format', 'generation', 'settings')`);

/** Puts a mailbox back, empty, that the server lost. ARGV: the generation, its settings. @returns the generation that is there now */
const REVIVE: Script = script(`
local call, box = redis.call, KEYS[1]
if call('EXISTS', box) == 0 and call('EXISTS', box .. ':gone:' .. ARGV[1]) == 0 then${CREATE}
end
return call('HGET', box, 'generation')`);

/** ARGV: the generation. */
const UNLINK: Script = script(`
local call, box = redis.call, KEYS[1]
if call('HGET', box, 'generation') ~= ARGV[1] then return 0 end
call('SET', box .. ':gone:' .. ARGV[1], '1', 'PX', '${REMOVED_MARK_MS}')
local base = box .. ':' .. ARGV[1]
call('UNLINK', box, base .. ':s', base .. ':d', base .. ':l', base .. ':seats', base .. ':wc', base .. ':wp')
call('PUBLISH', box .. ':n', 'x')
return 1`);

export interface FoundBox {
  readonly settings: BoxSettings;
  readonly generation: string;
  readonly created: boolean;
}

export function boxKey(name: string): string {
  return `naru:box:{${name}}`;
}

/** The stream of a mailbox, of this generation only. */
export function streamKey(name: string, generation: string): string {
  return `${boxKey(name)}:${generation}:s`;
}

/** Where those who are attached to a mailbox hear of changes. */
export function newsChannel(name: string): string {
  return `${boxKey(name)}:n`;
}

/**
 * Finds a mailbox or makes it.
 * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_CORRUPT (another format)
 */
export async function findBox(
  connection: RedisConnection,
  name: string,
  url: PlaceUrl,
  options: PlaceOptions,
  maxMessageBytes: number,
): Promise<FoundBox> {
  const mine = randomBytes(8).toString('hex');
  const wanted = JSON.stringify(newSettings(name, options, maxMessageBytes));
  const answer = await connection.script(FIND, boxKey(name), mine, options.create === 'never' ? '' : wanted);
  if (answer === null) throw missingBox(url, name);
  const [format, generation, settings] = (answer as readonly unknown[]).map(String);
  if (format !== String(FORMAT)) throw wrongFormat(url, format, FORMAT);
  const created = generation === mine;
  if (options.create === 'new' && !created) throw existingBox(url, name);
  const found = JSON.parse(settings as string) as BoxSettings;
  refuseDifferences(url, options, found);
  return { settings: found, generation: generation as string, created };
}

/** After a loss: a server that kept nothing gets the mailbox again, empty. @returns false: it was removed */
export async function findAgain(
  connection: RedisConnection,
  { settings, generation }: FoundBox,
): Promise<boolean> {
  const answer = await connection.script(REVIVE, boxKey(settings.name), generation, JSON.stringify(settings));
  return String(answer) === generation;
}

export async function removeBox(
  connection: RedisConnection,
  { settings, generation }: FoundBox,
): Promise<void> {
  await connection.script(UNLINK, boxKey(settings.name), generation);
}
