// Which places have shared maps, by a URL's scheme. Like registry.ts it loads a place when it is first opened, never before.

import type { MapPlace } from '../state/map-place.ts';
import type { memoryMap } from './memory/map-capabilities.ts';

/** Loads what a place has for maps, by scheme. */
export const MAP_PLACES: Readonly<Record<string, () => Promise<{ readonly mapPlace: MapPlace }>>> = {
  memory: () => import('./memory/state.ts'),
};

/** The same at type level: capabilities by scheme, from which a literal URL gets its methods. */
export interface MapPlaceTypes {
  memory: typeof memoryMap;
}
