// What a rule about maps is: one sentence that can be tested, when it applies, and the case that tests it.

import type { MapCapabilities, MapFeature } from '../state/map-capabilities.ts';
import type { MapTrial } from './map-trial.ts';

/** The numbered rules of src/state/map-driver.ts. */
export type MapDriverRule = `M${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10}`;

/** A rule and its case. */
export interface MapRule {
  /** `<subject>.<number>`; stable, so that skips and reports can name it. */
  readonly id: string;
  /** One sentence in the present tense that is true or false of a place's maps. */
  readonly text: string;
  /** Rules of the driver's contract that the case tests, wholly or in part. */
  readonly covers?: readonly MapDriverRule[];
  /** Features that must be native for the rule to apply. */
  readonly needs?: readonly MapFeature[];
  /** A feature that must be `none` for the rule to apply: it says how the place must refuse. */
  readonly without?: MapFeature;
  readonly run: (t: MapTrial) => Promise<void>;
}

/** @returns why a rule does not apply to a place's maps; undefined when it does */
export function mapInapplicable(rule: MapRule, { scheme, features }: MapCapabilities): string | undefined {
  const missing = (rule.needs ?? []).filter((feature) => features[feature] !== 'native');
  if (missing.length > 0) return `maps of ${scheme}:// do not have ${missing.join(', ')}`;
  if (rule.without !== undefined && features[rule.without] !== 'none')
    return `maps of ${scheme}:// have ${rule.without}`;
  return undefined;
}
