// Installs and starts the engines that tests need, runs those tests (`*.engine.test.ts`) with their URLs, and stops them again.
//   npm run test:engines                        every engine; an engine that cannot be had makes the run fail
//   npm run test:engines -- redis postgres      only these
//   npm run test:engines -- --allow-missing     what cannot be had is named and its tests are skipped (NARU_ENGINES=optional)
//   npm run test:engines -- -- -t counting      everything after a second -- is for vitest; a file (x.engine.test) runs alone
// Writes build/test-engines.json for .ci/run. What engines there are stands in src/engines/index.fixture.ts.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, chmodSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const REPORT = join(root, 'build', 'test-engines.json');

const given = process.argv.slice(2);
const split = given.indexOf('--');
const { values, positionals: wanted } = parseArgs({
  args: split < 0 ? given : given.slice(0, split),
  allowPositionals: true,
  options: { 'allow-missing': { type: 'boolean', default: process.env.NARU_ENGINES === 'optional' } },
});
const forVitest = split < 0 ? [] : given.slice(split + 1);

const built = spawnSync(process.execPath, [join(root, 'scripts', 'build.mjs'), '--quiet'], {
  stdio: 'inherit',
});
if (built.status !== 0) process.exit(1);
const { ENGINES } = await import('../dist/engines/index.fixture.js');
const { CLIENTS } = await import('../dist/engines/clients.fixture.js');
const { install } = await import('../dist/engines/install.fixture.js');
const { startEngine } = await import('../dist/engines/engine.fixture.js');

const all = [...ENGINES, ...CLIENTS];
const unknown = wanted.filter((name) => !all.some((one) => one.name === name));
if (unknown.length > 0) {
  console.error(
    `no engine is called ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}

/** Everything that engines and tests write lies here, also what a killed test left. Engines run as users of their own. */
const scratch = mkdtempSync(join(tmpdir(), 'naru-engines-'));
chmodSync(scratch, 0o755);
process.env.TMPDIR = scratch;

const running = [];
let vitest;
let interruptedBy;

async function cleanUp() {
  await Promise.allSettled(running.splice(0).map((one) => one.stop()));
  rmSync(scratch, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
]) {
  process.on(signal, () => {
    if (interruptedBy !== undefined) return;
    interruptedBy = signal;
    vitest?.kill('SIGTERM');
    void cleanUp().then(() => process.exit(code));
  });
}

/** Installs and starts one engine. @returns whether its tests can run */
async function bring(engine) {
  const started = performance.now();
  let problem = await install(engine);
  if (problem === undefined) {
    try {
      const one = await startEngine(engine);
      running.push(one);
      process.env[engine.variable] = one.url;
      console.log(`${engine.name}: ready in ${((performance.now() - started) / 1000).toFixed(1)} s`);
      return true;
    } catch (error) {
      problem = error.message;
    }
  }
  console.log(`${engine.name}: NOT verified: ${problem}`);
  return false;
}

/** Installs a client of other languages. @returns whether its tests can run */
async function equip(client) {
  const problem = await install(client);
  if (problem === undefined) {
    process.env.NARU_TEST_CLIENTS = `${process.env.NARU_TEST_CLIENTS ?? ''} ${client.name}`.trim();
    return true;
  }
  console.log(`${client.name}: NOT verified: ${problem}`);
  return false;
}

/** Runs the tests of engines. @returns the exit code */
function test() {
  const program = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const files = forVitest.some((one) => one.includes('.engine.test')) ? [] : ['.engine.test.js'];
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`];
  return new Promise((resolve) => {
    vitest = spawn(process.execPath, [program, 'run', ...files, ...reporters, ...forVitest], {
      cwd: root,
      stdio: 'inherit',
    });
    vitest.once('error', () => resolve(1)).once('close', (code) => resolve(code ?? 1));
  });
}

let code = 1;
try {
  mkdirSync(join(root, 'build'), { recursive: true });
  writeFileSync(REPORT, '{}');
  let missing = 0;
  for (const engine of ENGINES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
    if (interruptedBy === undefined && !(await bring(engine))) missing += 1;
  }
  for (const client of CLIENTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
    if (interruptedBy === undefined && !(await equip(client))) missing += 1;
  }
  code = interruptedBy === undefined ? await test() : 1;
  if (missing > 0 && !values['allow-missing']) {
    console.log(
      `${missing} engines or clients NOT verified: this is a failure (--allow-missing or NARU_ENGINES=optional accepts it)`,
    );
    code ||= 1;
  }
} finally {
  if (interruptedBy === undefined) await cleanUp();
}
if (interruptedBy === undefined) process.exit(code);
