// The header of a shared value, array or map: computing its numbers, writing them, and reading them back with every one checked. Maps
// nothing itself.

import { NaruError } from '../errors/index.ts';
import * as R from '../ring/layout.ts';
import { headerWord, type RingOwner } from '../ring/memory.ts';
import { ELEMENT_CODES, elementOf, type Element } from '../state/elements.ts';
import {
  type TableGeometry,
  type TableShape,
  readTable,
  tableGeometry,
  writeTable,
} from '../table/geometry.ts';
import * as L from './layout.ts';

/** What is chosen when an object is made. */
export type StateShape = { readonly owner: RingOwner } & (
  | { readonly type: 'value'; readonly element: Element }
  | { readonly type: 'array'; readonly element: Element; readonly length: number }
  | { readonly type: 'map'; readonly table: TableShape }
);

/** Its numbers. */
export interface StateGeometry {
  readonly type: 'value' | 'array' | 'map';
  readonly owner: RingOwner;
  /** Of a value or an array; undefined for a map. */
  readonly element: Element | undefined;
  /** Elements; 1 for a value, 0 for a map. */
  readonly length: number;
  readonly table: TableGeometry | undefined;
  readonly fileBytes: number;
  readonly participantCount: number;
  readonly createdMs: number;
}

/** The mapped bytes, as ring/participants.ts and ring/recovery.ts take them. */
export interface StateMemory {
  readonly words: Int32Array;
  readonly geometry: StateGeometry;
}

const OWNERS: readonly RingOwner[] = ['users', 'process', 'system'];

export function stateGeometry(shape: StateShape, createdMs: number): StateGeometry {
  const common = { owner: shape.owner, participantCount: R.PARTICIPANTS, createdMs };
  if (shape.type === 'map') {
    const table = tableGeometry(shape.table, L.TABLE_OFFSET >>> 2, L.DATA_OFFSET >>> 2);
    return {
      ...common,
      type: 'map',
      element: undefined,
      length: 0,
      table,
      fileBytes: wholePages(table.endBytes),
    };
  }
  const length = shape.type === 'array' ? shape.length : 1;
  const { element } = shape;
  const dataBytes =
    element.kind === 'text' || element.kind === 'bytes'
      ? L.BLOB.copies + 2 * Math.ceil(element.bytes / 8) * 8
      : element.bytes * length;
  return {
    ...common,
    type: shape.type,
    element,
    length,
    table: undefined,
    fileBytes: wholePages(L.DATA_OFFSET + dataBytes),
  };
}

export function stateMemory(buffer: ArrayBufferLike, geometry: StateGeometry): StateMemory {
  return { words: new Int32Array(buffer, 0, geometry.fileBytes >>> 2), geometry };
}

/** Writes the header into zeroed memory, all but the ready mark, which the creator writes last. */
export function writeStateHeader({ words, geometry }: StateMemory): void {
  const H = L.STATE_HEADER;
  for (const [offset, value] of numbersOf(geometry)) words[headerWord(offset)] = value;
  words[headerWord(H.versionMinor)] = L.STATE_VERSION_MINOR;
  new DataView(words.buffer, words.byteOffset).setFloat64(H.createdMs, geometry.createdMs, true);
  if (geometry.table !== undefined) writeTable(words, geometry.table);
}

/** Whether these are the first words of a state object. */
export function isStateHeader(words: Int32Array): boolean {
  const H = L.STATE_HEADER;
  return words[headerWord(H.magic)] === R.MAGIC && words[headerWord(H.kind)] === L.STATE_KIND;
}

/**
 * Reads a header that another process wrote and checks every number in it.
 *
 * @param words      at least the header page
 * @param fileBytes  real size of the file
 * @throws NARU_CORRUPT      it is nothing of ours, or its numbers contradict each other or the file
 * @throws NARU_UNSUPPORTED  another major version, byte order, or a feature that this version does not know
 */
export function readStateHeader(
  words: Int32Array,
  fileBytes: number,
  where: { readonly place: string; readonly path: string },
): StateGeometry {
  const H = L.STATE_HEADER;
  const at = (offset: number): number => (words[headerWord(offset)] ?? 0) >>> 0;
  if (!isStateHeader(words)) throw corrupt(where, 'it does not start with "NARUSTAT"');
  if (at(H.byteOrder) !== R.BYTE_ORDER)
    throw unsupported(where, 'was written on a machine of the other byte order');
  if (at(H.versionMajor) !== L.STATE_VERSION_MAJOR)
    throw unsupported(
      where,
      `has layout version ${at(H.versionMajor)}.${at(H.versionMinor)}, this naru reads ${L.STATE_VERSION_MAJOR}.x`,
    );
  const unknown = (at(H.requiredFeatures) & ~R.REQUIRED_FEATURES_KNOWN) >>> 0;
  if (unknown !== 0)
    throw unsupported(where, `needs features 0x${unknown.toString(16)} that this naru does not know`);
  if (at(H.ready) !== R.READY) throw corrupt(where, 'its maker did not finish it');
  const geometry = claimedGeometry(words, at, where);
  for (const [offset, value] of numbersOf(geometry))
    if (at(offset) !== value >>> 0)
      throw corrupt(where, `the number at ${offset} is ${at(offset)}, should be ${value >>> 0}`);
  if (fileBytes !== geometry.fileBytes)
    throw corrupt(where, `it has ${fileBytes} bytes, should have ${geometry.fileBytes}: it was truncated`);
  return geometry;
}

/** What the header says of itself; its numbers are compared afterwards. */
function claimedGeometry(
  words: Int32Array,
  at: (offset: number) => number,
  where: { readonly place: string; readonly path: string },
): StateGeometry {
  const H = L.STATE_HEADER;
  const type = L.STATE_TYPES[at(H.type) - 1];
  const owner = OWNERS[at(H.owner) - 1];
  const createdMs = new DataView(words.buffer, words.byteOffset).getFloat64(H.createdMs, true);
  if (type === undefined || owner === undefined)
    throw corrupt(where, `type ${at(H.type)} or owner ${at(H.owner)} is unknown`);
  if (type === 'map')
    return stateGeometry(
      { type, owner, table: readTable(words, L.TABLE_OFFSET >>> 2, L.DATA_OFFSET >>> 2, where.path) },
      createdMs,
    );
  const element = elementOf(at(H.element), at(H.elementBytes));
  const length = at(H.length);
  if (
    element === undefined ||
    (type === 'value' ? length !== 1 : length < 1 || length * element.bytes > 2 ** 31)
  )
    throw corrupt(
      where,
      `${length} elements of type ${at(H.element)} with ${at(H.elementBytes)} bytes are impossible`,
    );
  return stateGeometry(
    type === 'value' ? { type, owner, element } : { type, owner, element, length },
    createdMs,
  );
}

function numbersOf(geometry: StateGeometry): readonly (readonly [number, number])[] {
  const H = L.STATE_HEADER;
  const { element } = geometry;
  return [
    [H.magic, R.MAGIC],
    [H.kind, L.STATE_KIND],
    [H.byteOrder, R.BYTE_ORDER],
    [H.versionMajor, L.STATE_VERSION_MAJOR],
    [H.fileBytes, geometry.fileBytes],
    [H.participantsOffset, R.PAGE_BYTES],
    [H.participantStride, R.PARTICIPANT_STRIDE],
    [H.participantCount, geometry.participantCount],
    [H.type, L.STATE_TYPES.indexOf(geometry.type) + 1],
    [H.element, element === undefined ? 0 : ELEMENT_CODES.indexOf(element.kind) + 1],
    [H.elementBytes, element?.bytes ?? 0],
    [H.length, geometry.length],
    [H.dataOffset, L.DATA_OFFSET],
    [H.owner, OWNERS.indexOf(geometry.owner) + 1],
  ];
}

function wholePages(bytes: number): number {
  return Math.ceil(bytes / R.PAGE_BYTES) * R.PAGE_BYTES;
}

function corrupt(where: { readonly place: string; readonly path: string }, what: string): NaruError {
  return new NaruError(
    'NARU_CORRUPT',
    `${where.path} is not a usable value, array or map: ${what}. Remove it with "naru rm" once nobody uses it.`,
    { place: where.place, mailbox: where.path },
  );
}

function unsupported(where: { readonly place: string; readonly path: string }, what: string): NaruError {
  return new NaruError(
    'NARU_UNSUPPORTED',
    `${where.path} ${what}. Use the same version of naru on both sides, or remove it with "naru rm".`,
    { place: where.place, mailbox: where.path },
  );
}
