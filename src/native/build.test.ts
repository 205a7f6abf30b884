// scripts/build-native.mjs: what it makes, and what it says where it can make nothing.

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from './index.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const target = `${process.platform}-${process.arch}`;

describe.skipIf(tryNative() === undefined || !existsSync(join(repository, 'scripts')))(
  `building the addon (${nativeProblem() ?? 'addon loaded'})`,
  () => {
    let root: string;
    beforeEach(() => {
      root = mkdtempSync(join(tmpdir(), 'naru-build-'));
      cpSync(join(repository, 'native'), join(root, 'native'), { recursive: true });
      mkdirSync(join(root, 'scripts'));
      cpSync(join(repository, 'scripts/build-native.mjs'), join(root, 'scripts/build-native.mjs'));
      symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'));
    });
    afterEach(() => rmSync(root, { recursive: true, force: true }));

    function build(environment: NodeJS.ProcessEnv = process.env): { code: number | null; errors: string } {
      const script = join(root, 'scripts/build-native.mjs');
      const { status, stderr } = spawnSync(process.execPath, [script], {
        env: environment,
        encoding: 'utf8',
      });
      return { code: status, errors: stderr };
    }

    test('it writes one binary, and nothing when that is newer than the sources', () => {
      expect(build()).toMatchObject({
        code: 0,
        errors: expect.stringContaining('built prebuilds/') as string,
      });
      const folder = join(root, 'prebuilds', target);
      expect(readdirSync(folder)).toEqual(['naru.node']);
      const { mtimeMs } = statSync(join(folder, 'naru.node'));
      expect(build()).toEqual({ code: 0, errors: '' });
      expect(statSync(join(folder, 'naru.node')).mtimeMs).toBe(mtimeMs);
    });

    test('without a compiler it says in one line what will not work, and goes on', () => {
      const { code, errors } = build({ PATH: '/nowhere', CC: '' });
      expect(code).toBe(0);
      expect(errors).toMatch(
        /^naru: the native addon was not built \(no C compiler.*shm:\/\/ will not work.*\n$/,
      );
      expect(existsSync(join(root, 'prebuilds'))).toBe(false);
    });

    test('an error in the C is shown and fails, and leaves nothing half', () => {
      cpSync(join(root, 'native/README.md'), join(root, 'native/broken.c'));
      const { code, errors } = build();
      expect(code).toBe(1);
      expect(errors).toContain('broken.c');
      expect(readdirSync(join(root, 'prebuilds', target))).toEqual([]);
    });
  },
);
