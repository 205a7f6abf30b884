// The long torture runs of shm://: `npm run torture -- --mode all --seconds 600 --deaths 2000 --seed 1`. Goes in rounds of a
// minute, each with a seed of its own, which it prints; ends with 1 and the path of the histories when anything happened that
// must not. Then 10,000 quick deaths of participants of one process.
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';

/** A history of a minute fits into memory. */
const ROUND_SECONDS = 60;

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'all' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '600' },
    deaths: { type: 'string', default: '2000' },
    quick: { type: 'string', default: '10000' },
  },
});
const { torture, TORTURE_MODES } = await import('../dist/places/shm/torture.fixture.js');
const { manyDeaths } = await import('../dist/places/shm/many-deaths.fixture.js');
const { forget, SYNC_TORTURE_MODES, syncTorture } = await import(
  '../dist/places/shm/sync-torture.fixture.js'
);
const all = [...TORTURE_MODES, ...SYNC_TORTURE_MODES];
const modes = values.mode === 'all' ? all : [values.mode];
if (!modes.every((mode) => all.includes(mode))) {
  console.error(`--mode is one of all, ${all.join(', ')}`);
  process.exit(2);
}
const progress = process.stderr.isTTY ? (text) => process.stderr.write(`\r\x1b[K${text}`) : () => undefined;

/** Rounds of one mode. @returns how many violations */
async function runMode(mode, seed) {
  const end = performance.now() + Number(values.seconds) * 1000;
  let [left, violations] = [Number(values.deaths), 0];
  for (let round = seed; left > 0 && performance.now() < end; round += 1) {
    const seconds = Math.min(ROUND_SECONDS, (end - performance.now()) / 1000);
    const report = await torture({ mode, seed: round, seconds, deaths: left, progress });
    progress('');
    const total = Object.values(report.deaths).reduce((sum, count) => sum + count, 0);
    left -= total;
    violations += report.violations.length;
    const how = Object.entries(report.deaths).map(([what, count]) => `${what} ${count}`);
    console.log(
      `${mode}, seed ${round}: ${total} deaths (${how.join(', ')}), ${report.stops} stops, ${report.published} published, ` +
        `${report.received} received, ${report.violations.length} violations`,
    );
    for (const { rule, text } of report.violations.slice(0, 20)) console.log(`  ${rule}: ${text}`);
    if (report.violations.length > 0) console.log(`  histories: ${report.folder}`);
    else rmSync(report.folder, { recursive: true });
  }
  console.log(`${mode}: ${Number(values.deaths) - left} deaths, ${violations} violations`);
  return violations;
}

/** How long others waited after a death. */
function tellWaits(mode, waits) {
  if (waits.length === 0) return;
  const sorted = waits.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.floor((sorted.length - 1) * share)].toFixed(1);
  const late = sorted.filter((ms) => ms > 100).length;
  console.log(
    `${mode}: ${waits.length} deaths while others waited; from the news of it until the next one had it: ` +
      `median ${at(0.5)} ms, 99% ${at(0.99)} ms, worst ${at(1)} ms, ${late} later than 100 ms`,
  );
}

/** The same for locks and semaphores. */
async function runSyncMode(mode, seed) {
  const end = performance.now() + Number(values.seconds) * 1000;
  const waits = [];
  let [left, violations] = [Number(values.deaths), 0];
  for (let round = seed; left > 0 && performance.now() < end; round += 1) {
    const seconds = Math.min(ROUND_SECONDS, (end - performance.now()) / 1000);
    const report = await syncTorture({ mode, seed: round, seconds, deaths: left });
    left -= report.deaths;
    violations += report.violations.length;
    waits.push(...report.waitsMs);
    console.log(
      `${mode}, seed ${round}: ${report.deaths} deaths, ${report.stops} stops, ${report.taken} taken, ` +
        `${report.recovered} told, ${report.violations.length} violations`,
    );
    for (const text of report.violations.slice(0, 20)) console.log(`  ${text}`);
    if (report.violations.length > 0) console.log(`  logs: ${report.folder}`);
    else forget(report);
  }
  tellWaits(mode, waits);
  console.log(`${mode}: ${Number(values.deaths) - left} deaths, ${violations} violations`);
  return violations;
}

let failures = 0;
for (const mode of modes) {
  if (SYNC_TORTURE_MODES.includes(mode)) {
    failures += await runSyncMode(mode, Number(values.seed));
    continue;
  }
  failures += await runMode(mode, Number(values.seed));
  const problems = await manyDeaths(mode, Number(values.quick), Number(values.seed));
  console.log(`${mode}: ${values.quick} quick deaths in one process, ${problems.length} problems`);
  for (const problem of problems.slice(0, 20)) console.log(`  ${problem}`);
  failures += problems.length;
}
process.exit(failures === 0 ? 0 : 1);
