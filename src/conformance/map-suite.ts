// The conformance suite of maps: its rules, and its entries for a test runner and without one.

import {
  type FeatureCase,
  type FeatureReport,
  type FeatureSuite,
  makeSuite,
  runSuite,
} from './feature-suite.ts';
import { conditions } from './map-cases/conditions.ts';
import { features } from './map-cases/features.ts';
import { handles } from './map-cases/handles.ts';
import { values } from './map-cases/values.ts';
import type { MapRule } from './map-rule.ts';
import { type MapConformanceOptions, MapTrial } from './map-trial.ts';

const RULES: readonly MapRule[] = [...values, ...conditions, ...features, ...handles];

/** One rule about maps, ready for any test runner. */
export type MapConformanceCase = FeatureCase;

/** The cases of one place's maps. */
export type MapConformanceSuite = FeatureSuite;

/** The outcome of a run. */
export type MapConformanceReport = FeatureReport;

/** Every rule about maps, in the order of a run. */
export function listMapRules(): readonly Pick<MapRule, 'id' | 'text' | 'covers' | 'needs' | 'without'>[] {
  return RULES;
}

/**
 * Makes the cases of a place's maps for a test runner; `runMapConformance()` runs them without one.
 * @throws Error  a skip without a reason or of an unknown rule, or `only` that names nothing
 */
export function mapConformanceSuite(options: MapConformanceOptions): MapConformanceSuite {
  return makeSuite('maps', RULES, options, (name) => new MapTrial(options, name));
}

/** Runs every rule that applies, one after the other. @throws Error  the options are wrong */
export function runMapConformance(options: MapConformanceOptions): Promise<MapConformanceReport> {
  return runSuite(mapConformanceSuite(options));
}
