// naru inspect, peek, purge and rm on a mailbox that lies in an engine: the same for every one of them.

import { expect } from 'vitest';
import type { Sandbox } from './command.fixture.ts';

/** @param url  of a mailbox that is not there yet, and may be shown: without a password */
export async function looksThrough(sandbox: Sandbox, url: string, place: string): Promise<void> {
  const run = async (...args: readonly string[]): Promise<[code: number | null, out: string]> => {
    const { code, stdout, stderr } = await sandbox.run([...args]);
    return [code, code === 0 ? stdout.toString() : stderr];
  };
  for (const command of ['inspect', 'peek', 'purge', 'rm'])
    expect(await run(command, url)).toEqual([1, expect.stringMatching(/NARU_NOT_FOUND/)]);
  expect((await run('send', url, 'one', 'two', 'three'))[0]).toBe(0);
  expect(await run('peek', url, '--count', '2')).toEqual([0, 'one\ntwo\n']);
  const [, shown] = await run('inspect', url, '--json');
  expect(JSON.parse(shown)).toMatchObject({
    place,
    stats: { depth: 3, unsettled: 0, consumers: 0 },
    features: { ack: 'native' },
  });
  expect((await run('inspect', url))[1]).toMatch(/^waiting +3$/m);
  expect(await run('receive', url, '--count', '1', '--timeout', '20000')).toEqual([0, 'one\n']);
  expect(JSON.parse((await run('purge', url, '--json'))[1])).toMatchObject({ removed: 2 });
  expect((await run('inspect', url))[1]).toMatch(/^waiting +0$/m);
  expect(await run('rm', url)).toEqual([0, '']);
  expect(await run('rm', url)).toEqual([1, expect.stringMatching(/NARU_NOT_FOUND/)]);
}
