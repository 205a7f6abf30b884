// What a handle of sqlite:/// is told about its mailbox.

import type { Driver } from '../../mailbox/driver.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { sqlite } from './capabilities.ts';
import type { FoundBox } from './mailbox-tables.ts';

export function factsOf(
  url: PlaceUrl,
  path: string,
  { settings, created }: FoundBox,
  { survives }: PlaceOptions,
): Driver['facts'] {
  const busy = url.extra['busyTimeoutMs'];
  return {
    capabilities: survives === 'process' ? { ...sqlite, confirm: 'placed' } : sqlite,
    offered: 'accepted',
    maxMessageBytes: settings.maxMessageBytes,
    identity: newHandleIdentity(),
    address: `sqlite://${encodeURI(path)}?mailbox=${settings.name}${busy === undefined ? '' : `&busyTimeoutMs=${busy}`}`,
    deliver: 'one',
    created,
  };
}
