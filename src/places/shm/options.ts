// What an shm:// URL and its options mean: checks, this place's defaults, and the comparison with a mailbox that exists.

import { NaruError } from '../../errors/index.ts';
import type { Create } from '../../mailbox/options.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import * as L from '../../ring/layout.ts';
import type { Geometry, RingShape } from '../../ring/memory.ts';
import { PREFIX_BYTES } from '../../wire/envelope.ts';

/** Checked options of one open(). */
export interface ShmOptions {
  readonly name: string;
  /** The URL as it may be shown. */
  readonly text: string;
  readonly create: Create;
  /** Inboxes and ports: their absence means that their owner is gone. */
  readonly isOwned: boolean;
  /** A port: what waits for answers keeps the process, not the port itself. */
  readonly isBackground: boolean;
  /** What a new mailbox gets. */
  readonly shape: RingShape;
  /** What was said in so many words, and must agree with what exists. */
  readonly stated: Partial<RingShape>;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED */
export function checkOptions(url: PlaceUrl, options: PlaceOptions): void {
  resolveOptions(url, options);
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED */
export function resolveOptions(url: PlaceUrl, options: PlaceOptions): ShmOptions {
  const name = checkName(url.host, url.text);
  if (url.path !== '' || url.port !== undefined || url.username !== '')
    throw invalid(url, 'an shm mailbox has a name only: shm://name');
  refuseUnsupported(url, options);
  const isOwned = name.startsWith('~');
  const stated = statedShape(url, options);
  const laneBytes = stated.laneBytes ?? laneBytesFor(options);
  const longest = laneBytes / L.MESSAGE_SHARE;
  for (const asked of [options.maxMessageBytes, options.slotBytes]) {
    if (asked !== undefined && asked > longest) {
      throw invalid(
        url,
        `messages of ${asked} bytes need a capacity of ${asked * L.MESSAGE_SHARE} bytes or more (asked: ${laneBytes})`,
      );
    }
  }
  return {
    name,
    text: url.text,
    create: isOwned && options.create !== 'new' ? 'never' : (options.create ?? 'if-missing'),
    isOwned,
    isBackground: false,
    stated,
    shape: {
      relation: stated.relation ?? 'N:1',
      owner: stated.owner ?? (isOwned ? 'process' : 'users'),
      laneBytes,
      slotBytes: stated.slotBytes ?? 0,
      maxMessageBytes: options.maxMessageBytes ?? options.slotBytes ?? longest,
    },
  };
}

function refuseUnsupported(url: PlaceUrl, options: PlaceOptions): void {
  const { relation, deliver, capacityMessages } = options;
  const ofStreams = options.frame !== undefined ? 'frame' : options.tls !== undefined ? 'tls' : undefined;
  if (ofStreams !== undefined) {
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${url.text}: the option ${ofStreams} has no meaning in shared memory; leave it out`,
      { place: 'shm', mailbox: url.text },
    );
  }
  if (deliver === 'all' || relation === '1:N' || relation === 'N:N') {
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${url.text}: shm:// has one consumer at a time in this version: relation 1:1 or N:1, deliver "one"; memory:// has the others`,
      { place: 'shm', mailbox: url.text },
    );
  }
  if (capacityMessages !== undefined) {
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${url.text}: shm:// measures its room in bytes a producer (capacityBytes), not in messages; memory:// counts messages`,
      { place: 'shm', mailbox: url.text },
    );
  }
}

function statedShape(url: PlaceUrl, options: PlaceOptions): Partial<RingShape> {
  const { relation, owner, capacityBytes, slotBytes, maxMessageBytes } = options;
  return {
    ...(relation === '1:1' || relation === 'N:1' ? { relation } : {}),
    ...(owner === undefined ? {} : { owner }),
    ...(capacityBytes === undefined ? {} : { laneBytes: roundedCapacity(url, capacityBytes) }),
    // A slot holds a body of this length; its record also holds the envelope's prefix.
    ...(slotBytes === undefined ? {} : { slotBytes: slotBytes + PREFIX_BYTES }),
    ...(maxMessageBytes === undefined ? {} : { maxMessageBytes }),
  };
}

/** The next power of two: positions wrap with a mask. */
function roundedCapacity(url: PlaceUrl, capacityBytes: number): number {
  if (capacityBytes > L.FILE_BYTES_MAX) {
    throw invalid(url, `a capacity of ${capacityBytes} bytes a producer is more than ${L.FILE_BYTES_MAX}`);
  }
  return powerOfTwo(Math.max(capacityBytes, L.LANE_BYTES_MIN));
}

/** The default capacity, or as much as the longest message asks for. */
function laneBytesFor(options: PlaceOptions): number {
  const longest = Math.max(options.maxMessageBytes ?? 0, options.slotBytes ?? 0);
  return Math.max(L.LANE_BYTES_DEFAULT, powerOfTwo(longest * L.MESSAGE_SHARE));
}

function powerOfTwo(atLeast: number): number {
  let size = 1;
  while (size < atLeast) size *= 2;
  return size;
}

const NAMES: Readonly<Record<keyof RingShape, string>> = {
  relation: 'relation',
  owner: 'owner',
  laneBytes: 'capacityBytes',
  slotBytes: 'slotBytes',
  maxMessageBytes: 'maxMessageBytes',
};

/** @throws NARU_EXISTS  something that was asked for differs from what the mailbox was made with */
export function compareWithExisting(options: ShmOptions, existing: Geometry): void {
  const differences: string[] = [];
  for (const key of Object.keys(options.stated) as (keyof RingShape)[]) {
    if (options.stated[key] === existing[key]) continue;
    differences.push(
      `${NAMES[key]}: asked ${shown(key, options.stated[key])}, is ${shown(key, existing[key])}`,
    );
  }
  if (differences.length === 0) return;
  throw new NaruError(
    'NARU_EXISTS',
    `${options.text} exists with other options (${differences.join('; ')}). Leave them out to adopt what exists, or remove it with "naru rm".`,
    { place: 'shm', mailbox: options.text },
  );
}

function shown(key: keyof RingShape, value: string | number | undefined): string {
  if (typeof value !== 'number') return String(value);
  if (key === 'slotBytes') return value === 0 ? 'variable' : String(value - PREFIX_BYTES);
  const mebibyte = 1024 * 1024;
  if (value % mebibyte === 0 && value > 0) return `${value / mebibyte} MiB`;
  return value % 1024 === 0 && value > 0 ? `${value / 1024} KiB` : `${value} bytes`;
}

function invalid(url: PlaceUrl, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${url.text}: ${what}`, { place: 'shm', mailbox: url.text });
}
