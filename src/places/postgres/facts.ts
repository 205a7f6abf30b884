// What a handle of postgres:// is told about its mailbox.

import type { Driver } from '../../mailbox/driver.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { postgres } from './capabilities.ts';
import { addressOf } from './client.ts';
import type { FoundBox } from './mailbox-tables.ts';

export function factsOf(url: PlaceUrl, { settings, created }: FoundBox): Driver['facts'] {
  return {
    capabilities: postgres,
    offered: 'accepted',
    maxMessageBytes: settings.maxMessageBytes,
    identity: newHandleIdentity(),
    address: addressOf(url, 'mailbox', settings.name),
    deliver: 'one',
    created,
  };
}
