// Where locks, semaphores and events of a Manager are opened: the places unix:// and tcp:// of sync/.

import type { SyncHooks, SyncPlace } from '../sync/driver.ts';
import type { SyncCapabilities } from '../sync/sync-capabilities.ts';
import type { SyncOptions } from '../sync/sync-options.ts';
import { PARAMETERS, readTarget } from './address.ts';
import { Handle } from './handle.ts';
import { checkOwner } from './owner.ts';
import type { Kind } from './protocol.ts';
import { tcpSync, unixSync } from './sync-capabilities.ts';
import { ManagerEvent, ManagerLock, ManagerSemaphore } from './sync-drivers.ts';

type Driver = ManagerLock | ManagerSemaphore | ManagerEvent;

async function open<D extends Driver>(kind: Kind, options: SyncOptions, driver: D): Promise<D> {
  const { url, create, count, bounded, signal, key } = options;
  const target = readTarget(url, key);
  const owner = checkOwner(options.owner, target.text);
  const handle = await Handle.open(
    target,
    { kind, create, owner, settings: { count, bounded } },
    signal,
    driver,
  );
  driver.begin(handle);
  return driver;
}

function placeOf(capabilities: SyncCapabilities): SyncPlace {
  return {
    capabilities,
    parameters: PARAMETERS,
    takesKey: true,
    openLock: (options, hooks: SyncHooks) => open('lock', options, new ManagerLock(hooks)),
    openSemaphore: (options, hooks) => open('semaphore', options, new ManagerSemaphore(hooks)),
    openEvent: (options, hooks) => open('event', options, new ManagerEvent(hooks)),
  };
}

export const unixSyncPlace: SyncPlace = placeOf(unixSync);
export const tcpSyncPlace: SyncPlace = placeOf(tcpSync);
