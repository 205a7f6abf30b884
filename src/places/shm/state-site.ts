// Where the files of a value, an array or a map of shm:// are.

import { join } from 'node:path';
import type { Gid, Site } from '../../mapped-ring/site.ts';
import { siteOf } from './runtime-folder.ts';

/** In the runtime folder; no mailbox can have this name. */
export const STATE_FOLDER = '+state';
const OBJECT_FILE = 'object';

/** The files of the object whose folder this is. */
export function stateSiteOf(folder: string, gid: Gid): Site {
  return { ...siteOf(folder, gid), ring: join(folder, OBJECT_FILE) };
}
