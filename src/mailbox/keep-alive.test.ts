// What keeps a process alive, and what no longer does: each case in a process of its own, which has no other timer.

import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

const MODULE = new URL('./keep-alive.js', import.meta.url).href;

/** @returns whether something keeps a process of its own in which this ran */
function isKept(script: string): boolean {
  const look = `process.stdout.write(String(process.getActiveResourcesInfo().includes('Timeout'))); process.exit()`;
  const source = `const { Hold, KeepAlive } = await import('${MODULE}'); ${script}; ${look}`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
  expect(['true', 'false']).toContain(stdout);
  return stdout === 'true';
}

test.each([
  ['a reason that was never there', 'new KeepAlive()', false],
  ['a reason', "new KeepAlive().hold('a', true)", true],
  ['a hold', 'new Hold().set(true)', true],
  ['a hold that is off again', 'const hold = new Hold(); hold.set(true); hold.set(false)', false],
  [
    'one reason of two',
    "const a = new KeepAlive(); a.hold('a', true); a.hold('b', true); a.hold('b', true); a.hold('b', false)",
    true,
  ],
  [
    'no reason of two',
    "const a = new KeepAlive(); a.hold('a', true); a.hold('b', true); a.hold('a', false); a.hold('b', false)",
    false,
  ],
  [
    'one handle of two',
    "const a = new KeepAlive(), b = new KeepAlive(); a.hold('a', true); b.hold('a', true); b.end(); b.end()",
    true,
  ],
  [
    'a handle that is over',
    "const a = new KeepAlive(); a.hold('a', true); a.end(); a.hold('b', true)",
    false,
  ],
])(
  '%s',
  (_, script, expected) => {
    expect(isKept(script)).toBe(expected);
  },
  60_000,
);
