// What a rule about locks, semaphores and events is: one sentence that can be tested, when it applies, and the case that tests it.

import type { SyncFeature } from '../sync/sync-capabilities.ts';
import type { FeatureRule } from './feature-suite.ts';
import type { SyncTrial } from './sync-trial.ts';

/** The numbered rules of src/sync/driver.ts. */
export type SyncDriverRule = `S${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8}`;

/** A rule and its case. */
export interface SyncRule extends FeatureRule<SyncTrial, SyncFeature> {
  /** Rules of the driver's contract that the case tests, wholly or in part. */
  readonly covers?: readonly SyncDriverRule[];
}
