// naru bench: how fast is a mailbox, or which of several is faster, with real producer and consumer processes. Comparisons
// with other packages are in bench/, not here.

import { cpus } from 'node:os';
import { writeFile } from 'node:fs/promises';
import { redact } from '../errors/index.ts';
import { command, oneOf, wholeNumber, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError, type Ending } from './exit.ts';
import { formatCount, formatMicros, print, printJson, Progress, table } from './output.ts';
import type { BenchResult, Machine } from './report.ts';
import { PROBE_BYTES_MIN } from './probe.ts';
import type { Pace } from './team-protocol.ts';
import type { PhaseResult, Team } from './team.ts';
import { findTarget, URL_FILE_FLAG } from './url.ts';

const ARGS = {
  url: {
    type: 'positional',
    required: false,
    description: 'one URL or several: they take turns (or NARU_URL)',
  },
  size: {
    type: 'string',
    valueHint: 'bytes',
    description: `bytes of each message, from ${PROBE_BYTES_MIN} (default 64)`,
  },
  count: {
    type: 'string',
    valueHint: 'n',
    description: 'messages in a round (default: as many as there are in 1.5 seconds)',
  },
  producers: { type: 'string', valueHint: 'n', description: 'producer processes (default 1)' },
  consumers: { type: 'string', valueHint: 'n', description: 'consumer processes (default 1)' },
  mode: oneOf(
    ['throughput', 'latency', 'wake'],
    'throughput: flat out (default); latency: 1,000 a second; wake: 100 a second, so that the consumer sleeps',
  ),
  rounds: {
    type: 'string',
    valueHint: 'n',
    description: 'rounds of each URL; the median counts (default 3)',
  },
  json: { type: 'boolean', description: 'the results as one JSON document' },
  report: { type: 'string', valueHint: 'file.html', description: 'draw the results into this file' },
  'url-file': URL_FILE_FLAG,
} as const;

export const bench: Command = command({
  name: 'bench',
  description: 'Measures mailboxes, one or several side by side',
  args: ARGS,
  positionalsMax: 64,
  notes: `
Each round warms up for half a second first, which does not count. Every message is checked: exit code 1 when one is lost, doubled, out of order or changed. p50 and p99 are the time from send to
receive; flat out that is mostly waiting in the queue. memory:// lives within one process. tcp:// may name port 0. What is
sent is bytes: on fifo:// say frame=length or format=envelope. Of pipe:// it makes the pipe, which its processes have as descriptor 4.`,
  examples: [
    'naru bench shm://bench unix:///tmp/bench.sock tcp://127.0.0.1:0',
    'naru bench shm://bench --mode wake --json',
    'naru bench unix:///tmp/bench.sock --size 4096 --producers 4 --report bench.html',
    "naru bench 'fifo:///tmp/bench.fifo?frame=length' 'pipe://fd/4?format=envelope'",
  ],
  run,
});

type Mode = 'throughput' | 'latency' | 'wake';

const PACES: Readonly<Record<Mode, Pace>> = { throughput: 'flat-out', latency: 1_000, wake: 100 };
/** How long a round is measured when no count is given, and how long it warms up before: compilers need their time. */
const ROUND_MS = 1_500;
const WARM_UP_MS = 500;

interface Settings {
  readonly mode: Mode;
  readonly bodyBytes: number;
  readonly count: number | null;
  readonly producers: number;
  readonly consumers: number;
  readonly rounds: number;
}

/** One round of one URL. */
interface Round extends PhaseResult {
  readonly exact: boolean;
}

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  const settings = readSettings(args);
  const first = await findTarget(positionals, args['url-file']);
  const urls = [first.url, ...first.rest];
  const rounds = await alternate(urls, settings, ending);
  const results = urls.map((url, index) => resultOf(url, rounds[index] as Round[]));
  const { bodyBytes, ...rest } = settings;
  const document = { machine: machine(), settings: { ...rest, size: bodyBytes }, results };
  if (args.report !== undefined) {
    const { drawReport } = await import('./report.ts');
    await writeFile(args.report, drawReport(document));
  }
  if (args.json) await printJson(document);
  else await print(tableOf(results));
  return rounds.flat().every(({ exact }) => exact) ? EXIT.done : EXIT.failed;
}

function readSettings(args: Invocation<typeof ARGS>['args']): Settings {
  const mode: Mode = args.mode ?? 'throughput';
  return {
    mode,
    bodyBytes: wholeNumber(args.size, 'size', PROBE_BYTES_MIN, 2 ** 28) ?? 64,
    count: wholeNumber(args.count, 'count', 1, 1e10) ?? null,
    producers: wholeNumber(args.producers, 'producers', 1, 64) ?? 1,
    consumers: wholeNumber(args.consumers, 'consumers', 1, 64) ?? 1,
    rounds: wholeNumber(args.rounds, 'rounds', 1, 1000) ?? 3,
  };
}

/** A, B, A, B, …: what else the machine does hits all alike. */
async function alternate(urls: readonly string[], settings: Settings, ending: Ending): Promise<Round[][]> {
  const progress = new Progress();
  const all: Round[][] = urls.map(() => []);
  try {
    for (let round = 1; round <= settings.rounds; round += 1) {
      for (const [index, url] of urls.entries()) {
        const label = `${redact(url)}, round ${round} of ${settings.rounds}`;
        all[index]?.push(
          await runRound(url, settings, ending, (text) => progress.update(() => `${label}: ${text}`)),
        );
      }
    }
  } finally {
    progress.clear();
  }
  return all;
}

async function runRound(
  url: string,
  { mode, bodyBytes, count, producers, consumers }: Settings,
  { signal }: Ending,
  show: (text: string) => void,
): Promise<Round> {
  const [{ Team: TeamClass }, { allCapabilities }] = await Promise.all([
    import('./team.ts'),
    import('../open.ts'),
  ]);
  const scheme = url.slice(0, url.indexOf('://'));
  const place = (await allCapabilities()).find((one) => one.scheme === scheme);
  if (place === undefined) throw new UsageError(`there is no place "${scheme}://"`);
  show('starting');
  const oneProcess = place.features.crossProcess === 'none';
  const team: Team = await TeamClass.start({ url, producers, consumers, bodyBytes, oneProcess, signal });
  try {
    await team.run({ pace: PACES[mode], durationMs: WARM_UP_MS }, signal);
    const result = await team.run(
      {
        pace: PACES[mode],
        ...(count === null ? { durationMs: ROUND_MS } : { count }),
        onProgress: ({ messagesPerSecond }) => show(`${formatCount(messagesPerSecond)} msg/s`),
      },
      signal,
    );
    const { exact } = await team.totals();
    return { ...result, exact };
  } finally {
    await team.stop();
  }
}

function resultOf(url: string, rounds: readonly Round[]): BenchResult {
  const sent = rounds.reduce((sum, round) => sum + round.sent, 0);
  const received = rounds.reduce((sum, round) => sum + round.received, 0);
  const rates = rounds.map(({ messagesPerSecond }) => Math.round(messagesPerSecond));
  return {
    url: redact(url),
    messagesPerSecond: median(rates) ?? 0,
    p50Us: tenth(median(rounds.map(({ p50Us }) => p50Us))),
    p99Us: tenth(median(rounds.map(({ p99Us }) => p99Us))),
    sent,
    received,
    lost: Math.max(0, sent - received),
    rounds: rates,
  };
}

function median(values: readonly (number | null)[]): number | null {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}

function tenth(micros: number | null): number | null {
  return micros === null ? null : Math.round(micros * 10) / 10;
}

function machine(): Machine {
  const all = cpus();
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
  };
}

function tableOf(results: readonly BenchResult[]): string {
  const columns = [
    { title: 'mailbox' },
    { title: 'messages/s', right: true },
    { title: 'p50', right: true },
    { title: 'p99', right: true },
    { title: 'lost', right: true },
  ];
  const rows = results.map(({ url, messagesPerSecond, p50Us, p99Us, lost }) => [
    url,
    formatCount(messagesPerSecond),
    formatMicros(p50Us),
    formatMicros(p99Us),
    formatCount(lost),
  ]);
  return table(columns, rows, process.stdout);
}
