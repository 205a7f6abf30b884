// What a place can do for locks, semaphores and events: one object per place, read by the models, by the conformance suite and by the docs.
// Names no place.

import type { Level } from '../mailbox/capabilities.ts';

/** Every feature that a place can have, with the sentence that the docs show. */
export const SYNC_FEATURES = {
  immediate: 'tryAcquire(), tryWait(), holder, value and isSet answer at once what is so',
  blocking: 'acquireSync() and waitSync() block the thread',
  crossProcess: 'other processes of this machine reach it',
  crossHost: 'other machines reach it',
} as const;

/** The name of a feature of locks, semaphores and events. */
export type SyncFeature = keyof typeof SYNC_FEATURES;

export type SyncFeatures = Readonly<Record<SyncFeature, Level>>;

/** Everything a place says of its locks, semaphores and events. Waiting with a limit, guards, and being told of a death every place has. */
export interface SyncCapabilities {
  /** URL scheme. */
  readonly scheme: string;
  /** One sentence for the tables. */
  readonly summary: string;
  readonly features: SyncFeatures;
}

/** Of a lock that stands beside something in memory of this machine. */
export const IN_MEMORY: SyncFeatures = {
  immediate: 'native',
  blocking: 'native',
  crossProcess: 'native',
  crossHost: 'none',
};
