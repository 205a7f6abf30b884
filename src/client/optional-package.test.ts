// The client of an engine that is not installed.

import { expect, test } from 'vitest';
import { importPackage } from './optional-package.ts';

test('a package that is not installed is named with its npm command', async () => {
  await expect(importPackage('naru-no-such-client', 'naru-no-such-client@^1', 'redis')).rejects.toMatchObject(
    {
      code: 'NARU_PACKAGE_MISSING',
      place: 'redis',
      message: expect.stringContaining('npm install "naru-no-such-client@^1"') as unknown,
    },
  );
});

test('a package that is installed is given as it is', async () => {
  expect(await importPackage('vitest', 'vitest', 'redis')).toHaveProperty('test');
});
