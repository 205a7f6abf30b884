// The shared object of a mailbox as a file. Its contents are the ring's business, what every shared object has is object-file.ts's.

import * as fs from 'node:fs';
import { NaruError } from '../errors/index.ts';
import { FILE_BYTES_MAX, HEADER, READY } from '../ring/layout.ts';
import {
  type Geometry,
  headerWord,
  laneData,
  readHeader,
  type RingMemory,
  ringMemory,
  writeHeader,
} from '../ring/memory.ts';
import { laneOf, markLaneUsed, type SeatTable } from '../ring/participants.ts';
import type { RingEdges } from './edges.ts';
import { attempt } from './io-error.ts';
import { makeObjectFile, type MappedObject, mapObjectFile, withObjectFile } from './object-file.ts';
import type { Site } from './site.ts';

/** A mapped mailbox. */
export type RingObject = MappedObject<RingMemory>;

/** Makes the object, complete but for the ready mark; under the mailbox's lock. */
export function createObject(site: Site, geometry: Geometry, edges: RingEdges): RingObject {
  const path = site.ring;
  if (geometry.fileBytes > FILE_BYTES_MAX) {
    throw new NaruError(
      'NARU_LIMIT',
      `${path}: ${geometry.laneCount} lanes of ${geometry.laneBytes} bytes are ${geometry.fileBytes} bytes, the limit is ${FILE_BYTES_MAX}; ` +
        'choose a smaller capacity, or relation 1:1 (a single lane)',
      { place: site.place },
    );
  }
  const sizes = { fileBytes: geometry.fileBytes, allocatedBytes: geometry.dataOffset };
  return makeObjectFile(site, sizes, edges, (fd) => {
    const object = mapObject(site, fd, geometry, edges, false);
    writeHeader(object.memory);
    return object;
  });
}

/** The last step of creation. */
export function markReady(memory: Pick<SeatTable, 'words'>): void {
  Atomics.store(memory.words, headerWord(HEADER.ready), READY);
}

/**
 * Opens and maps the object after every check.
 *
 * @returns `absent` when there is none; `unfinished` when its creator died before the ready mark
 * @throws NARU_DENIED (somebody else's, links, open to others), NARU_CORRUPT, NARU_UNSUPPORTED, NARU_LIMIT
 */
export function openObject(
  site: Site,
  edges: Pick<RingEdges, 'native'>,
  readOnly = false,
): RingObject | 'absent' | 'unfinished' {
  return withObjectFile(site, readOnly, headerOf(site), (fd, geometry) =>
    mapObject(site, fd, geometry, edges, readOnly),
  );
}

/**
 * A copy of header and tables, without the lanes: enough to see who takes part, and much cheaper than a mapping.
 * @returns and throws as openObject()
 */
export function readTables(site: Site): RingMemory | 'absent' | 'unfinished' {
  return withObjectFile(site, true, headerOf(site), (fd, geometry) => {
    const tables = new Uint8Array(geometry.dataOffset);
    attempt(site, 'reading', site.ring, () => fs.readSync(fd, tables, 0, tables.length, 0));
    fs.closeSync(fd);
    return ringMemory(tables.buffer, geometry, tables.length);
  });
}

function headerOf({ place }: Site): (words: Int32Array, size: number, path: string) => Geometry | undefined {
  return (words, size, path) => readHeader(words, size, { place, path });
}

function mapObject(
  site: Site,
  fd: number,
  geometry: Geometry,
  edges: Pick<RingEdges, 'native'>,
  readOnly: boolean,
): RingObject {
  return mapObjectFile(site, fd, geometry, (buffer) => ringMemory(buffer, geometry), edges, readOnly);
}

/**
 * Gives a lane its memory, so that a full file system is an error here and never a SIGBUS later; consumers look at it from then on.
 * @returns the lane of this seat and priority
 */
export function provideLane(object: RingObject, seat: number, level: number, edges: RingEdges): number {
  const { memory } = object;
  const { geometry } = memory;
  const lane = laneOf(memory, seat, level);
  attempt(object.where, `giving a lane of ${geometry.laneBytes} bytes its memory in`, object.path, () =>
    edges.native.allocate(object.fd, laneData(geometry, lane), geometry.laneBytes),
  );
  edges.failpoint('lane:allocated');
  markLaneUsed(memory, seat, level);
  return lane;
}
