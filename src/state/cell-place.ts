// What the state file of a place exports for values and arrays, and what it is given.

import type { Owner } from '../mailbox/capabilities.ts';
import type { Create } from '../mailbox/options.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import type { CellDriver } from './cells.ts';
import type { Element } from './elements.ts';

/** Options of a value or an array after URL and object were merged and checked. */
export interface CellPlaceOptions {
  readonly type: 'value' | 'array';
  /** Undefined: whatever is there, which must be there then. */
  readonly element: Element | undefined;
  /** Elements of an array; undefined: as many as are there. */
  readonly length: number | undefined;
  readonly create: Create | undefined;
  readonly owner: Owner | undefined;
  /** Aborts opening. */
  readonly signal: AbortSignal;
}

/** The export `cellPlace` of a place's `state.ts`. */
export interface CellPlace {
  /** Names of URL parameters that only this place knows. */
  readonly parameters: readonly string[];
  /** @throws NARU_UNSUPPORTED or NARU_INVALID_ARGUMENT for what makes no sense here, before anything is created */
  open(url: PlaceUrl, options: CellPlaceOptions): Promise<CellDriver>;
}
