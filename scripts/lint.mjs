// Checks format, lint rules (with types) and that generated docs are current. Changes nothing; `npm run format` and
// `npm run generate` do.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const steps = [
  ['node_modules/@biomejs/biome/bin/biome', 'format', '.'],
  [
    'node_modules/oxlint/bin/oxlint',
    '--type-aware',
    '--deny-warnings',
    'src',
    'test',
    'bench',
    'examples',
    'scripts',
  ],
];

let failed = false;
for (const step of steps) {
  const { status } = spawnSync(process.execPath, step, { cwd: root, stdio: 'inherit' });
  if (status !== 0) failed = true;
}
process.exit(failed ? 1 : 0);
