// Mailboxes in a Manager against the suite, over both kinds of sockets.

import { tcp } from '../places/tcp/capabilities.ts';
import { unix } from '../places/unix/capabilities.ts';
import { conformanceSuite } from './index.ts';
import { overManagers } from './managers.fixture.ts';

// Each handle is at the other end of a connection, the first one too: of unix:// and tcp:// the first is the host itself.
const SKIP = [
  { rule: 'death.9', reason: 'an object of a Manager is never its creator’s: owner "process" is refused' },
  { rule: 'abort.4', reason: 'a send that gives up may have gone in already: decision 0015' },
  {
    rule: 'sendmany.3',
    reason: 'what was sent and not confirmed yet when an element is refused is "unknown"',
  },
  { rule: 'life.18', reason: 'a send under way when the mailbox is removed is NARU_OUTCOME_UNKNOWN' },
];
const CAPABILITIES = { unix, tcp };
const SHAPES = { unix: ['process', 'child'], tcp: ['process'] } as const;

overManagers((kind, site) =>
  conformanceSuite({
    ...site,
    capabilities: { ...CAPABILITIES[kind], owner: 'system' },
    skip: SKIP,
    shapes: SHAPES[kind],
  }),
);
