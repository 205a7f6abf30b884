// Runs a numbered example: `npm run example 01`. Without a number it lists them. Builds first, quietly.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [wanted, ...rest] = process.argv.slice(2);
const names = readdirSync(`${root}/examples`)
  .filter((file) => file.endsWith('.expected'))
  .map((file) => file.slice(0, -'.expected'.length))
  .sort();

if (wanted === undefined) {
  for (const name of names) {
    const title =
      /^\/\/ \d+ · (.*?)[.:;,](?:\s|$)/.exec(readFileSync(`${root}/examples/${name}.ts`, 'utf8'))?.[1] ?? '';
    console.log(`${name.padEnd(26)} ${title}`);
  }
  console.log('\nRun one with: npm run example 01');
} else {
  const name = names.find(
    (candidate) => candidate === wanted || candidate.startsWith(`${wanted.padStart(2, '0')}-`),
  );
  if (name === undefined) {
    console.error(`there is no example "${wanted}"; npm run example lists them`);
    process.exit(2);
  }
  const build = spawnSync(process.execPath, [`${root}/scripts/build.mjs`, '--quiet'], { stdio: 'inherit' });
  if (build.status !== 0) process.exit(1);
  const run = spawnSync(process.execPath, [`${root}/build/examples/${name}.js`, ...rest], {
    stdio: 'inherit',
  });
  process.exit(run.status ?? 1);
}
