// What a hosted mailbox is: fixed by its first opener, told to everybody who connects, and compared with what they state.

import { NaruError } from '../errors/index.ts';
import type { Deliver, Relation } from '../mailbox/options.ts';
import type { PlaceOptions } from '../mailbox/place.ts';

/** The mailbox's own options: the same for everybody who uses it. */
export interface MailboxSettings {
  readonly deliver: Deliver;
  readonly relation: Relation;
  readonly capacityMessages: number;
  readonly capacityBytes: number;
  readonly maxMessageBytes: number;
  /** 0 = any length. */
  readonly slotBytes: number;
  readonly retain: number;
  readonly dedup: number;
  readonly leaseMs: number;
  readonly dropOldest: boolean;
  readonly keepForNobody: boolean;
}

/** What somebody who opens the mailbox says about it; undefined = whatever it is. */
export type StatedSettings = { readonly [K in keyof MailboxSettings]?: MailboxSettings[K] | undefined };

const DEFAULT_SETTINGS: MailboxSettings = {
  deliver: 'one',
  relation: 'N:N',
  capacityMessages: 65_536,
  capacityBytes: 67_108_864,
  maxMessageBytes: 16_777_216,
  slotBytes: 0,
  retain: 0,
  dedup: 0,
  leaseMs: 0,
  dropOldest: false,
  keepForNobody: false,
};

const NAMES = Object.keys(DEFAULT_SETTINGS) as (keyof MailboxSettings)[];
const BYTES: ReadonlySet<string> = new Set(['capacityBytes', 'maxMessageBytes', 'slotBytes']);

/** The part of a handle's options that is about the mailbox. */
export function statedSettings(options: PlaceOptions): StatedSettings {
  return {
    deliver: options.deliver,
    relation: options.relation,
    capacityMessages: options.capacityMessages,
    capacityBytes: options.capacityBytes,
    maxMessageBytes: options.maxMessageBytes,
    slotBytes: options.slotBytes,
    retain: options.retain,
    dedup: options.dedup,
    leaseMs: options.leaseMs,
    dropOldest: options.full === 'drop-oldest' ? true : undefined,
    keepForNobody: options.deliver === 'all' && options.nobody === 'keep' ? true : undefined,
  };
}

/**
 * What the first opener creates. A message is never larger than the whole mailbox.
 * @param usual  what a place has by default, where that differs
 */
export function newSettings(stated: StatedSettings, usual: Partial<MailboxSettings> = {}): MailboxSettings {
  const settings = { ...DEFAULT_SETTINGS, ...usual } as Record<string, unknown>;
  for (const name of NAMES) if (stated[name] !== undefined) settings[name] = stated[name];
  const made = settings as unknown as MailboxSettings;
  const { capacityBytes, maxMessageBytes, slotBytes } = made;
  const largest = Math.min(maxMessageBytes, capacityBytes);
  return { ...made, maxMessageBytes: slotBytes > 0 ? Math.min(slotBytes, largest) : largest };
}

/** @throws NARU_EXISTS  something stated differs from what is */
export function checkSettings(stated: StatedSettings, actual: MailboxSettings, mailbox: string): void {
  const differences = NAMES.filter((name) => stated[name] !== undefined && stated[name] !== actual[name]);
  if (differences.length === 0) return;
  const text = differences
    .map((name) => `${name}: asked ${show(name, stated[name])}, is ${show(name, actual[name])}`)
    .join('; ');
  throw new NaruError(
    'NARU_EXISTS',
    `${mailbox}: the mailbox exists with other options (${text}); leave them out to adopt what is there`,
    { mailbox },
  );
}

/**
 * Options that would change nothing where a mailbox lives in its listener.
 * @throws NARU_UNSUPPORTED, NARU_INVALID_ARGUMENT
 */
export function refuseMeaningless(options: PlaceOptions, mailbox: string, place: string): void {
  if (options.owner === 'system') {
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${mailbox}: a mailbox on ${place}:// lives as long as its listener; owner "system" is not possible`,
      { place, mailbox },
    );
  }
  if (options.frame !== undefined && options.format !== 'raw') {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${mailbox}: frame=${options.frame} says how plain bytes are cut and needs format=raw`,
      { place, mailbox },
    );
  }
}

/**
 * Settings that a peer sent.
 * @throws NARU_CORRUPT  something is missing or has the wrong kind
 */
export function readSettings(json: unknown): MailboxSettings {
  const source = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  const read: Record<string, unknown> = {};
  for (const name of NAMES) {
    const value = source[name];
    const wanted = DEFAULT_SETTINGS[name];
    const isFine =
      typeof value === typeof wanted && (typeof value !== 'number' || (value >= 0 && value <= 2 ** 53));
    if (!isFine) throw new NaruError('NARU_CORRUPT', `the host says nothing sensible about "${name}"`);
    read[name] = value;
  }
  return read as unknown as MailboxSettings;
}

/** What a peer states; what cannot be understood is as if not stated. */
export function readStated(json: unknown): StatedSettings {
  const source = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  const stated: Record<string, unknown> = {};
  for (const name of NAMES) {
    if (typeof source[name] === typeof DEFAULT_SETTINGS[name]) stated[name] = source[name];
  }
  return stated;
}

/** How many producers and consumers a relation allows. */
export function seatsOf(relation: Relation): { readonly producers: number; readonly consumers: number } {
  const [producers, consumers] = relation.split(':');
  return { producers: producers === '1' ? 1 : Infinity, consumers: consumers === '1' ? 1 : Infinity };
}

function show(name: string, value: unknown): string {
  if (!BYTES.has(name) || typeof value !== 'number') return String(value);
  if (value >= 1_048_576 && value % 1_048_576 === 0) return `${value / 1_048_576} MiB`;
  if (value >= 1024 && value % 1024 === 0) return `${value / 1024} KiB`;
  return `${value} bytes`;
}
