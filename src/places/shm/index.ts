// shm://name: a mailbox in shared memory, for processes and threads of one user, or of a group of users, on one machine. Joins
// the parts of this folder.

import { join } from 'node:path';
import type { DriverHooks } from '../../mailbox/driver.ts';
import type { WaitOptions } from '../../mailbox/options.ts';
import type { Place } from '../../mailbox/place.ts';
import { attach } from '../../mapped-ring/attach.ts';
import { type PlaceFacts, RingDriver } from '../../mapped-ring/driver.ts';
import { defaultEdges, type RingEdges } from '../../mapped-ring/edges.ts';
import type { Gid } from '../../mapped-ring/site.ts';
import { LANE_BYTES_DEFAULT, MESSAGE_SHARE } from '../../ring/layout.ts';
import { addressOf, GROUP_PARAMETER } from './address.ts';
import { shm } from './capabilities.ts';
import { findGroup } from './group.ts';
import { sweepSome } from './leftovers.ts';
import { checkOptions, resolveOptions, type ShmOptions } from './options.ts';
import { openReplies, type PortOpener } from './replies.ts';
import { ensureRuntimeFolder, existingRuntimeFolder, siteOf } from './runtime-folder.ts';

export {
  cleanLeftovers,
  type ListedMailbox,
  type ListedParticipant,
  type ListedSharedSync,
  listMailboxes,
  listSyncs,
  removeMailbox,
} from './leftovers.ts';
export { type GroupFolder, groupFolders, mailboxFolders, runtimeFolder } from './runtime-folder.ts';

/** How many other mailboxes a creation looks at, for what the dead left. */
const SWEEP_MAX = 8;

/**
 * The folder of the mailboxes of a group, for the functions above.
 *
 * @param accessGroup  as in a URL: a name from the group database, or a gid as digits
 * @throws NARU_INVALID_ARGUMENT (no such group), NARU_DENIED (not in the group; somebody else's folder is in its place)
 */
export function groupFolder(accessGroup: string): string {
  return existingRuntimeFolder(findGroup(accessGroup, `${GROUP_PARAMETER} "${accessGroup}"`));
}

export const place: Place = {
  modes: [shm],
  parameters: [GROUP_PARAMETER],
  check: checkOptions,
  open: (url, options, context) =>
    openShm(
      resolveOptions(url, options),
      options.wait,
      options.signal,
      context.hooks,
      defaultEdges('shm://'),
    ),
};

/** Opens a mailbox. Tests give edges of their own. */
export async function openShm(
  options: ShmOptions,
  wait: WaitOptions,
  signal: AbortSignal | undefined,
  hooks: DriverHooks,
  edges: RingEdges,
): Promise<RingDriver> {
  const { gid, name, create } = options;
  const folder = create === 'never' ? existingRuntimeFolder(gid) : ensureRuntimeFolder(gid);
  const attached = await attach(options, siteOf(join(folder, name), gid), wait, signal, edges);
  if (attached.created) sweepSome(folder, gid, name, SWEEP_MAX, edges);
  const openPort: PortOpener = (port, how, portHooks) =>
    openShm(portOptions(port, gid, how), wait, undefined, portHooks, edges);
  const facts: PlaceFacts = {
    capabilities: shm,
    address: addressOf(name, gid),
    openReplies: (own, identity) => openReplies(openPort, own, identity, gid),
  };
  return new RingDriver(attached, options, facts, hooks);
}

function portOptions(name: string, gid: Gid, create: 'new' | 'never'): ShmOptions {
  return {
    name,
    gid,
    text: addressOf(name, gid),
    create,
    isOwned: true,
    isBackground: true,
    from: 'now',
    stated: {},
    shape: {
      relation: 'N:1',
      deliver: 'one',
      lossy: false,
      levels: 1,
      retain: 0,
      owner: 'process',
      laneBytes: LANE_BYTES_DEFAULT,
      slotBytes: 0,
      maxMessageBytes: LANE_BYTES_DEFAULT / MESSAGE_SHARE,
    },
  };
}
