// npm run bench -- <scenario>: runs a scenario and prints its results. Standard output is the result and nothing else.

import { writeFileSync } from 'node:fs';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { asHtml } from './output/html.ts';
import { writePage } from './output/page.ts';
import { asText } from './output/tables.ts';
import { SCENARIOS } from './scenarios/index.ts';

const SECONDS = 1;
const SECONDS_QUICK = 0.2;

const CONFIG = {
  allowPositionals: true,
  options: {
    seconds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    report: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
} as const satisfies ParseArgsConfig;

const HELP = `usage: npm run bench -- <scenario> [options]

scenarios
${SCENARIOS.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

options
  --seconds N   how long one round of one contestant takes (default ${SECONDS})
  --quick       rounds of ${SECONDS_QUICK} s and fewer round trips: well under a minute a scenario
  --only TEXT   only contestants whose id contains TEXT (may be repeated)
  --json        one JSON document instead of tables
  --markdown    write docs/reference/benchmarks.md and its charts as well
  --report FILE write an HTML report as well: charts, tables, conditions; needs nothing else

example: npm run bench -- mailbox --quick --json
`;

function parse(): ReturnType<typeof parseArgs<typeof CONFIG>> {
  try {
    return parseArgs(CONFIG);
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}
function usage(why: string): never {
  process.stderr.write(`naru bench: ${why}\n\n${HELP}`);
  process.exit(2);
}

/** One line that overwrites itself at a terminal; nothing elsewhere. */
function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line}`);
}

const { values, positionals } = parse();
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const scenario = SCENARIOS.find(({ name }) => name === positionals[0]);
if (scenario === undefined) usage(`no scenario "${positionals[0] ?? ''}"`);
const seconds = Number(values.seconds ?? (values.quick ? SECONDS_QUICK : SECONDS));
if (!(seconds > 0 && seconds <= 60)) usage('--seconds takes a number from above 0 to 60');

// Through exit(), so that what was started is ended and what was made is removed.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

const report = await scenario.run({
  quick: values.quick,
  secondsPerRound: seconds,
  only: values.only,
  progress,
});
progress('');
process.stdout.write(values.json ? `${JSON.stringify(report, undefined, 2)}\n` : `${asText(report)}\n`);
if (values.markdown) {
  for (const file of writePage(report)) process.stderr.write(`wrote ${file}\n`);
}
if (values.report !== undefined) {
  writeFileSync(values.report, asHtml(report));
  process.stderr.write(`wrote ${values.report}\n`);
}
