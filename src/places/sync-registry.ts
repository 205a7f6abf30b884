// Which places have locks, semaphores and events, by a URL's scheme. Like registry.ts it loads a place when it is first opened, never before.

import type { SyncPlace } from '../sync/driver.ts';

/** Loads what a place has for synchronisation, by scheme. */
export const SYNC_PLACES: Readonly<Record<string, () => Promise<{ readonly syncPlace: SyncPlace }>>> = {
  shm: () => import('./shm/sync.ts'),
  // A Manager's.
  unix: async () => ({ syncPlace: (await import('../manager/sync.ts')).unixSyncPlace }),
  tcp: async () => ({ syncPlace: (await import('../manager/sync.ts')).tcpSyncPlace }),
};
