// Values, arrays and maps of mmap:///file: where their files are. Everything else is mapped-state/.

import { NaruError } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import { defaultEdges } from '../../mapped-ring/edges.ts';
import { openCells, openMappedMap, type StateTarget } from '../../mapped-state/open.ts';
import type { CellPlace } from '../../state/cell-place.ts';
import type { MapPlace } from '../../state/map-place.ts';
import { checkFolder, siteOf } from './file.ts';
import { mmapMap } from './map-capabilities.ts';
import { addressOf, pathOf } from './options.ts';

const SCHEME = 'mmap://';

export const mapPlace: MapPlace = {
  capabilities: mmapMap,
  parameters: [],
  open: async (url, options) =>
    openMappedMap(targetOf(url, options.owner), options, mmapMap, defaultEdges(SCHEME)),
};

export const cellPlace: CellPlace = {
  parameters: [],
  open: async (url, options) => openCells(targetOf(url, options.owner), options, defaultEdges(SCHEME)),
};

function targetOf(url: PlaceUrl, owner: string | undefined): StateTarget {
  if (owner !== undefined && owner !== 'system')
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${url.text}: a file stays until unlink() or "naru rm"; leave owner out, or use shm:// for what goes with its users`,
      { place: 'mmap', mailbox: url.text },
    );
  const path = pathOf(url);
  const site = siteOf(path);
  checkFolder(site, url.text);
  return { site, text: url.text, address: addressOf(path), defaultOwner: 'system' };
}
