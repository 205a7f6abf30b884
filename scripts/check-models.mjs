// Checks the Promela models in models/ with spin: `npm run models`. What is right must hold in every state; every variant that
// is wrong on purpose must be refuted. `--install` (or CI) lets it install spin when it is missing and the user is root.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const JOBS = 2;
/** For each of the jobs. */
const MEMORY_MIB = 1900;
const DEPTH = 20_000;

/**
 * Every check: the model and its options. A check with a WRONG_ option must be refuted, every other one must hold; for
 * each wrong one there is a right one with no less of everything else. LIVELOCK looks
 * for cycles instead, that is for steps that could go on for ever.
 */
const CHECKS = [
  ['claims', 'DEATH RDEATH RECORDS=2'],
  ['claims', 'DEATH STOP RECORDS=2'],
  ['claims', 'DEATH REBIRTH RECORDS=2 ROOM=1'],
  ['claims', 'HOARDS=1 RECORDS=3'],
  ['claims', 'STOP NACKS=1 RECORDS=2 ROOM=1'],
  ['claims', 'DEATH NACKS=1 RECORDS=2 ROOM=1'],
  ['claims', 'NACKS=1 RELEASES=1 RECORDS=2 ROOM=1'],
  ['claims', 'RECORDS=3 ROOM=1'],
  ['claims', 'FINE RECORDS=2'],
  ['claims', 'PREFETCH RECORDS=2'],
  ['claims', 'CANCELS=1 RECORDS=2'],
  ['claims', 'LIVELOCK RECORDS=2 ROOM=1'],
  ['claims', 'WRONG_LAST_LAP LIVELOCK RECORDS=2 ROOM=1'],
  ['claims', 'WRONG_NO_RECHECK RECORDS=2'],
  ['claims', 'WRONG_RECOVERY_NO_RECHECK DEATH RECORDS=2'],
  ['claims', 'WRONG_ADVANCE_SILENT HOARDS=1 RECORDS=3'],
  ['claims', 'WRONG_NO_PASS_ON CANCELS=1 RECORDS=2'],
  ['claims', 'WRONG_TAKEN_FIRST DEATH RECORDS=2'],
  ['claims', 'WRONG_HINT_FIRST NACKS=1 RECORDS=2 ROOM=1'],
  ['claims', 'WRONG_SEAT_LATE DEATH RECORDS=2'],
  ['claims', 'WRONG_FREE_EARLY DEATH RDEATH RECORDS=2'],
  ['claims', 'WRONG_ROB DEATH RECORDS=2'],
  ['claims', 'WRONG_NO_TIMER STOP RECORDS=2 ROOM=1'],
  ['doorbell', 'DEATHS=0'],
  ['doorbell', 'DEATHS=1'],
  ['doorbell', 'DEATHS=2'],
  ['doorbell', 'RINGERS=3 DEATHS=1 SIMPLE NO_THREAD'],
  ['doorbell', 'RINGERS=3 DEATHS=1 SIMPLE NO_LOOP'],
  ['doorbell', 'RINGERS=3 DEATHS=1 MESSAGES=1'],
  ['doorbell', 'WRONG_MARK_FIRST DEATHS=1'],
  ['doorbell', 'WRONG_NO_EPOCH DEATHS=0'],
  ['doorbell', 'WRONG_NO_LOOK DEATHS=0'],
  ['doorbell', 'WRONG_WANTS_LATE DEATHS=0'],
  ['doorbell', 'WRONG_VALUE_LATE DEATHS=0'],
  ['lock', 'ROUNDS=2'],
  ['lock', 'DEATHS=1 ROUNDS=1'],
  ['lock', 'DEATHS=1 ROUNDS=2 USERS=2'],
  ['lock', 'DEATHS=2 ROUNDS=1'],
  ['lock', 'GIVES_UP=1 ROUNDS=1'],
  ['lock', 'STOP USERS=2 ROUNDS=1'],
  ['lock', 'WRONG_NO_LOOK ROUNDS=1'],
  ['lock', 'WRONG_BIT_LATE ROUNDS=1'],
  ['lock', 'WRONG_SILENT ROUNDS=1'],
  ['lock', 'WRONG_NO_PASS_ON GIVES_UP=1 ROUNDS=1'],
  ['lock', 'WRONG_FREE_EARLY DEATHS=2 ROUNDS=1'],
  ['lock', 'WRONG_NOT_TOLD DEATHS=1 ROUNDS=1'],
  ['lock', 'WRONG_ROB STOP USERS=2 ROUNDS=1'],
  ['permits', 'STEPS=3'],
  ['permits', 'DEATHS=1 STEPS=2 ADDS=1'],
  ['permits', 'DEATHS=1 STEPS=1 PERMITS=2 SEATS=3'],
  ['permits', 'DEATHS=1 RDEATHS=1 STEPS=2 PERMITS=2'],
  ['permits', 'WRONG_NO_MARK DEATHS=1 STEPS=2 PERMITS=2'],
  ['permits', 'WRONG_MARK_LATE DEATHS=1 STEPS=2 PERMITS=2'],
  ['permits', 'WRONG_ORDER DEATHS=1 STEPS=2 PERMITS=2'],
  ['permits', 'WRONG_STEP_BACK DEATHS=1 STEPS=2 ADDS=1'],
  ['permits', 'WRONG_NOT_SETTLED DEATHS=1 RDEATHS=1 STEPS=2 PERMITS=2'],
].map(([model, options]) => ({ model, options, isWrong: options.startsWith('WRONG_') }));

function has(command) {
  return spawnSync(command, ['-V'], { stdio: 'ignore' }).error === undefined;
}

/** spin and gcc must be there. @returns false, having said what to do, when they are not */
function prepare() {
  const missing = ['spin', 'gcc'].filter((command) => !has(command));
  if (missing.length === 0) return true;
  const install = `apt-get install -y ${missing.join(' ')}`;
  const mayInstall = process.argv.includes('--install') || process.env['CI'] !== undefined;
  if (mayInstall && process.getuid?.() === 0) {
    spawnSync('sh', ['-c', `apt-get update -q && ${install}`], { stdio: ['ignore', 'ignore', 'inherit'] });
    if (missing.every(has)) return true;
  }
  process.stderr.write(`models: ${missing.join(' and ')} not found; as root: ${install}\n`);
  return false;
}

const children = new Set();

/** Runs a command. @returns its exit code and all it printed */
function run(command, args, cwd) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    let output = '';
    const collect = (text) => {
      output += text;
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    child.on('error', (error) => resolve({ code: -1, output: error.message }));
    child.on('close', (code) => {
      children.delete(child);
      resolve({ code: code ?? -1, output });
    });
  });
}

/** @returns what spin's search said, or undefined with the reason when there was no complete search */
async function search({ model, options, isWrong }, folder) {
  const defines = options.split(' ').map((option) => `-D${option}`);
  const made = await run('spin', [...defines, '-a', join(root, 'models', `${model}.pml`)], folder);
  if (made.code !== 0) return { reason: made.output.trim() };
  // No partial order reduction: it is not sound for escapes by rendezvous, and has little to reduce here.
  const isLivelock = options.includes('LIVELOCK');
  const flags = [
    isLivelock ? '-DNP' : '-DSAFETY',
    '-DNOREDUCE',
    `-DMEMLIM=${MEMORY_MIB}`,
    isWrong ? '-O0' : '-O2',
    '-w',
  ];
  const built = await run('gcc', [...flags, '-o', 'pan', 'pan.c'], folder);
  if (built.code !== 0) return { reason: built.output.trim() };
  const { output } = await run(join(folder, 'pan'), [`-m${DEPTH}`, ...(isLivelock ? ['-l'] : [])], folder);
  const pick = (pattern) => Number(pattern.exec(output)?.[1] ?? Number.NaN);
  const errors = pick(/errors: (\d+)/);
  const isCut = /max search depth too small|out of memory|MEMLIM|reached -DMEMLIM/.test(output);
  if (Number.isNaN(errors) || (errors === 0 && isCut))
    return { reason: `not complete: ${output.slice(0, 400)}` };
  return {
    errors,
    states: pick(/(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored/),
    depth: pick(/depth reached (\d+)/),
    megabytes: pick(/([\d.]+)\s+total actual memory usage/),
    seconds: pick(/elapsed time ([\d.]+)/),
    what: /pan:\d+: (.*?) \(at depth/.exec(output)?.[1],
  };
}

/** Does one check and prints its line. @returns whether it came out as it must */
async function check(one, temporary) {
  const folder = mkdtempSync(join(temporary, 'check-'));
  const found = await search(one, folder);
  rmSync(folder, { recursive: true, force: true });
  const name = `${one.model.padEnd(8)} ${one.options.padEnd(44)}`;
  if (found.reason !== undefined) {
    console.log(`FAIL  ${name} ${found.reason}`);
    return false;
  }
  const isRight = found.errors > 0 === one.isWrong;
  const verdict = found.errors > 0 ? `refuted: ${(found.what ?? '').slice(0, 48)}` : 'holds';
  const numbers = [
    `${String(found.states).padStart(9)} states`,
    `depth ${String(found.depth).padStart(4)}`,
    `${found.megabytes.toFixed(0).padStart(5)} MB`,
    `${found.seconds.toFixed(1).padStart(5)} s`,
  ];
  console.log(`${isRight ? 'ok  ' : 'FAIL'}  ${name} ${numbers.join('  ')}  ${verdict}`);
  return isRight;
}

async function main() {
  if (!prepare()) return 1;
  const temporary = mkdtempSync(join(tmpdir(), 'naru-models-'));
  const clean = () => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(temporary, { recursive: true, force: true });
  };
  process.on('exit', clean);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  const started = performance.now();
  const only = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
  const queue = CHECKS.filter(({ model }) => only.length === 0 || only.includes(model));
  const total = queue.length;
  let failed = 0;
  const work = async () => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift())
      if (!(await check(one, temporary))) failed += 1;
  };
  await Promise.all(Array.from({ length: JOBS }, work));
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`models: ${total - failed} of ${total} as they must be, in ${seconds} s`);
  return failed === 0 && total > 0 ? 0 : 1;
}

process.exit(await main());
