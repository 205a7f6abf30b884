// Values, arrays and maps of shm://name: where their files are. Everything else is mapped-state/.

import { join } from 'node:path';
import { NaruError } from '../../errors/index.ts';
import type { Create } from '../../mailbox/options.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import { defaultEdges } from '../../mapped-ring/edges.ts';
import { errnoOf } from '../../mapped-ring/io-error.ts';
import { checkedFolder, makeFolder, removeIfEmpty } from '../../mapped-ring/own-folder.ts';
import type { StateEdges } from '../../mapped-state/edges.ts';
import { openCells, openMappedMap, type StateTarget } from '../../mapped-state/open.ts';
import type { CellPlace, CellPlaceOptions } from '../../state/cell-place.ts';
import type { CellDriver } from '../../state/cells.ts';
import type { MapDriver } from '../../state/map-driver.ts';
import type { MapPlace, MapPlaceOptions } from '../../state/map-place.ts';
import { addressOf, GROUP_PARAMETER } from './address.ts';
import { shmMap } from './map-capabilities.ts';
import { groupOf } from './options.ts';
import { ensureRuntimeFolder, existingRuntimeFolder } from './runtime-folder.ts';
import { sweepStates } from './state-leftovers.ts';
import { STATE_FOLDER, stateSiteOf } from './state-site.ts';

const SCHEME = 'shm://';
/** How many other objects a creation looks at, for what the dead left. */
const SWEEP_MAX = 8;
const ATTEMPTS_MAX = 20;

export const mapPlace: MapPlace = {
  capabilities: shmMap,
  parameters: [GROUP_PARAMETER],
  open: (url, options) => openShmMap(url, options, defaultEdges(SCHEME)),
};

export const cellPlace: CellPlace = {
  parameters: [GROUP_PARAMETER],
  open: (url, options) => openShmCells(url, options, defaultEdges(SCHEME)),
};

/** Opens a map. Tests give edges of their own. */
export function openShmMap(url: PlaceUrl, options: MapPlaceOptions, edges: StateEdges): Promise<MapDriver> {
  return openIn(url, options.create, (target) => openMappedMap(target, options, shmMap, edges));
}

/** Opens a value or an array. Tests give edges of their own. */
export function openShmCells(
  url: PlaceUrl,
  options: CellPlaceOptions,
  edges: StateEdges,
): Promise<CellDriver> {
  return openIn(url, options.create, (target) => openCells(target, options, edges));
}

/** Opens in the folder of values, arrays and maps. Whoever leaves it empty removes it, perhaps between our making it and using it. */
async function openIn<D extends { readonly facts: { readonly created: boolean } }>(
  url: PlaceUrl,
  create: Create | undefined,
  open: (target: StateTarget) => Promise<D>,
): Promise<D> {
  for (let attempts = 1; ; attempts += 1) {
    const target = targetOf(url, create !== 'never');
    try {
      const driver = await open(target);
      if (driver.facts.created) sweepStates(target.site, SWEEP_MAX);
      return driver;
    } catch (error) {
      const isFolderGone = errnoOf((error as Error).cause) === 'ENOENT' && create !== 'never';
      if (!isFolderGone || attempts === ATTEMPTS_MAX) throw error;
    }
  }
}

/** @param mayMake  make the folders that objects lie in when they are missing */
function targetOf(url: PlaceUrl, mayMake: boolean): StateTarget {
  const name = checkName(url.host, url.text);
  if (url.path !== '' || url.port !== undefined || url.username !== '' || name.startsWith('~'))
    throw new NaruError('NARU_INVALID_ARGUMENT', `${url.text}: it has a name only: shm://name`, {
      place: 'shm',
      mailbox: url.text,
    });
  const gid = groupOf(url);
  const runtime = mayMake ? ensureRuntimeFolder(gid) : existingRuntimeFolder(gid);
  const folder = join(runtime, STATE_FOLDER);
  const site = stateSiteOf(join(folder, name), gid);
  if (mayMake) makeFolder(site, folder, 'making the folder of values, arrays and maps');
  checkedFolder(site, folder, gid);
  return {
    site,
    text: url.text,
    address: addressOf(name, gid),
    defaultOwner: 'users',
    tidy: () => void removeIfEmpty(folder),
  };
}
