// The shared object of a value, an array or a map as a file: making it under another name, and opening it after every check. Its
// contents are header.ts's, the checks mapped-ring/object-file.ts's.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '../errors/index.ts';
import { errnoOf, ioError } from '../mapped-ring/io-error.ts';
import {
  makeObjectFile,
  mapObjectFile,
  type MappedObject,
  withObjectFile,
} from '../mapped-ring/object-file.ts';
import type { Site } from '../mapped-ring/site.ts';
import { FILE_BYTES_MAX, READY } from '../ring/layout.ts';
import { headerWord } from '../ring/memory.ts';
import type { StateEdges } from './edges.ts';
import {
  readStateHeader,
  type StateGeometry,
  type StateMemory,
  stateMemory,
  writeStateHeader,
} from './header.ts';
import { STATE_HEADER } from './layout.ts';

/** A mapped object. */
export type StateObject = MappedObject<StateMemory>;

/** Where an object is made; it gets its name when it is complete. A file that somebody else laid there is never touched. */
export function draftOf(site: Site): string {
  return join(site.folder, 'draft');
}

/** Makes the object, complete but for mark and name; under the lock of its folder. @throws NARU_LIMIT, NARU_DENIED */
export function createObject(site: Site, geometry: StateGeometry, edges: StateEdges): StateObject {
  const { fileBytes } = geometry;
  if (fileBytes > FILE_BYTES_MAX)
    throw new NaruError(
      'NARU_LIMIT',
      `${site.ring}: ${fileBytes} bytes are more than ${FILE_BYTES_MAX}; choose a smaller capacity or length`,
      { place: site.place, mailbox: site.ring },
    );
  const draft = { ...site, ring: draftOf(site) };
  return makeObjectFile(draft, { fileBytes, allocatedBytes: fileBytes }, edges, (fd) => {
    const object = mapObject(site, fd, geometry, edges, false);
    writeStateHeader(object.memory);
    return object;
  });
}

/** The last steps of creation. @throws NARU_EXISTS  somebody laid a file of that name there meanwhile */
export function publish(site: Site, { memory }: StateObject, edges: StateEdges): void {
  const draft = draftOf(site);
  Atomics.store(memory.words, headerWord(STATE_HEADER.ready), READY);
  edges.failpoint('create:ready');
  try {
    fs.linkSync(draft, site.ring);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw ioError(site, error, 'naming', site.ring);
    throw new NaruError('NARU_EXISTS', `${site.ring} is there already, made by somebody else`, {
      place: site.place,
    });
  }
  edges.failpoint('create:named');
  fs.unlinkSync(draft);
  edges.failpoint('create:done');
}

/**
 * Opens and maps the object after every check.
 *
 * @returns undefined when there is none
 * @throws NARU_DENIED (somebody else's, links, open to others), NARU_CORRUPT, NARU_UNSUPPORTED, NARU_LIMIT
 */
export function openObject(
  site: Site,
  edges: Pick<StateEdges, 'native'>,
  readOnly = false,
): StateObject | undefined {
  const found = withObjectFile(
    site,
    readOnly,
    (words, size, path) => readStateHeader(words, size, { place: site.place, path }),
    (fd, geometry) => mapObject(site, fd, geometry, edges, readOnly),
  );
  if (found !== 'unfinished') return found === 'absent' ? undefined : found;
  throw new NaruError('NARU_CORRUPT', `${site.ring} is empty: it was truncated. Remove it with "naru rm".`, {
    place: site.place,
    mailbox: site.ring,
  });
}

function mapObject(
  site: Site,
  fd: number,
  geometry: StateGeometry,
  edges: Pick<StateEdges, 'native'>,
  readOnly: boolean,
): StateObject {
  return mapObjectFile<StateMemory>(
    site,
    fd,
    geometry,
    (buffer) => stateMemory(buffer, geometry),
    edges,
    readOnly,
  );
}
