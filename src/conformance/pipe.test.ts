// pipe:// against the suite, raw and with envelopes: both ends of one pipe in this process. Other processes get theirs when they are
// started, not by an address; places/pipe/pipe.test.ts has those.

import { fstatSync, readdirSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { Capabilities } from '../mailbox/capabilities.ts';
import type { OpenOptions } from '../mailbox/options.ts';
import { nativeProblem, tryNative } from '../native/index.ts';
import { pipe, pipeRaw } from '../places/pipe/capabilities.ts';
import { type ConformanceSuite, conformanceSuite } from './index.ts';
import { PIPE_SKIPS, SEVERAL_RAW_SKIPS } from './pipes.fixture.ts';

const NAMELESS = 'a pipe has no name that could be removed or opened again: it is gone with its last end';
const READ = 'this process has the end that reads open from the beginning: somebody is always there';
const addon = tryNative();
const descriptors = (): number => readdirSync('/proc/self/fd').length;
const before = addon === undefined ? 0 : descriptors();
/** Several producers, and a frame that takes four bytes of what stays together then. */
const severalRaw: Capabilities = { ...pipeRaw, limits: { ...pipeRaw.limits, maxMessageBytes: 4_092 } };

/** Inodes of the pipes that were made for a case, by descriptor. */
const made = new Map<number, number>();

function inodeOf(fd: number): number {
  try {
    return fstatSync(fd).ino;
  } catch {
    return 0;
  }
}

function suiteOf(capabilities: Capabilities, open: Pick<OpenOptions, 'relation'>): ConformanceSuite {
  return conformanceSuite({
    url() {
      const ends = addon?.makePipe(false, false) ?? [0, 0];
      for (const fd of ends) made.set(fd, inodeOf(fd));
      const query = capabilities.mode === 'raw' ? 'frame=length' : 'format=envelope';
      return `pipe://fd/${ends.join('/')}?${query}`;
    },
    // What a case did not open nobody closes but us.
    cleanup(urls) {
      for (const url of urls) {
        for (const fd of url.match(/\d+/g)?.map(Number) ?? []) {
          if (made.get(fd) === inodeOf(fd)) addon?.closeDescriptor(fd);
          made.delete(fd);
        }
      }
    },
    capabilities,
    open,
    small: { capacityBytes: 65_536 },
    skip: [
      ...PIPE_SKIPS,
      ...(capabilities.mode === 'raw' ? SEVERAL_RAW_SKIPS : []),
      ...['life.9', 'life.10', 'life.18'].map((rule) => ({ rule, reason: NAMELESS })),
      ...['nobody.2', 'nobody.3', 'nobody.4', 'nobody.6'].map((rule) => ({ rule, reason: READ })),
    ],
  });
}

const suites = [suiteOf(severalRaw, { relation: 'N:1' }), suiteOf(pipe, {})];
for (const { cases } of suites) {
  for (const { name, skip, run } of cases) test.skipIf(skip !== undefined || addon === undefined)(name, run);
}

test.skipIf(addon === undefined)(`no descriptor is left (${nativeProblem() ?? 'addon loaded'})`, async () => {
  await Promise.all(suites.map((suite) => suite.close()));
  expect(descriptors() - before).toBeLessThan(20);
});

afterAll(() => Promise.all(suites.map((suite) => suite.close())));
