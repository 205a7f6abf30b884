// Writes a report into docs/reference: its section of benchmarks.md, between two marks, and a chart for each of its parts.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Part, Report } from '../scenarios/scenario.ts';
import { asChart } from './chart.ts';
import { asMarkdown, tableOf } from './tables.ts';

// From build/bench/output/ to the package's root.
const PAGE = fileURLToPath(new URL('../../../docs/reference/benchmarks.md', import.meta.url));

const HEAD = `# Benchmarks

Written by \`npm run bench -- <scenario> --markdown\`; not edited by hand. All contestants of a table run in one run on
one machine and take turns, so trust the ratios more than the figures: another machine has others. Producer and consumer are
separate processes unless the label says otherwise (with \`postMessage\` a worker thread, with \`memory://\` the same thread). The
consumer looks at both ends of every body and checks that every message comes, once and in order; time is taken at the consumer
from the first message to the last. CPU time is that of the producer plus that of the consumer, all threads: it says what a
message costs also where the machine was not idle. A goal that is a ratio is the median of the ratios of each round.
`;

/** @returns the files that were written */
export function writePage(report: Report): string[] {
  const folder = dirname(PAGE);
  mkdirSync(folder, { recursive: true });
  const chartFile = ({ id }: Part): string =>
    `benchmark-${[...new Set([report.scenario, id])].join('-')}.svg`;
  const before = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : HEAD;
  writeFileSync(PAGE, replacePart(before, report.scenario, asMarkdown(report, chartFile)));
  const charts = report.parts
    .filter((part) => tableOf(part, report).rows.length > 0)
    .map((part) => {
      const file = join(folder, chartFile(part));
      writeFileSync(file, asChart(part, report));
      return file;
    });
  return [PAGE, ...charts];
}

/** The head is always today's; the parts of other scenarios stay. */
function replacePart(page: string, name: string, body: string): string {
  const parts = page.indexOf('<!-- bench:');
  const before = `${HEAD}\n${parts < 0 ? '' : page.slice(parts)}`;
  return replaceMarked(before, name, body);
}

function replaceMarked(page: string, name: string, body: string): string {
  const [start, end] = [`<!-- bench: ${name} -->`, `<!-- /bench: ${name} -->`];
  const from = page.indexOf(start);
  const to = page.indexOf(end);
  const part = `${start}\n${body}\n${end}`;
  if (from < 0 || to < from) return `${page.trimEnd()}\n\n${part}\n`;
  return `${page.slice(0, from)}${part}${page.slice(to + end.length)}`;
}
