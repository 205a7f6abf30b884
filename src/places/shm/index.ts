// shm://name: a mailbox in shared memory, for processes and threads of one user on one machine. Joins the parts of this folder.

import type { DriverHooks } from '../../mailbox/driver.ts';
import type { WaitOptions } from '../../mailbox/options.ts';
import type { Place } from '../../mailbox/place.ts';
import { LANE_BYTES_DEFAULT, MESSAGE_SHARE } from '../../ring/layout.ts';
import { attach } from './attach.ts';
import { shm } from './capabilities.ts';
import { ShmDriver } from './driver.ts';
import { defaultEdges, type ShmEdges } from './edges.ts';
import { runtimeFolder } from './folder.ts';
import { sweepSome } from './leftovers.ts';
import { checkOptions, resolveOptions, type ShmOptions } from './options.ts';
import { openReplies, type PortOpener } from './replies.ts';

export {
  cleanLeftovers,
  type ListedMailbox,
  type ListedParticipant,
  listMailboxes,
  removeMailbox,
} from './leftovers.ts';
export { runtimeFolder } from './folder.ts';

/** How many other mailboxes a creation looks at, for what the dead left. */
const SWEEP_MAX = 8;

export const place: Place = {
  modes: [shm],
  parameters: [],
  check: checkOptions,
  open: (url, options, context) =>
    openShm(resolveOptions(url, options), options.wait, options.signal, context.hooks, defaultEdges()),
};

/** Opens a mailbox. Tests give edges of their own. */
export async function openShm(
  options: ShmOptions,
  wait: WaitOptions,
  signal: AbortSignal | undefined,
  hooks: DriverHooks,
  edges: ShmEdges,
): Promise<ShmDriver> {
  const attached = await attach(options, wait, signal, edges);
  if (attached.created) sweepSome(runtimeFolder(), options.name, SWEEP_MAX, edges);
  const openPort: PortOpener = (name, create, portHooks) =>
    openShm(portOptions(name, create), wait, undefined, portHooks, edges);
  return new ShmDriver(attached, options, hooks, (own, identity) => openReplies(openPort, own, identity));
}

function portOptions(name: string, create: 'new' | 'never'): ShmOptions {
  return {
    name,
    text: `shm://${name}`,
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
