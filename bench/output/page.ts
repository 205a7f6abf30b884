// Writes a report into docs/reference: its part of benchmarks.md, between two marks, and its chart.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Report } from '../scenarios/scenario.ts';
import { asChart } from './chart.ts';
import { asMarkdown } from './tables.ts';

// From build/bench/output/ to the package's root.
const PAGE = fileURLToPath(new URL('../../../docs/reference/benchmarks.md', import.meta.url));

const HEAD = `# Benchmarks

Written by \`npm run bench -- <scenario> --markdown\`; not edited by hand. All contestants of a scenario run in one run on
one machine and take turns, so trust the ratios more than the figures: another machine has others. Producer and consumer are
separate processes (with \`postMessage\` a worker thread, with \`memory://\` the same thread). The consumer looks at both
ends of every body and checks that every message comes, once and in order; time is taken at the consumer from the first
message to the last. CPU time is that of the producer plus that of the consumer, all threads: it says what a message costs
also where the machine was not idle.

Everybody does their best. Both raw sockets put a length before each body; the batched one writes 64 KiB of frames at a time,
cuts bodies out of its reads without copying, and promises nothing: no receipts, no redelivery, one producer. JSON has no
bytes, so \`process.send\` carries them once as base64 and once as a text of 64 characters, for those who need no bytes.
ZeroMQ holds 10,000 messages on each side. Naru runs with its defaults and \`codec: 'bytes'\`, through the public API.
`;

/** @returns the files that were written */
export function writePage(report: Report): string[] {
  mkdirSync(dirname(PAGE), { recursive: true });
  const chartFile = `benchmark-${report.scenario}.svg`;
  const chart = join(dirname(PAGE), chartFile);
  const before = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : HEAD;
  writeFileSync(PAGE, replacePart(before, report.scenario, asMarkdown(report, chartFile)));
  writeFileSync(chart, asChart(report));
  return [PAGE, chart];
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
