// What the state file of a place exports for maps, and what it is given: the seam between the registry, openMap() and the drivers.

import type { Owner } from '../mailbox/capabilities.ts';
import type { Create, Survives } from '../mailbox/options.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import type { MapCapabilities } from './map-capabilities.ts';
import type { MapDriver } from './map-driver.ts';

/** A map's options after URL and object were merged and checked. Undefined = not stated: a default, or what exists. */
export interface MapPlaceOptions {
  readonly create: Create | undefined;
  readonly owner: Owner | undefined;
  readonly survives: Survives | undefined;
  /** Room for all entries together, in bytes. */
  readonly capacityBytes: number | undefined;
  readonly maxEntries: number | undefined;
  readonly maxValueBytes: number | undefined;
  /** Of a Manager. */
  readonly key: string | undefined;
  /** Aborts opening. */
  readonly signal: AbortSignal;
}

/** The export `mapPlace` of a place's `state.ts`. */
export interface MapPlace {
  readonly capabilities: MapCapabilities;
  /** Names of URL parameters that only this place knows. */
  readonly parameters: readonly string[];
  /** The option `key` means something here; elsewhere it is refused. */
  readonly takesKey?: boolean;
  /** @throws NARU_UNSUPPORTED or NARU_INVALID_ARGUMENT for what makes no sense here, before anything is created */
  open(url: PlaceUrl, options: MapPlaceOptions): Promise<MapDriver>;
}
