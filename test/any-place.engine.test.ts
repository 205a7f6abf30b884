// Example 25 over the engines that run: one and the same program, and only its URLs differ.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { allCapabilities } from 'naru';

const PROGRAM = fileURLToPath(new URL('../examples/25-any-place.js', import.meta.url));
const name = `ferry-${process.pid}-${randomBytes(4).toString('hex')}`;

/** How a mailbox of each engine is named, and how far its messages get. */
const ENGINES: readonly (readonly [string, string, string])[] = [
  ['NARU_TEST_POSTGRES', `?mailbox=${name}`, 'durable'],
  ['NARU_TEST_REDIS', `?mailbox=${name}`, 'placed'],
  ['NARU_TEST_KAFKA', `?topic=${name}&create=if-missing`, 'placed'],
  ['NARU_TEST_RABBITMQ', `?queue=${name}`, 'placed'],
  ['NARU_TEST_ACTIVEMQ', `?queue=${name}`, 'placed'],
];

test.each(ENGINES)(
  'one program crosses %s by its URL alone',
  { timeout: 60_000 },
  async (variable, query, reached) => {
    const url = process.env[variable];
    const schemes = (await allCapabilities()).map(({ scheme }) => scheme);
    const scheme = url?.slice(0, url.indexOf(':')) ?? '';
    if (url === undefined || !schemes.includes(scheme)) return;
    const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, `${url}${query}`]);
    expect(stdout).toBe(`${scheme}: Ara, Bora, Chan (${reached})\n`);
  },
);
