// Mailboxes in a Manager against the suite, over both kinds of sockets.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Manager } from '../manager/manager.ts';
import { tcp } from '../places/tcp/capabilities.ts';
import { unix } from '../places/unix/capabilities.ts';
import { conformanceSuite } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'naru-conformance-'));
const key = 'a key for the conformance suite';
let onUnix: Manager;
let onTcp: Manager;

beforeAll(async () => {
  onUnix = await Manager.start({ listen: `unix://${folder}/m.sock`, key });
  onTcp = await Manager.start({ listen: 'tcp://127.0.0.1:0', key });
});

afterAll(async () => {
  await onUnix.stop();
  await onTcp.stop();
  rmSync(folder, { recursive: true });
});

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
const SHAPES = ['process', 'child'] as const;

describe('unix://', () => {
  const suite = conformanceSuite({
    url: (name) => `${onUnix.url}?name=${name}`,
    capabilities: { ...unix, owner: 'system' },
    open: { key },
    skip: SKIP,
    shapes: SHAPES,
  });
  for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);
  afterAll(() => suite.close());
});

describe('tcp://', () => {
  const suite = conformanceSuite({
    url: (name) => `${onTcp.url}/${name}`,
    capabilities: { ...tcp, owner: 'system' },
    open: { key },
    skip: SKIP,
    shapes: ['process'],
  });
  for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);
  afterAll(() => suite.close());
});
