// What the options of a mailbox in mapped memory mean, whichever place it is of: checks, defaults of its shape, and the comparison
// with one that exists. Names and paths are the place's.

import { NaruError } from '../errors/index.ts';
import type { Create } from '../mailbox/options.ts';
import type { PlaceOptions, PlaceUrl } from '../mailbox/place.ts';
import * as L from '../ring/layout.ts';
import type { Geometry, RingShape } from '../ring/memory.ts';
import { PREFIX_BYTES } from '../wire/envelope.ts';
import type { Where } from './site.ts';

/** Checked options of one open(). */
export interface RingOptions {
  /** The URL as it may be shown. */
  readonly text: string;
  readonly create: Create;
  /** Inboxes and ports: their absence means that their owner is gone. */
  readonly isOwned: boolean;
  /** A port: what waits for answers keeps the process, not the port itself. */
  readonly isBackground: boolean;
  /** Where a consumer of a topic starts. */
  readonly from: 'now' | 'start';
  /** What a new mailbox gets. */
  readonly shape: RingShape;
  /** What was said in so many words, and must agree with what exists. */
  readonly stated: Partial<RingShape>;
}

/**
 * @param defaults  of the place, where nothing is stated
 * @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED
 */
export function resolveRing(
  url: PlaceUrl,
  options: PlaceOptions,
  defaults: Pick<RingShape, 'relation' | 'owner'>,
): RingOptions {
  refuseUnsupported(url, options);
  const stated = statedShape(url, options);
  refuseContradictions(url, options);
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
    text: url.text,
    create: options.create ?? 'if-missing',
    isOwned: false,
    isBackground: false,
    from: options.from ?? 'start',
    stated,
    shape: {
      relation: stated.relation ?? defaults.relation,
      deliver: stated.deliver ?? 'one',
      lossy: stated.lossy ?? false,
      levels: stated.levels ?? 1,
      retain: stated.retain ?? 0,
      owner: stated.owner ?? defaults.owner,
      laneBytes,
      slotBytes: stated.slotBytes ?? 0,
      maxMessageBytes: options.maxMessageBytes ?? options.slotBytes ?? longest,
    },
  };
}

function refuseUnsupported(url: PlaceUrl, options: PlaceOptions): void {
  const { capacityMessages } = options;
  const ofStreams = options.frame !== undefined ? 'frame' : options.tls !== undefined ? 'tls' : undefined;
  if (ofStreams !== undefined) {
    throw unsupported(url, `the option ${ofStreams} has no meaning in shared memory; leave it out`);
  }
  if (capacityMessages !== undefined) {
    throw unsupported(
      url,
      `${url.scheme}:// measures its room in bytes a producer (capacityBytes), not in messages; memory:// counts messages`,
    );
  }
}

/** Topics and queues differ in what they can be asked for. */
function refuseContradictions(url: PlaceUrl, options: PlaceOptions): void {
  const isTopic = options.deliver === 'all';
  if (options.full === 'drop-oldest' && !isTopic) {
    throw unsupported(
      url,
      'shared memory has no dropOldest for queues: full "drop-oldest" is for topics there (deliver "all"); memory:// and unix:// have it',
    );
  }
  if ((options.retain ?? 0) > 0 && !isTopic)
    throw unsupported(url, 'retain is for topics (deliver "all"); a queue keeps its messages anyway');
  if ((options.retain ?? 0) > L.RETAIN_MAX) throw invalid(url, `retain is at most ${L.RETAIN_MAX}`);
  if ((options.priorities ?? 1) > 1 && isTopic)
    throw unsupported(url, 'a topic in shared memory has one priority; open a topic for each');
  if (isTopic && options.nobody === 'keep')
    throw unsupported(
      url,
      'a topic keeps nothing for nobody; retain keeps the last messages for late consumers',
    );
}

function statedShape(url: PlaceUrl, options: PlaceOptions): Partial<RingShape> {
  const { relation, deliver, owner, capacityBytes, slotBytes, maxMessageBytes, priorities, retain } = options;
  return {
    ...(relation === undefined ? {} : { relation }),
    ...(deliver === undefined ? {} : { deliver }),
    // Every handle may say "wait"; only the other way is something that the mailbox itself must have been made for.
    ...(options.full === 'drop-oldest' ? { lossy: true } : {}),
    ...(priorities === undefined ? {} : { levels: priorities }),
    ...(retain === undefined ? {} : { retain }),
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
  deliver: 'deliver',
  lossy: 'full',
  levels: 'priorities',
  retain: 'retain',
  owner: 'owner',
  laneBytes: 'capacityBytes',
  slotBytes: 'slotBytes',
  maxMessageBytes: 'maxMessageBytes',
};

/** @throws NARU_EXISTS  something that was asked for differs from what the mailbox was made with */
export function compareWithExisting(options: RingOptions, { place }: Where, existing: Geometry): void {
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
    { place, mailbox: options.text },
  );
}

function shown(key: keyof RingShape, value: string | number | boolean | undefined): string {
  if (key === 'lossy') return value === true ? 'drop-oldest' : 'wait';
  if (key === 'retain' || key === 'levels') return String(value);
  if (typeof value !== 'number') return String(value);
  if (key === 'slotBytes') return value === 0 ? 'variable' : String(value - PREFIX_BYTES);
  const mebibyte = 1024 * 1024;
  if (value % mebibyte === 0 && value > 0) return `${value / mebibyte} MiB`;
  return value % 1024 === 0 && value > 0 ? `${value / 1024} KiB` : `${value} bytes`;
}

export function unsupported(url: PlaceUrl, what: string): NaruError {
  return new NaruError('NARU_UNSUPPORTED', `${url.text}: ${what}`, {
    place: url.scheme,
    mailbox: url.text,
  });
}

export function invalid(url: PlaceUrl, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${url.text}: ${what}`, {
    place: url.scheme,
    mailbox: url.text,
  });
}
