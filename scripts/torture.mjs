// The long torture runs of shm://: `npm run torture -- --mode all --seconds 600 --deaths 2000 --seed 1`. Prints the seed, says
// how far it is at a terminal, and ends with 1 and the path of the histories when anything happened that must not.
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';

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
const modes = values.mode === 'all' ? TORTURE_MODES : [values.mode];
if (!modes.every((mode) => TORTURE_MODES.includes(mode))) {
  console.error(`--mode is one of all, ${TORTURE_MODES.join(', ')}`);
  process.exit(2);
}
const seed = Number(values.seed);
console.log(`seed ${seed}`);
const progress = process.stderr.isTTY ? (text) => process.stderr.write(`\r\x1b[K${text}`) : undefined;
let failures = 0;
for (const mode of modes) {
  const report = await torture({
    mode,
    seed,
    seconds: Number(values.seconds),
    deaths: Number(values.deaths),
    progress,
  });
  if (progress !== undefined) progress('');
  const deaths = Object.entries(report.deaths).map(([how, count]) => `${how} ${count}`);
  console.log(
    `${mode}: deaths ${deaths.join(', ')}; stops ${report.stops}; published ${report.published}, received ${report.received}; violations ${report.violations.length}`,
  );
  for (const { rule, text } of report.violations.slice(0, 20)) console.log(`  ${rule}: ${text}`);
  if (report.violations.length > 0) console.log(`  histories: ${report.folder}`);
  else rmSync(report.folder, { recursive: true });
  const problems = await manyDeaths(mode, Number(values.quick), seed);
  console.log(`${mode}: ${values.quick} quick deaths in one process; problems ${problems.length}`);
  for (const problem of problems.slice(0, 20)) console.log(`  ${problem}`);
  failures += report.violations.length + problems.length;
}
process.exit(failures === 0 ? 0 : 1);
