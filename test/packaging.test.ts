// What users install: the export map, what an import loads, what the tarball holds.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface Manifest {
  readonly exports: Record<string, string | { types: string; default: string }>;
  readonly scripts: Record<string, string>;
  readonly dependencies: Record<string, string>;
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;

test('every subpath of the export map exists, with its types', async () => {
  for (const [name, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string') continue;
    expect(existsSync(join(root, target.default)), target.default).toBe(true);
    expect(existsSync(join(root, target.types)), target.types).toBe(true);
    await import(name.replace('.', 'naru'));
  }
});

test('importing naru loads no place, no socket and no addon', () => {
  // To a file: with a pipe as standard output Node loads `net` for itself, in some versions as soon as `util` is imported.
  const program = `
    import { writeFileSync } from 'node:fs';
    const before = new Set(process.moduleLoadList);
    await import('naru');
    const loaded = process.moduleLoadList.filter((name) => !before.has(name));
    const bad = loaded.filter((name) => /NativeModule (net|tls|http|dgram|child_process)$/.test(name));
    const addon = process.report.getReport().sharedObjects.some((file) => file.endsWith('naru.node'));
    writeFileSync(process.argv[1], JSON.stringify({ bad, addon }));
  `;
  const folder = mkdtempSync(join(tmpdir(), 'naru-packaging-'));
  try {
    const file = join(folder, 'loaded.json');
    execFileSync(process.execPath, ['--input-type=module', '-e', program, file], {
      cwd: root,
      stdio: 'ignore',
    });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ bad: [], addon: false });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('nothing runs when the package is installed', () => {
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
    expect(manifest.scripts).not.toHaveProperty(script);
  }
  expect(existsSync(join(root, 'binding.gyp'))).toBe(false);
});

test('the tarball holds the build and the docs, and neither tests nor sources of tests', () => {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
  });
  const packed = JSON.parse(output.slice(output.search(/^[[{]/m))) as unknown;
  const [first] = Array.isArray(packed) ? packed : Object.values(packed as object);
  const files = (first as { files: { path: string }[] }).files.map((file) => file.path);
  expect(files).toContain('dist/index.js');
  expect(files).toContain('dist/cli/index.js');
  expect(files.filter((file) => /\.(test|fixture)\./.test(file))).toEqual([]);
  expect(files.filter((file) => /^(src|test|bench|node_modules)\//.test(file))).toEqual([]);
}, 120_000);
