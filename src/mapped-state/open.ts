// From checked options to a driver, whichever place the object is of: the shape of a new object, and what must agree with one that exists.

import { NaruError } from '../errors/index.ts';
import type { Site } from '../mapped-ring/site.ts';
import type { RingOwner } from '../ring/memory.ts';
import type { CellPlaceOptions } from '../state/cell-place.ts';
import type { MapCapabilities } from '../state/map-capabilities.ts';
import type { MapPlaceOptions } from '../state/map-place.ts';
import { codeOf } from '../state/elements.ts';
import { blocksFor, type TableShape } from '../table/geometry.ts';
import { BLOCK_BYTES, KEY_BYTES_MAX } from '../table/layout.ts';
import { attach, type StateRequest } from './attach.ts';
import { MappedCells } from './cells.ts';
import type { StateEdges } from './edges.ts';
import { MappedMap } from './map.ts';

/** What a place says of an object. */
export interface StateTarget {
  readonly site: Site;
  /** The URL as it may be shown. */
  readonly text: string;
  /** The URL by which others open it. */
  readonly address: string;
  /** How long a new object lives when nothing is stated. */
  readonly defaultOwner: RingOwner;
  /** Removes folders of the place that hold nothing any more. */
  readonly tidy?: () => void;
}

export const MAP_CAPACITY_DEFAULT: number = 4 * 1024 * 1024;
const MAP_CAPACITY_MIN = 64 * 1024;
const MAP_CAPACITY_MAX = 2 ** 31 - 64 * 1024 * 1024;
const VALUE_BYTES_MAX_DEFAULT = 131_072;
/** The longest value takes an eighth of the room, unless more is asked for. */
const VALUE_SHARE = 8;

/** @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_DENIED, NARU_CORRUPT, NARU_UNSUPPORTED, NARU_LIMIT, NARU_INVALID_ARGUMENT */
export async function openCells(
  target: StateTarget,
  options: CellPlaceOptions,
  edges: StateEdges,
): Promise<MappedCells> {
  const { type, element, length } = options;
  const owner = options.owner ?? target.defaultOwner;
  const shape =
    element === undefined || (type === 'array' && length === undefined)
      ? undefined
      : type === 'value'
        ? { type, owner, element }
        : { type, owner, element, length: length ?? 0 };
  const request: StateRequest = {
    text: target.text,
    address: target.address,
    create: options.create ?? 'if-missing',
    type,
    shape,
    owner: options.owner,
    tidy: () => target.tidy?.(),
    compare: (geometry) => [
      [
        'type',
        element === undefined ? undefined : codeOf(element),
        geometry.element === undefined ? undefined : codeOf(geometry.element),
      ],
      ['length', length, geometry.length],
    ],
  };
  return new MappedCells(await attach(request, target.site, options.signal, edges));
}

/** @throws as openCells() */
export async function openMappedMap(
  target: StateTarget,
  options: MapPlaceOptions,
  capabilities: MapCapabilities,
  edges: StateEdges,
): Promise<MappedMap> {
  if (options.survives === 'restart')
    throw new NaruError('NARU_UNSUPPORTED', `${target.text}: a map in memory survives no restart`, {
      place: target.site.place,
      mailbox: target.text,
    });
  const table = tableShape(target, options);
  const request: StateRequest = {
    text: target.text,
    address: target.address,
    create: options.create ?? 'if-missing',
    type: 'map',
    shape: { type: 'map', owner: options.owner ?? target.defaultOwner, table },
    owner: options.owner,
    tidy: () => target.tidy?.(),
    compare: ({ table: is }) => [
      [
        'capacityBytes',
        options.capacityBytes === undefined ? undefined : table.blocks * BLOCK_BYTES,
        (is?.blocks ?? 0) * BLOCK_BYTES,
      ],
      ['maxEntries', options.maxEntries, is?.maxEntries],
      ['maxValueBytes', options.maxValueBytes, is?.maxValueBytes],
    ],
  };
  return new MappedMap(await attach(request, target.site, options.signal, edges), capabilities);
}

/** @throws NARU_INVALID_ARGUMENT */
function tableShape({ text, site }: StateTarget, options: MapPlaceOptions): TableShape {
  const invalid = (what: string): NaruError =>
    new NaruError('NARU_INVALID_ARGUMENT', `${text}: ${what}`, { place: site.place, mailbox: text });
  const { maxEntries, maxValueBytes } = options;
  const asked =
    options.capacityBytes ??
    Math.max(MAP_CAPACITY_DEFAULT, (maxEntries ?? 0) * BLOCK_BYTES, (maxValueBytes ?? 0) * VALUE_SHARE);
  if (asked < MAP_CAPACITY_MIN || asked > MAP_CAPACITY_MAX)
    throw invalid(
      `the capacity of a map is ${MAP_CAPACITY_MIN} to ${MAP_CAPACITY_MAX} bytes, asked was ${asked}`,
    );
  const blocks = Math.ceil(asked / BLOCK_BYTES);
  const longest = maxValueBytes ?? Math.min(VALUE_BYTES_MAX_DEFAULT, Math.floor(asked / VALUE_SHARE));
  // A value is replaced by one that is there before the old one goes.
  if (2 * blocksFor(KEY_BYTES_MAX, longest) > blocks)
    throw invalid(
      `values of ${longest} bytes need a capacity of ${2 * blocksFor(KEY_BYTES_MAX, longest) * BLOCK_BYTES} bytes or more, asked was ${asked}`,
    );
  if (maxEntries !== undefined && maxEntries > blocks)
    throw invalid(
      `${maxEntries} entries need a capacity of ${maxEntries * BLOCK_BYTES} bytes or more, asked was ${asked}`,
    );
  return { blocks, maxEntries: maxEntries ?? blocks, maxKeyBytes: KEY_BYTES_MAX, maxValueBytes: longest };
}
