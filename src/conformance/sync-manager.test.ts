// Locks, semaphores and events in a Manager against the suite, over both kinds of sockets.

import { tcpSync, unixSync } from '../manager/sync-capabilities.ts';
import { syncConformanceSuite } from './index.ts';
import { overManagers } from './managers.fixture.ts';

const CAPABILITIES = { unix: unixSync, tcp: tcpSync };

overManagers((kind, site) => syncConformanceSuite({ ...site, capabilities: CAPABILITIES[kind] }));
