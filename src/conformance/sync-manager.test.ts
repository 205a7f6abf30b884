// Locks, semaphores and events in a Manager against the suite, over both kinds of sockets.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Manager } from '../manager/manager.ts';
import { tcpSync, unixSync } from '../manager/sync-capabilities.ts';
import { syncConformanceSuite } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'naru-conformance-'));
const key = 'a key for the conformance suite';
let unix: Manager;
let tcp: Manager;

beforeAll(async () => {
  unix = await Manager.start({ listen: `unix://${folder}/m.sock`, key });
  tcp = await Manager.start({ listen: 'tcp://127.0.0.1:0', key });
});

afterAll(async () => {
  await unix.stop();
  await tcp.stop();
  rmSync(folder, { recursive: true });
});

describe('unix://', () => {
  const suite = syncConformanceSuite({
    url: (name) => `${unix.url}?name=${name}`,
    capabilities: unixSync,
    open: { key },
  });
  for (const { name, run } of suite.cases) test(name, { timeout: 30_000 }, run);
});

describe('tcp://', () => {
  const suite = syncConformanceSuite({
    url: (name) => `${tcp.url}/${name}`,
    capabilities: tcpSync,
    open: { key },
  });
  for (const { name, run } of suite.cases) test(name, { timeout: 30_000 }, run);
});
