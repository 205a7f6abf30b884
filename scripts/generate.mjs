// Writes what is generated from code: the errors page, the capability tables, the defaults. With --check it only compares
// (a test does that); with --write it writes. Reads the built package, so that docs and program cannot differ.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generatedDocs } from '../dist/cli/generated-docs.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const write = process.argv.includes('--write');
let stale = 0;

for (const { file, replace } of await generatedDocs()) {
  const path = `${root}/${file}`;
  const before = readFileSync(path, 'utf8');
  const after = replace(before);
  if (after === before) continue;
  stale += 1;
  if (write) writeFileSync(path, after);
  console.error(`${write ? 'wrote' : 'stale'}: ${file}`);
}
process.exit(write || stale === 0 ? 0 : 1);
