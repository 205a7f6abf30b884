// Which places have shared maps, values and arrays, by a URL's scheme. Like registry.ts it loads a place when it is first opened, never before.

import type { CellPlace } from '../state/cell-place.ts';
import type { MapPlace } from '../state/map-place.ts';
import type { openManagerCells } from '../manager/cells.ts';
import type { ManagerList, openListHandle } from '../manager/list.ts';
import type { tcpMap, unixMap } from '../manager/map-capabilities.ts';
import type { memcachedMap } from './memcached/map-capabilities.ts';
import type { memoryMap } from './memory/map-capabilities.ts';
import type { mmapMap } from './mmap/map-capabilities.ts';
import type { shmMap } from './shm/map-capabilities.ts';
import type { postgresMap } from './postgres/map-capabilities.ts';
import type { redisMap } from './redis/map-capabilities.ts';
import type { sqliteMap } from './sqlite/map-capabilities.ts';

/** Loads what a place has for maps, by scheme. */
export const MAP_PLACES: Readonly<Record<string, () => Promise<{ readonly mapPlace: MapPlace }>>> = {
  memory: () => import('./memory/state.ts'),
  shm: () => import('./shm/state.ts'),
  mmap: () => import('./mmap/state.ts'),
  sqlite: () => import('./sqlite/state.ts'),
  postgres: () => import('./postgres/state.ts'),
  redis: () => import('./redis/state.ts'),
  // The same over TLS.
  rediss: () => import('./redis/state.ts'),
  memcached: () => import('./memcached/state.ts'),
  // Without a name they are mailboxes; with one, a Manager's.
  unix: async () => ({ mapPlace: (await import('../manager/map-driver.ts')).unixMapPlace }),
  tcp: async () => ({ mapPlace: (await import('../manager/map-driver.ts')).tcpMapPlace }),
};

/** The same for values and arrays. */
export const CELL_PLACES: Readonly<Record<string, () => Promise<{ readonly cellPlace: CellPlace }>>> = {
  shm: () => import('./shm/state.ts'),
  mmap: () => import('./mmap/state.ts'),
};

interface FarCells {
  readonly openManagerCells: typeof openManagerCells;
}

/** Values and arrays that are reached over a connection: each operation of theirs gives a promise. */
export const FAR_CELLS: Readonly<Record<string, () => Promise<FarCells>>> = {
  unix: () => import('../manager/cells.ts'),
  tcp: () => import('../manager/cells.ts'),
};

interface Lists {
  readonly ManagerList: typeof ManagerList;
  readonly openListHandle: typeof openListHandle;
  readonly PARAMETERS: readonly string[];
}

/** Loads what a place has for lists, by scheme. */
export const LIST_PLACES: Readonly<Record<string, () => Promise<Lists>>> = {
  unix: () => import('../manager/list.ts'),
  tcp: () => import('../manager/list.ts'),
};

/** The same at type level: capabilities by scheme, from which a literal URL gets its methods. */
export interface MapPlaceTypes {
  memory: typeof memoryMap;
  shm: typeof shmMap;
  mmap: typeof mmapMap;
  sqlite: typeof sqliteMap;
  postgres: typeof postgresMap;
  redis: typeof redisMap;
  rediss: typeof redisMap;
  memcached: typeof memcachedMap;
  unix: typeof unixMap;
  tcp: typeof tcpMap;
}
