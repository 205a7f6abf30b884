// From URL and options to the settings of a memory mailbox: names, defaults, and the comparison with what exists.

import { NaruError } from '../../errors/index.ts';
import type { Capabilities, Owner } from '../../mailbox/capabilities.ts';
import type { Deliver, Relation } from '../../mailbox/options.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { PlaceContext, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { memory } from './capabilities.ts';
import { twinOf } from './twin.ts';

/** Room of a mailbox that states none. */
export const MEMORY_DEFAULTS = {
  capacityMessages: 65_536,
  capacityBytes: 67_108_864,
  relation: 'N:N',
  deliver: 'one',
  owner: 'users',
} as const;

type Value = string | number | undefined;

/** Fixed when a mailbox is created. */
export interface MemorySettings {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** The place it stands in for. */
  readonly as: string | undefined;
  readonly deliver: Deliver;
  readonly relation: Relation;
  readonly owner: Owner;
  /** 0 = rendezvous. */
  readonly capacityMessages: number;
  readonly capacityBytes: number;
  readonly maxMessageBytes: number;
  readonly slotBytes: number | undefined;
  readonly dropOldest: boolean;
  readonly keepForNobody: boolean;
  readonly retain: number;
  readonly dedup: number;
  readonly leaseMs: number;
}

/**
 * The mailbox's name.
 * @throws NARU_INVALID_ARGUMENT  not a name, or the URL says more than a name
 */
export function nameOf(url: PlaceUrl): string {
  const name = checkName(url.host, url.text);
  if (url.path !== '' || url.port !== undefined || url.username !== '') {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${url.text}: a memory mailbox is just a name, such as memory://orders; leave out path, port and user`,
    );
  }
  if (name.startsWith('~') && !/^~(?:inbox|port)\../.test(name)) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${url.text}: names with ~ are reserved for ~inbox.… and ~port.…; choose another`,
    );
  }
  return name;
}

/**
 * What this place refuses of the options that any place may get.
 * @throws NARU_UNSUPPORTED
 */
export function checkOptions(url: PlaceUrl, options: PlaceOptions): void {
  const refused = options.frame !== undefined ? 'frame' : options.tls !== undefined ? 'tls' : undefined;
  if (refused === undefined) return;
  throw new NaruError(
    'NARU_UNSUPPORTED',
    `${url.text}: the option ${refused} has no meaning inside one thread; leave it out`,
    { place: 'memory', mailbox: url.text },
  );
}

/**
 * The settings of a mailbox that is to be created.
 * @throws NARU_INVALID_ARGUMENT  sizes that contradict each other, or an unknown place in `as`
 */
export async function settingsOf(
  url: PlaceUrl,
  options: PlaceOptions,
  context: PlaceContext,
): Promise<MemorySettings> {
  const capabilities = options.as === undefined ? memory : twinOf(await context.capabilitiesOf(options.as));
  const capacityBytes = options.capacityBytes ?? MEMORY_DEFAULTS.capacityBytes;
  const sizeMax = options.maxMessageBytes ?? Math.min(capabilities.limits.maxMessageBytes, capacityBytes);
  checkFits(url, 'maxMessageBytes', sizeMax, capacityBytes);
  checkFits(url, 'slotBytes', options.slotBytes ?? 0, sizeMax);
  return {
    name: nameOf(url),
    capabilities,
    as: options.as,
    deliver: options.deliver ?? MEMORY_DEFAULTS.deliver,
    relation: options.relation ?? MEMORY_DEFAULTS.relation,
    owner: options.owner ?? MEMORY_DEFAULTS.owner,
    capacityMessages: options.capacityMessages ?? MEMORY_DEFAULTS.capacityMessages,
    capacityBytes,
    maxMessageBytes: Math.min(sizeMax, options.slotBytes ?? sizeMax),
    slotBytes: options.slotBytes,
    dropOldest: options.full === 'drop-oldest',
    keepForNobody: options.nobody === 'keep',
    retain: options.retain ?? 0,
    dedup: options.dedup ?? 0,
    leaseMs: options.leaseMs ?? 0,
  };
}

/**
 * Compares what is asked for with what exists; what is not stated adopts it.
 * @throws NARU_EXISTS  naming every difference
 */
export function checkSame(url: PlaceUrl, options: PlaceOptions, existing: MemorySettings): void {
  const differences: string[] = [];
  const compare = (option: string, asked: Value, is: Value): void => {
    if (asked !== undefined && asked !== is) {
      differences.push(`${option} asked ${asked}, is ${is ?? 'none'}`);
    }
  };
  compare('as', options.as, existing.as);
  compare('deliver', options.deliver, existing.deliver);
  compare('relation', options.relation, existing.relation);
  compare('owner', options.owner, existing.owner);
  compare('capacityMessages', options.capacityMessages, existing.capacityMessages);
  compare('capacityBytes', options.capacityBytes, existing.capacityBytes);
  compare('maxMessageBytes', options.maxMessageBytes, existing.maxMessageBytes);
  compare('slotBytes', options.slotBytes, existing.slotBytes);
  compare('retain', options.retain, existing.retain);
  compare('dedup', options.dedup, existing.dedup);
  compare('leaseMs', options.leaseMs, existing.leaseMs);
  // The other policies are each handle's own; these two are decided where the messages are.
  if (options.full === 'drop-oldest' && !existing.dropOldest)
    differences.push('full asked drop-oldest, is not');
  if (existing.deliver === 'all' && (options.nobody === 'keep' || options.nobody === 'drop')) {
    compare('nobody', options.nobody, existing.keepForNobody ? 'keep' : 'drop');
  }
  if (differences.length === 0) return;
  throw new NaruError(
    'NARU_EXISTS',
    `${url.text}: exists with other options: ${differences.join('; ')}. Leave them out to adopt what exists`,
    { place: 'memory', mailbox: url.text },
  );
}

/**
 * What only a topic has.
 * @throws NARU_INVALID_ARGUMENT
 */
export function checkTopic(url: PlaceUrl, options: PlaceOptions, deliver: Deliver): void {
  if (deliver === 'all') return;
  const stated = [
    options.group === undefined ? '' : 'group',
    (options.retain ?? 0) > 0 ? 'retain' : '',
    options.from === undefined ? '' : 'from',
  ].filter((name) => name !== '');
  if (stated.length === 0) return;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${url.text}: ${stated.join(', ')} needs deliver: 'all', this mailbox has deliver: 'one'`,
    { place: 'memory', mailbox: url.text },
  );
}

function checkFits(url: PlaceUrl, what: string, asked: number, limit: number): void {
  if (asked <= limit) return;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${url.text}: ${what} ${asked} is more than a message can have here, ${limit} bytes; raise capacityBytes or maxMessageBytes`,
    { place: 'memory', mailbox: url.text },
  );
}
