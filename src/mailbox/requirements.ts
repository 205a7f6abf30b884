// Which features a set of options asks for, and the check of them against what a place declares: everything missing is
// named in one error, before anything is created.

import { NaruError } from '../errors/index.ts';
import { FEATURES, type Capabilities, type Feature } from './capabilities.ts';
import type { Stated } from './parse-url.ts';

/** Every feature the options cannot do without. */
export function requiredFeatures(stated: Stated): Set<Feature> {
  const required = new Set<Feature>(stated.needs ?? []);
  const add = (feature: Feature, asked: boolean): void => {
    if (asked) required.add(feature);
  };
  add('deliverAll', stated.deliver === 'all');
  add('groups', stated.group !== undefined);
  add('durable', stated.survives === 'restart' || stated.confirm === 'durable');
  add('receipts', stated.confirm === 'received');
  add('rendezvous', stated.capacityMessages === 0);
  add('fixedSlots', stated.slotBytes !== undefined);
  add('priority', (stated.priorities ?? 1) > 1);
  add('dropOldest', stated.full === 'drop-oldest');
  add('dropNewest', stated.full === 'drop-newest');
  add('ack', stated.settle === 'manual');
  add('deadLetter', stated.deadLetter !== undefined);
  add('lease', (stated.leaseMs ?? 0) > 0);
  add('retain', (stated.retain ?? 0) > 0);
  add('replay', stated.from === 'start');
  add('dedup', (stated.dedup ?? 0) > 0);
  // N:1 and N:N are also the words for "no limit here": only what the relation forbids is enforced, by the place.
  return required;
}

/**
 * @param others  capabilities of all places, loaded only when something is missing, to say where it exists
 * @throws NARU_UNSUPPORTED       naming every missing feature and the places that have all of them
 * @throws NARU_INVALID_ARGUMENT  `needs` or `emulate` names no feature
 */
export async function checkRequirements(
  stated: Stated,
  capabilities: Capabilities,
  mailbox: string,
  others: () => Promise<readonly Capabilities[]>,
): Promise<void> {
  for (const name of [...(stated.needs ?? []), ...(stated.emulate ?? [])]) {
    if (!Object.hasOwn(FEATURES, name)) {
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${mailbox}: there is no feature "${String(name)}"; see naru places`,
      );
    }
  }
  const missing = [...requiredFeatures(stated)].filter(
    (f) => !has(capabilities, f, stated.emulate ?? []) && !isOfTopics(f, stated, capabilities),
  );
  if (missing.length === 0) return;
  const emulable = missing.filter((f) => capabilities.features[f] === 'emulated');
  const elsewhere = (await others()).filter((c) => missing.every((f) => c.features[f] === 'native'));
  const hint =
    emulable.length === missing.length
      ? `opt in with emulate: [${emulable.map((f) => `'${f}'`).join(', ')}]`
      : elsewhere.length > 0
        ? `places that have it: ${elsewhere.map(describe).join(', ')}`
        : 'no place has all of it';
  throw new NaruError(
    'NARU_UNSUPPORTED',
    `${mailbox}: ${describe(capabilities)} cannot do ${missing.map((f) => `${f} (${FEATURES[f]})`).join(', ')}; ${hint}`,
    { place: capabilities.scheme, mailbox },
  );
}

/** Dropping the oldest message is something else in a topic; the place says whether this mailbox is one. */
function isOfTopics(feature: Feature, stated: Stated, capabilities: Capabilities): boolean {
  if (feature !== 'dropOldest' || stated.needs?.includes(feature) === true) return false;
  return capabilities.features.overwrite === 'native';
}

/** Whether a feature may be used. */
export function has(capabilities: Capabilities, feature: Feature, emulate: readonly Feature[]): boolean {
  const level = capabilities.features[feature];
  return level === 'native' || (level === 'emulated' && emulate.includes(feature));
}

function describe(capabilities: Capabilities): string {
  return `${capabilities.scheme}://${capabilities.mode === 'raw' ? ' (raw)' : ''}`;
}
