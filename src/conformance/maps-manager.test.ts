// Maps in a Manager against the suite, over both kinds of sockets.

import { tcpMap, unixMap } from '../manager/map-capabilities.ts';
import { mapConformanceSuite } from './index.ts';
import { overManagers } from './managers.fixture.ts';

const CAPABILITIES = { unix: unixMap, tcp: tcpMap };

overManagers((kind, site) => mapConformanceSuite({ ...site, capabilities: CAPABILITIES[kind] }));
