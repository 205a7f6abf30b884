// A report as one HTML page that needs nothing else: a chart and, beside it, the table with the same figures for each part, what
// was measured and on what. Light and dark as the reader's system has it.

import type { Part, Report } from '../scenarios/scenario.ts';
import { asChart, escape } from './chart.ts';
import { firstLine, goalBound, goalFigure, goalVerdict, type Table, tableOf } from './tables.ts';
import { figure } from './text.ts';

const STYLE = `
:root { color-scheme: light dark; --text: #1f2328; --soft: #59636e; --page: #fff; --line: #d1d9e0; --met: #1a7f37; --missed: #d1242f; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --soft: #9198a1; --page: #0d1117; --line: #3d444d; --met: #3fb950; --missed: #f85149; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
p.note, dd, figcaption { color: var(--soft); }
p.note { max-width: 50rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; } dt { font-weight: 600; } dd { margin: 0; }
figure { margin: 1rem 0; } svg { max-width: 54rem; width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .25rem; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .75rem; text-align: right; font-weight: 400; }
th[scope=col] { font-weight: 600; } th:first-child, td:first-child { text-align: left; padding-left: 0; }
.met { color: var(--met); } .missed { color: var(--missed); }`;

export function asHtml(report: Report): string {
  const shown = report.parts.filter((part) => tableOf(part, report).rows.length > 0);
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>Naru bench: ${escape(report.title)}</title>`,
    `<style>${STYLE}\n</style>`,
    '</head>',
    '<body>',
    '<main>',
    `<h1>${escape(report.title)}</h1>`,
    conditions(report),
    goals(report),
    ...shown.map((part) => section(part, report)),
    missing(report),
    '</main>',
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

function conditions({ conditions: own, rounds, secondsPerRound }: Report): string {
  const facts: readonly (readonly [string, string])[] = [
    ['Machine', `${own.cpu}, ${own.cores} cores, ${own.memoryGiB} GiB, ${own.system}`],
    ['Node', `${own.node} (V8 ${own.v8})`],
    ['Load average', `${own.loadBefore} before, ${own.loadAfter} after the run`],
    ['Rounds', `${rounds} in turn after a warm-up, about ${secondsPerRound} s each where rates are measured`],
    ['Date', own.date],
  ];
  const rows = facts.map(([name, text]) => `<dt>${name}</dt><dd>${escape(text)}</dd>`);
  return ['<h2>Conditions</h2>', '<dl>', ...rows, '</dl>'].join('\n');
}

function goals({ goals: all }: Report): string {
  const rows = all.map((goal) => {
    const verdict = goalVerdict(goal);
    const mark = verdict === 'met' ? ' class="met"' : verdict === 'not met' ? ' class="missed"' : '';
    const cells = [goalFigure(goal), goalBound(goal)].map((text) => `<td>${escape(text)}</td>`).join('');
    return `<tr><th scope="row">${escape(goal.text)}</th>${cells}<td${mark}>${verdict}</td></tr>`;
  });
  const head = ['goal', 'measured', 'wanted', 'verdict']
    .map((title) => `<th scope="col">${title}</th>`)
    .join('');
  return [
    '<h2>Goals</h2>',
    `<div class="scroll"><table><caption>Ratios are medians of the ratios of each round.</caption><thead><tr>${head}</tr></thead>`,
    `<tbody>${rows.join('\n')}</tbody></table></div>`,
  ].join('\n');
}

function section(part: Part, report: Report): string {
  return [
    `<h2 id="${part.id}">${escape(part.title)}</h2>`,
    `<p class="note">${escape(part.note)}</p>`,
    `<figure>${asChart(part, report, 'inside').trim()}<figcaption>The same figures stand in the table below.</figcaption></figure>`,
    table(withRounds(part, report), `${part.title}: all figures`),
  ].join('\n');
}

/** The part's table and, in one more column, each round, so that the spread can be seen. */
function withRounds(part: Part, report: Report): Table {
  const { head, rows } = tableOf(part, report);
  const series = [
    ...report.throughput.map((row) => ({ row, rounds: row.messagesPerSecond.rounds })),
    ...report.latency.map((row) => ({ row, rounds: row.p50Us.rounds })),
  ].filter(({ row }) => row.part === part.id);
  const texts = series.map(({ row, rounds }) =>
    rounds.map((value) => figure(value, part.unit, row.bodyBytes)).join(' · '),
  );
  return { head: [...head, 'each round'], rows: rows.map((row, index) => [...row, texts[index] ?? '']) };
}

function table({ head, rows }: Table, caption: string): string {
  const titles = head.map((title) => `<th scope="col">${escape(title)}</th>`).join('');
  const body = rows.map(([first = '', ...rest]) => {
    const cells = rest.map((text) => `<td>${escape(text)}</td>`).join('');
    return `<tr><th scope="row">${escape(first)}</th>${cells}</tr>`;
  });
  return [
    `<div class="scroll"><table><caption>${escape(caption)}</caption><thead><tr>${titles}</tr></thead>`,
    `<tbody>${body.join('\n')}</tbody></table></div>`,
  ].join('\n');
}

function missing({ missing: all }: Report): string {
  if (all.length === 0) return '';
  const items = all.map(({ label, reason }) => `<li>${escape(label)}: ${escape(firstLine(reason))}</li>`);
  return ['<h2>Could not run</h2>', '<ul>', ...items, '</ul>'].join('\n');
}
