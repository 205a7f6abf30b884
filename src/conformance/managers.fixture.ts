// What the suites over a Manager share: one on each kind of socket, and a group of tests for each.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Manager } from '../manager/manager.ts';

/** How a suite reaches its objects. */
interface ManagerSite {
  readonly url: (name: string) => string;
  readonly open: { readonly key: string };
}

/** A suite of mailboxes, maps or synchronisation. */
interface Suite {
  readonly cases: readonly {
    readonly name: string;
    readonly skip?: unknown;
    readonly run: () => Promise<void>;
  }[];
  close?(): unknown;
}

/** Runs a suite over unix:// and tcp://. @param suiteOf  the suite over one of them */
export function overManagers(suiteOf: (kind: 'unix' | 'tcp', site: ManagerSite) => Suite): void {
  const folder = mkdtempSync(join(tmpdir(), 'naru-conformance-'));
  const open = { key: 'a key for the conformance suite' };
  let unix: Manager;
  let tcp: Manager;

  beforeAll(async () => {
    unix = await Manager.start({ listen: `unix://${folder}/m.sock`, ...open });
    tcp = await Manager.start({ listen: 'tcp://127.0.0.1:0', ...open });
  });

  afterAll(async () => {
    await unix.stop();
    await tcp.stop();
    rmSync(folder, { recursive: true });
  });

  const sites = {
    unix: (name: string) => `${unix.url}?name=${name}`,
    tcp: (name: string) => `${tcp.url}/${name}`,
  };
  for (const kind of ['unix', 'tcp'] as const) {
    describe(`${kind}://`, () => {
      const suite = suiteOf(kind, { url: sites[kind], open });
      for (const { name, skip, run } of suite.cases)
        test.skipIf(skip !== undefined)(name, { timeout: 90_000 }, run);
      afterAll(() => suite.close?.());
    });
  }
}
