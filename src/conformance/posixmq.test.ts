// posixmq:// against the suite, raw and with envelopes. Nothing may be left in the kernel: the last test looks.

import { afterAll, expect, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { PosixQueue } from '../kernel/index.ts';
import type { Capabilities } from '../mailbox/capabilities.ts';
import { nativeProblem, tryNative } from '../native/index.ts';
import { posixmq, posixmqRaw } from '../places/posixmq/capabilities.ts';
import { type ConformanceSuite, conformanceSuite } from './index.ts';
import { EMULATED, ENVELOPE_SKIPS, QUEUE_SKIPS } from './kernel-queues.fixture.ts';

const UNLINKED = 'mq_unlink(3) takes the name away; who has the queue open goes on with it';
const SMALL = 'it sends more before anybody receives than fs.mqueue.msg_max (10) lets a queue hold';
const hasAddon = tryNative() !== undefined;
const made = new Set<string>();

/** @returns whether it was there */
function remove(name: string): boolean {
  try {
    PosixQueue.unlink(name);
    return true;
  } catch (error) {
    if (!isNaruError(error, 'NARU_NOT_FOUND')) throw error;
    return false;
  }
}

function suiteOf(capabilities: Capabilities, emulated?: typeof EMULATED): ConformanceSuite {
  return conformanceSuite({
    ...emulated,
    url: (name) => `posixmq://${name}?format=${capabilities.mode}`,
    capabilities,
    small: { capacityMessages: 10 },
    cleanup(urls) {
      for (const url of urls) {
        const name = `/${/^posixmq:\/\/([^?]+)/.exec(url)?.[1] ?? ''}`;
        made.add(name);
        remove(name);
      }
    },
    skip: [
      ...QUEUE_SKIPS,
      ...(capabilities.mode === 'envelope' ? ENVELOPE_SKIPS : []),
      ...['order.1', 'format.7', 'sendmany.3', 'exit.5', 'death.5'].map((rule) => ({ rule, reason: SMALL })),
      { rule: 'life.4', reason: 'a POSIX queue has no capacity in bytes' },
      { rule: 'life.9', reason: UNLINKED },
      { rule: 'life.18', reason: UNLINKED },
    ],
  });
}

const suites = [suiteOf(posixmqRaw), suiteOf(posixmq), suiteOf(posixmq, EMULATED)];
for (const { cases } of suites) {
  for (const { name, skip, run } of cases) test.skipIf(skip !== undefined || !hasAddon)(name, run);
}

test.skipIf(!hasAddon)(`no queue is left in the kernel (${nativeProblem() ?? 'addon loaded'})`, () => {
  expect([...made].filter(remove)).toEqual([]);
});

afterAll(() => Promise.all(suites.map((suite) => suite.close())));
