// From URL and options to the settings of a mailbox in an engine: what has no meaning there, what was fixed when it was made.

import type { BoxSettings } from './backend.ts';
import { checkName } from '../mailbox/parse-url.ts';
import type { PlaceOptions, PlaceUrl } from '../mailbox/place.ts';
import { refusal } from '../mailbox/refusal.ts';

/** The mailbox that a URL without `?mailbox=` means. */
const DEFAULT_NAME = 'default';
const RELATION = 'N:N';

/**
 * @returns the name of the mailbox
 * @throws NARU_UNSUPPORTED, NARU_INVALID_ARGUMENT
 */
export function checkBox(url: PlaceUrl, options: PlaceOptions): string {
  const { owner, frame, tls, capacityBytes, maxMessageBytes } = options;
  if (owner !== undefined && owner !== 'system') {
    const what = `a mailbox in a database stays until it is removed (owner "system"), not with owner "${owner}"`;
    throw refusal('NARU_UNSUPPORTED', url, what);
  }
  if (capacityBytes === 0)
    throw refusal('NARU_UNSUPPORTED', url, 'capacity 0 is rendezvous, which a table cannot be');
  const other = frame !== undefined ? 'frame' : tls !== undefined ? 'tls' : undefined;
  if (other !== undefined)
    throw refusal('NARU_UNSUPPORTED', url, `the option ${other} has no meaning here; leave it out`);
  if (maxMessageBytes !== undefined && capacityBytes !== undefined && maxMessageBytes > capacityBytes)
    throw refusal(
      'NARU_INVALID_ARGUMENT',
      url,
      `maxMessageBytes ${maxMessageBytes} is more than capacityBytes ${capacityBytes}`,
    );
  return checkName(url.extra['mailbox'] ?? DEFAULT_NAME, url.text);
}

/** The settings of a mailbox that is to be made. */
export function newSettings(name: string, options: PlaceOptions, maxMessageBytes: number): BoxSettings {
  const { relation, capacityBytes, capacityMessages, leaseMs } = options;
  return {
    name,
    relation: relation ?? RELATION,
    capacityBytes,
    capacityMessages,
    maxMessageBytes: options.maxMessageBytes ?? Math.min(maxMessageBytes, capacityBytes ?? maxMessageBytes),
    leaseMs: leaseMs ?? 0,
  };
}

/** @throws NARU_EXISTS  naming every difference */
export function refuseDifferences(url: PlaceUrl, options: PlaceOptions, existing: BoxSettings): void {
  const compared = ['relation', 'capacityBytes', 'capacityMessages', 'maxMessageBytes', 'leaseMs'] as const;
  const differences = compared
    .filter((option) => options[option] !== undefined && options[option] !== existing[option])
    .map((option) => `${option} asked ${options[option]}, is ${existing[option] ?? 'none'}`);
  if (differences.length === 0) return;
  const what = `exists with other options: ${differences.join('; ')}. Leave them out to adopt what exists`;
  throw refusal('NARU_EXISTS', url, what);
}

/** create: 'never', and it is not there. */
export function missingBox(url: PlaceUrl, name: string): Error {
  return refusal('NARU_NOT_FOUND', url, `there is no mailbox "${name}", and create is "never"`);
}

/** create: 'new', and it is there. */
export function existingBox(url: PlaceUrl, name: string): Error {
  const what = `the mailbox "${name}" exists already, and create is "new"; choose another name`;
  return refusal('NARU_EXISTS', url, what);
}

/** The tables have a format that this version does not know. */
export function wrongFormat(url: PlaceUrl, version: unknown, known: number): Error {
  const what = `its mailboxes have format ${String(version)}, this version of Naru knows ${known}; update Naru, or use another database`;
  return refusal('NARU_CORRUPT', url, what);
}
