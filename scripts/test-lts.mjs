// Runs the whole suite on the newest long-term Node: `npm run test:lts [-- arguments for vitest]`. The suite's child processes start
// with process.execPath or `node`, and so on that Node too.
// That Node comes from npm into a folder of its own: as a dependency of the root it would take over node_modules/.bin.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The newest long-term Node. */
const LTS = '24.21.0';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'tools', 'nodes');
const packageName = `node-${process.platform}-${process.arch}`;
const node = join(folder, 'node_modules', packageName, 'bin', 'node');

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) process.stderr.write(`test:lts: ${command}: ${result.error.message}\n`);
  return result.status ?? 1;
}

function installedVersion() {
  const manifest = join(folder, 'node_modules', packageName, 'package.json');
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).version : undefined;
}

function install() {
  if (installedVersion() === LTS) return 0;
  mkdirSync(folder, { recursive: true });
  const manifest = {
    private: true,
    description: 'Made by scripts/test-lts.mjs',
    dependencies: { [packageName]: LTS },
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  process.stderr.write(`test:lts: installing ${packageName}@${LTS} into tools/nodes\n`);
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  return run('npm', ['install', '--prefix', folder, ...quiet]);
}

function test() {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const PATH = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`;
  return run(node, [vitest, 'run', ...process.argv.slice(2)], { env: { ...process.env, PATH } });
}

const steps = [install, () => run(process.execPath, [join(root, 'scripts', 'build.mjs'), '--quiet']), test];
for (const step of steps) {
  const code = step();
  if (code !== 0) process.exit(code);
}
