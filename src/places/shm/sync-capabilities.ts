// What locks, semaphores and events of shm:// can do. Read by the models and by conformance; say it only here.

import { IN_MEMORY, type SyncCapabilities } from '../../sync/sync-capabilities.ts';

export const shmSyncCapabilities: SyncCapabilities = {
  scheme: 'shm',
  summary:
    'processes and threads of one user, or of a group, on one machine; uncontended use makes no system call',
  features: IN_MEMORY,
};
