// Many processes that open one mailbox at the same moment, where nothing of it is there yet: it is made once, and all of them use it.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { open } from '../index.ts';

const PROGRAM = fileURLToPath(new URL('./starter.fixture.js', import.meta.url));

/** @param url  of a mailbox that was never there, in a database without any tables of Naru */
export async function makeOnce(url: string, processes: number): Promise<void> {
  const children = Array.from({ length: processes }, () => fork(PROGRAM));
  try {
    await Promise.all(children.map((child) => once(child, 'message')));
    const answers = children.map((child) =>
      Promise.race([once(child, 'message'), once(child, 'exit').then(() => [{ created: 'it ended' }])]),
    );
    for (const child of children) child.send(url);
    const created = (await Promise.all(answers)).map(([answer]) => (answer as { created: unknown }).created);
    expect(created).toHaveLength(processes);
    expect(created.filter((made) => made === true)).toHaveLength(1);
    expect(created.filter((made) => made === false)).toHaveLength(processes - 1);
    await using mailbox = await open(url, { create: 'never' });
    expect((await mailbox.stats()).place.depth).toBe(processes);
    await mailbox.unlink();
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}
