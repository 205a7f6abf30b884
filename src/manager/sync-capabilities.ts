// What locks, semaphores and events of a Manager can do. Read by the models and by conformance; say it only here.

import type { SyncCapabilities } from '../sync/sync-capabilities.ts';

export const unixSync: SyncCapabilities = {
  scheme: 'unix',
  summary: 'in a Manager on this machine; first come, first served',
  features: { immediate: 'none', blocking: 'none', crossProcess: 'native', crossHost: 'none' },
};

export const tcpSync: SyncCapabilities = {
  scheme: 'tcp',
  summary: 'in a Manager over the network; first come, first served',
  features: { immediate: 'none', blocking: 'none', crossProcess: 'native', crossHost: 'native' },
};
