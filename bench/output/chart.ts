// A bar chart of one part as SVG: one bar for each contestant, a whisker from its lowest to its highest round. Readable on light
// and on dark pages: no background, colours that change with the reader's scheme.

import type { Part, Report } from '../scenarios/scenario.ts';
import { conditionsLine, figure } from './text.ts';

const WIDTH = 860;
const LABEL_WIDTH = 300;
const VALUE_WIDTH = 80;
const BAR_HEIGHT = 16;
const ROW_HEIGHT = 26;
const TOP = 54;
const BOTTOM = 34;

// All of it under one class: inside a page it must not be the style of the rest.
const STYLE = `
  .chart text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .chart .title { font-size: 15px; font-weight: 600; }
  .chart .small { font-size: 11px; fill: #59636e; }
  .chart .naru { fill: #0969da; }
  .chart .rival { fill: #8c959f; }
  .chart .whisker { stroke: #1f2328; stroke-width: 1.2; }
  @media (prefers-color-scheme: dark) {
    .chart text { fill: #e6edf3; }
    .chart .small { fill: #9198a1; }
    .chart .naru { fill: #4493f8; }
    .chart .rival { fill: #6e7681; }
    .chart .whisker { stroke: #e6edf3; }
  }`;

interface Bar {
  readonly label: string;
  readonly isNaru: boolean;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** The median as text. */
  readonly text: string;
}

/** @param where  `alone`: a file, which tells its conditions itself; `inside`: of a page that has them already */
export function asChart(part: Part, report: Report, where: 'alone' | 'inside' = 'alone'): string {
  const bars = barsOf(part, report);
  const most = Math.max(...bars.map(({ max }) => max));
  const perUnit = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / most;
  const height = TOP + bars.length * ROW_HEIGHT + BOTTOM;
  const isTime = part.unit === 'ns' || part.unit === 'µs';
  const better = isTime ? 'shorter is better' : 'longer is better';
  const what = isTime ? `p50 in ${part.unit}` : part.unit;
  return [
    `<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(`${part.title}: bar chart`)}">`,
    `<style>${STYLE}\n</style>`,
    `<text class="title" x="0" y="20">${escape(part.title)}</text>`,
    `<text class="small" x="0" y="38">${escape(what)}: median of ${report.rounds} rounds, ${better}; the line spans the lowest and the highest round</text>`,
    ...bars.map((bar, index) => drawn(bar, TOP + index * ROW_HEIGHT, perUnit)),
    where === 'alone'
      ? `<text class="small" x="0" y="${height - 10}">${escape(conditionsLine(report.conditions))}</text>`
      : '',
    '</svg>',
    '',
  ].join('\n');
}

/** Best first. */
function barsOf({ id, unit }: Part, { throughput, latency }: Report): Bar[] {
  const rates = throughput
    .filter(({ part }) => part === id)
    .map(({ label, isNaru, bodyBytes, messagesPerSecond }) => {
      const scale = unit === 'GB/s' ? bodyBytes : 1;
      const { median, min, max } = messagesPerSecond;
      const text = figure(median, unit, bodyBytes);
      return { label, isNaru, median: median * scale, min: min * scale, max: max * scale, text };
    });
  const times = latency
    .filter(({ part }) => part === id)
    .map(({ label, isNaru, bodyBytes, p50Us: { median, min, max } }) => {
      return { label, isNaru, median, min, max, text: figure(median, unit, bodyBytes) };
    });
  return [...rates.sort((a, b) => b.median - a.median), ...times.sort((a, b) => a.median - b.median)];
}

function drawn({ label, isNaru, median, min, max, text }: Bar, y: number, perUnit: number): string {
  const at = (value: number): string => (LABEL_WIDTH + value * perUnit).toFixed(1);
  const middle = y + BAR_HEIGHT / 2;
  return [
    `<text x="${LABEL_WIDTH - 8}" y="${y + 13}" text-anchor="end">${escape(label)}</text>`,
    `<rect class="${isNaru ? 'naru' : 'rival'}" x="${LABEL_WIDTH}" y="${y}" width="${(median * perUnit).toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
    `<line class="whisker" x1="${at(min)}" y1="${middle}" x2="${at(max)}" y2="${middle}"/>`,
    `<text x="${(LABEL_WIDTH + max * perUnit + 6).toFixed(1)}" y="${y + 13}">${escape(text)}</text>`,
  ].join('');
}

/** For the inside of an element or of an attribute in double quotes. */
export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
