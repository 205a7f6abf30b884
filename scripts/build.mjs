// Builds everything: the addon (when a C compiler is there), the TypeScript, and the file for browsers. Plain JavaScript, because Node 20
// cannot run TypeScript. --quiet keeps standard output clean for `npm start -- --json`.
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildBrowser } from './build-browser.mjs';
import { buildAddon } from './build-native.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const quiet = process.argv.includes('--quiet');

buildAddon({ quiet });

const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const result = spawnSync(process.execPath, [tsc, '-b', 'tsconfig.json'], { cwd: root, encoding: 'utf8' });
if (result.stdout) process.stderr.write(result.stdout);
if (result.stderr) process.stderr.write(result.stderr);
if (result.status !== 0) process.exit(result.status ?? 1);
chmodSync(`${root}/dist/cli/index.js`, 0o755);
await buildBrowser();
