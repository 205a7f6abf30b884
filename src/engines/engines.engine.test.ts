// The engines of the tests themselves: what starts, dies and comes back as the other tests rely on it.

import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Engine, startEngine } from './engine.fixture.ts';
import { ENGINES } from './index.fixture.ts';
import { install } from './install.fixture.ts';
import { memcached } from './memcached.fixture.ts';
import { onlyWith } from './only-with.fixture.ts';

for (const engine of ENGINES) {
  onlyWith(engine, `the engine ${engine.name}`, (shared) => {
    test('takes requests at the URL that tests get', async () => {
      const port = Number(new URL(shared).port);
      expect(await engine.isReady({ folder: '', port, spare: [0, 0], extra: [] })).toBe(true);
    });

    test('is killed, started again on its port, and leaves no folder', async () => {
      const running = await startEngine(engine);
      const { url, pid } = running;
      await running.restart();
      expect(running.url).toBe(url);
      expect(running.pid).not.toBe(pid);
      await running.kill();
      await expect(engine.isReady(running.site)).rejects.toThrow();
      await running.stop();
      expect(existsSync(running.site.folder)).toBe(false);
    }, 180_000);
  });
}

onlyWith(memcached, 'an engine that cannot be had', () => {
  test('is told with its reason', async () => {
    const absent: Engine = {
      ...memcached,
      name: 'absent',
      packages: ['naru-no-such-package'],
      program: () => undefined,
    };
    expect(await install(absent)).toMatch(/naru-no-such-package/);
    const noJar = { ...memcached, fetch: () => Promise.reject(new Error('the registry was not reached')) };
    expect(await install(noJar)).toBe('the registry was not reached');
  }, 60_000);
});
