// A bar chart as SVG: one bar for each contestant, a whisker from its slowest to its fastest round. Readable on light and on
// dark pages: no background, colours that change with the reader's scheme.

import type { Report, ThroughputRow } from '../scenarios/scenario.ts';
import { conditionsLine, rate } from './text.ts';

const WIDTH = 860;
const LABEL_WIDTH = 290;
const VALUE_WIDTH = 80;
const BAR_HEIGHT = 16;
const ROW_HEIGHT = 26;
const TOP = 54;
const BOTTOM = 34;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .small { font-size: 11px; fill: #59636e; }
  .naru { fill: #0969da; }
  .rival { fill: #8c959f; }
  .whisker { stroke: #1f2328; stroke-width: 1.2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9198a1; }
    .naru { fill: #4493f8; }
    .rival { fill: #6e7681; }
    .whisker { stroke: #e6edf3; }
  }`;

export function asChart(report: Report): string {
  const rows = [...report.throughput].sort((a, b) => b.messagesPerSecond.median - a.messagesPerSecond.median);
  const most = Math.max(...rows.map((row) => row.messagesPerSecond.max));
  const perUnit = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / most;
  const height = TOP + rows.length * ROW_HEIGHT + BOTTOM;
  const title = `${report.title}: messages per second`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}">`,
    `<style>${STYLE}\n</style>`,
    `<text class="title" x="0" y="20">${escape(title)}</text>`,
    `<text class="small" x="0" y="38">median of ${report.rounds} rounds; the line spans the slowest and the fastest round</text>`,
    ...rows.map((row, index) => bar(row, TOP + index * ROW_HEIGHT, perUnit)),
    `<text class="small" x="0" y="${height - 10}">${escape(conditionsLine(report.conditions))}</text>`,
    '</svg>',
    '',
  ].join('\n');
}

function bar({ label, isNaru, messagesPerSecond }: ThroughputRow, y: number, perUnit: number): string {
  const { median, min, max } = messagesPerSecond;
  const at = (value: number): string => (LABEL_WIDTH + value * perUnit).toFixed(1);
  const middle = y + BAR_HEIGHT / 2;
  return [
    `<text x="${LABEL_WIDTH - 8}" y="${y + 13}" text-anchor="end">${escape(label)}</text>`,
    `<rect class="${isNaru ? 'naru' : 'rival'}" x="${LABEL_WIDTH}" y="${y}" width="${(median * perUnit).toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
    `<line class="whisker" x1="${at(min)}" y1="${middle}" x2="${at(max)}" y2="${middle}"/>`,
    `<text x="${(LABEL_WIDTH + max * perUnit + 6).toFixed(1)}" y="${y + 13}">${rate(median)}</text>`,
  ].join('');
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
