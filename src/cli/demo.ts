// npm start: real messages between real processes through every place of this machine and the broker, shown live, then a table. Ends by
// itself; exit code 1 when anything was lost, doubled, out of order or changed.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, wholeNumber, type Command, type Invocation } from './command.ts';
import { EXIT, runProcess, UsageError, type Ending } from './exit.ts';
import { formatCount, formatMicros, note, paint, print, printJson, Progress, table } from './output.ts';
import { DemoBroker } from './demo-broker.ts';
import { Team, type PhaseResult, type TeamTotals } from './team.ts';
import { allCapabilities } from '../open.ts';
import { nativeProblem } from '../native/index.ts';

const ARGS = {
  seconds: { type: 'string', valueHint: 'n', description: 'how long it may take (default 8)' },
  places: { type: 'string', valueHint: 'a,b', description: 'only these places' },
  json: { type: 'boolean', description: 'one JSON document on standard output and nothing else' },
} as const;

/** What the broker is called among the places. */
const BROKER = 'broker';
/** What a place may need and still be of this machine alone: the addon, and packages that are no server's client. */
const HERE: ReadonlySet<string> = new Set(['addon', 'ws']);
/** Bytes of each message. */
const BODY_BYTES = 64;
/** Messages a second while latency is measured: enough to see, few enough not to wait for each other. */
const CALM_RATE = 1_000;
/** Share of the time that is sent flat out; the rest is calm. */
const FLAT_OUT_SHARE = 0.6;
/** Time of a place that goes into starting and ending its processes, in milliseconds. */
const OVERHEAD_MS = 300;
const PHASE_MS_MIN = 150;

/** What the JSON document says of a place; `lost` is 0 in every good run. */
interface PlaceResult {
  readonly place: string;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly messagesPerSecond: number;
  readonly p50Us: number | null;
  readonly p99Us: number | null;
}

interface Candidate {
  readonly place: string;
  readonly oneProcess: boolean;
  /** Its URL means raw messages unless it says otherwise. */
  readonly isRaw: boolean;
  /** Why it cannot run here. */
  readonly missing: string | undefined;
}

const demo: Command = command({
  name: 'demo',
  description: 'Passes messages between processes through every place of this machine and the AMQP broker',
  args: ARGS,
  notes: `
Each place gets a producer and a consumer process (memory:// lives within one; the AMQP broker is a third). First they send flat out: messages a second.
Then ${CALM_RATE} messages a second: how long each is on its way (p50, p99). Every message is checked: once, in order, unchanged.`,
  examples: ['npm start', 'npm start -- --seconds 5 --json', 'npm start -- --places shm,unix'],
  run,
});

const argv = process.argv.slice(2);
await runProcess(async (ending) => {
  if (argv.includes('--help') || argv.includes('-h')) {
    await print((await demo.help()).replaceAll('naru demo', 'npm start --'));
    return EXIT.done;
  }
  return demo.run(argv, ending);
}, 'Try: npm start -- --help');

async function run({ args, ending }: Invocation<typeof ARGS>): Promise<number> {
  const seconds = wholeNumber(args.seconds, 'seconds', 1, 3600) ?? 8;
  const candidates = await chooseCandidates(args.places);
  const runnable = candidates.filter(({ missing }) => missing === undefined);
  const skipped = candidates.filter(({ missing }) => missing !== undefined);
  for (const { place, missing } of skipped) note(`${place}: skipped, ${missing}`);
  const budgetMs = (seconds * 1000) / Math.max(1, runnable.length);
  const folder = await mkdtemp(join(tmpdir(), 'naru-demo-'));
  const results: { readonly result: PlaceResult; readonly totals: TeamTotals }[] = [];
  try {
    for (const candidate of runnable) {
      results.push(await runPlace(candidate, folder, budgetMs, ending));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const exact = results.every(({ totals }) => totals.exact);
  if (args.json) await printJson({ places: results.map(({ result }) => result) });
  else await print(summary(results, skipped));
  return exact && results.length > 0 ? EXIT.done : EXIT.failed;
}

async function chooseCandidates(wanted: string | undefined): Promise<Candidate[]> {
  const modes = await allCapabilities();
  // Those that need a server are not of this machine alone.
  const all = modes.filter(({ mode, needs }) => mode === 'envelope' && needs.every((one) => HERE.has(one)));
  const schemes = [...all.map(({ scheme }) => scheme), BROKER];
  const names = wanted?.split(',').map((name) => name.trim());
  const unknown = names?.find((name) => !schemes.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`there is no place "${unknown}"; places: ${schemes.join(', ')}`);
  }
  const places = all.map(({ scheme, features, needs }) => {
    const problem = needs.includes('addon') ? nativeProblem() : undefined;
    const noAddon = problem === undefined ? undefined : `the native addon is not loaded (${problem})`;
    return {
      place: scheme,
      oneProcess: features.crossProcess === 'none',
      isRaw: modes.find((one) => one.scheme === scheme)?.mode === 'raw',
      missing: noAddon ?? missingPackage(needs),
    };
  });
  const broker = { place: BROKER, oneProcess: false, isRaw: false, missing: undefined };
  return [...places, broker].filter(({ place }) => names === undefined || names.includes(place));
}

/** Why a package that a place needs cannot be loaded. */
function missingPackage(needs: readonly string[]): string | undefined {
  const missing = needs.find((one) => {
    try {
      return one !== 'addon' && import.meta.resolve(one) === '';
    } catch {
      return true;
    }
  });
  return missing === undefined
    ? undefined
    : `the package ${missing} is not installed: npm install ${missing}`;
}

async function runPlace(
  candidate: Candidate,
  folder: string,
  budgetMs: number,
  { signal }: Ending,
): Promise<{ result: PlaceResult; totals: TeamTotals }> {
  const progress = new Progress();
  const { place, oneProcess } = candidate;
  progress.update(() => `${place}: starting`);
  await using broker = place === BROKER ? await DemoBroker.start(signal) : undefined;
  const url = broker?.url ?? urlOf(candidate, folder);
  const team = await Team.start({
    url,
    producers: 1,
    consumers: 1,
    bodyBytes: BODY_BYTES,
    oneProcess,
    signal,
  });
  try {
    const workMs = Math.max(2 * PHASE_MS_MIN, budgetMs - OVERHEAD_MS);
    const flatOut = await team.run(
      {
        pace: 'flat-out',
        durationMs: Math.max(PHASE_MS_MIN, workMs * FLAT_OUT_SHARE),
        onProgress: ({ messagesPerSecond, p50Us, depth }) => {
          const figures = `${formatCount(messagesPerSecond)} msg/s, ${formatCount(Math.max(0, depth))} waiting, ${formatMicros(p50Us)} in the queue`;
          progress.update(() => `${place.padEnd(8)} flat out  ${figures}`);
        },
      },
      signal,
    );
    const calm = await team.run(
      {
        pace: CALM_RATE,
        durationMs: Math.max(PHASE_MS_MIN, workMs * (1 - FLAT_OUT_SHARE)),
        onProgress: ({ p50Us, depth }) => {
          const figures = `p50 ${formatMicros(p50Us)}, ${formatCount(Math.max(0, depth))} waiting`;
          progress.update(() => `${place.padEnd(8)} ${formatCount(CALM_RATE)} msg/s  ${figures}`);
        },
      },
      signal,
    );
    const totals = await team.totals();
    progress.clear();
    const result = placeResult(place, totals, flatOut, calm);
    note(line(result, totals));
    return { result, totals };
  } finally {
    progress.clear();
    await team.stop();
  }
}

function urlOf({ place, isRaw }: Candidate, folder: string): string {
  if (place === 'unix') return `unix://${join(folder, 'demo.sock')}`;
  if (place === 'tcp') return 'tcp://127.0.0.1:0?listen';
  if (place === 'ws') return 'ws://127.0.0.1:0/demo?listen';
  if (place === 'http') return 'http://127.0.0.1:0/demo?listen';
  if (place === 'mmap') return `mmap://${join(folder, 'demo')}`;
  if (place === 'file') return `file://${join(folder, 'demo-log')}`;
  if (place === 'fifo') return `fifo://${join(folder, 'demo.fifo')}?format=envelope`;
  // Without waiting for the disk at each commit: what it shows is the place, not the disk.
  if (place === 'sqlite') return `sqlite://${join(folder, 'demo.db')}?survives=process`;
  // The descriptor that a team's processes inherit.
  if (place === 'pipe') return 'pipe://fd/4?format=envelope';
  return `${place}://naru-demo-${process.pid}${isRaw ? '?format=envelope' : ''}`;
}

function placeResult(
  place: string,
  totals: TeamTotals,
  flatOut: PhaseResult,
  calm: PhaseResult,
): PlaceResult {
  const round = (micros: number | null): number | null =>
    micros === null ? null : Math.round(micros * 10) / 10;
  return {
    place,
    sent: totals.sent,
    received: totals.received,
    lost: totals.lost,
    messagesPerSecond: Math.round(flatOut.messagesPerSecond),
    p50Us: round(calm.p50Us),
    p99Us: round(calm.p99Us),
  };
}

function line(result: PlaceResult, totals: TeamTotals): string {
  const rate = `${formatCount(result.messagesPerSecond).padStart(12)} msg/s`;
  return `${result.place.padEnd(8)} ${rate}  p50 ${formatMicros(result.p50Us)}  p99 ${formatMicros(result.p99Us)}  ${verdict(totals)}`;
}

function verdict({ exact, lost, disordered, broken }: TeamTotals): string {
  if (exact) return 'all received, in order';
  return `${formatCount(lost)} lost, ${formatCount(disordered)} out of order, ${formatCount(broken)} changed`;
}

function summary(
  results: readonly { readonly result: PlaceResult; readonly totals: TeamTotals }[],
  skipped: readonly Candidate[],
): string {
  const columns = [
    { title: 'place' },
    { title: 'sent', right: true },
    { title: 'received', right: true },
    { title: 'messages/s', right: true },
    { title: 'p50', right: true },
    { title: 'p99', right: true },
    { title: '' },
  ];
  const rows = results.map(({ result, totals }) => [
    result.place,
    formatCount(result.sent),
    formatCount(result.received),
    formatCount(result.messagesPerSecond),
    formatMicros(result.p50Us),
    formatMicros(result.p99Us),
    verdict(totals),
  ]);
  const missing = skipped.map(({ place, missing: why }) => [
    place,
    '-',
    '-',
    '-',
    '-',
    '-',
    `skipped: ${why}`,
  ]);
  const heading = paint('bold', 'Naru: messages between processes, place by place', process.stdout);
  return `\n${heading}\n\n${table(columns, [...rows, ...missing], process.stdout)}\nmessages/s: ${BODY_BYTES} bytes each, flat out · p50, p99: on their way, at ${formatCount(CALM_RATE)} a second\n`;
}
