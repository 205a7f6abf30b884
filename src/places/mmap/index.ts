// mmap:///file: a mailbox that is a ring in a file of the user's choice, for processes and threads of one user on one machine. What
// is in it stays when all of them have ended. Joins the parts of this folder with mapped-ring/.

import type { DriverHooks } from '../../mailbox/driver.ts';
import type { WaitOptions } from '../../mailbox/options.ts';
import type { Place } from '../../mailbox/place.ts';
import { attach } from '../../mapped-ring/attach.ts';
import { RingDriver } from '../../mapped-ring/driver.ts';
import { defaultEdges, type RingEdges } from '../../mapped-ring/edges.ts';
import { mmap } from './capabilities.ts';
import { checkFile, siteOf } from './file.ts';
import { addressOf, type MmapOptions, resolveOptions } from './options.ts';

export {
  findMappedState,
  type ListedFile,
  type ListedStateFile,
  listMapped,
  listMappedStates,
  removeMapped,
} from './listing.ts';

export const place: Place = {
  modes: [mmap],
  parameters: [],
  check(url, options) {
    resolveOptions(url, options);
  },
  open: (url, options, context) =>
    openMmap(
      resolveOptions(url, options),
      options.wait,
      options.signal,
      context.hooks,
      defaultEdges('mmap://'),
    ),
};

/** Opens a mailbox. Tests give edges of their own. */
export async function openMmap(
  options: MmapOptions,
  wait: WaitOptions,
  signal: AbortSignal | undefined,
  hooks: DriverHooks,
  edges: RingEdges,
): Promise<RingDriver> {
  const site = siteOf(options.path);
  checkFile(site, options.text);
  const attached = await attach(options, site, wait, signal, edges);
  return new RingDriver(attached, options, { capabilities: mmap, address: addressOf(options.path) }, hooks);
}
