// What a rule about maps is: one sentence that can be tested, when it applies, and the case that tests it.

import type { MapFeature } from '../state/map-capabilities.ts';
import type { FeatureRule } from './feature-suite.ts';
import type { MapTrial } from './map-trial.ts';

/** The numbered rules of src/state/map-driver.ts. */
export type MapDriverRule = `M${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10}`;

/** A rule and its case. */
export interface MapRule extends FeatureRule<MapTrial, MapFeature> {
  /** Rules of the driver's contract that the case tests, wholly or in part. */
  readonly covers?: readonly MapDriverRule[];
}
