// A report's parts as tables of cells, for the terminal, for Markdown and for the HTML report alike.

import type { Goal, LatencyRow, Part, Report, ThroughputRow } from '../scenarios/scenario.ts';
import { columns, conditionsLine, figure, rate } from './text.ts';

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The table of one part; no rows where none of its contestants ran. */
export function tableOf(part: Part, report: Report): Table {
  const throughput = report.throughput.filter((row) => row.part === part.id);
  const latency = report.latency.filter((row) => row.part === part.id);
  return latency.length > 0 ? latencyTable(part, latency) : throughputTable(part, throughput);
}

/** The ratio to the fastest contestant of the anchor, where the part has one. */
function throughputTable({ unit, anchor }: Part, rows: readonly ThroughputRow[]): Table {
  const best = Math.max(
    ...rows
      .filter(({ id }) => anchor !== undefined && id.startsWith(anchor.id))
      .map((row) => row.messagesPerSecond.median),
  );
  const cells = (row: ThroughputRow): string[] => {
    const { label, messagesPerSecond, messagesPerRound, cpuNsPerMessage, bodyBytes } = row;
    const { median, min, max } = messagesPerSecond;
    const ratio = Number.isFinite(best) ? (median / best).toFixed(median < best * 10 ? 1 : 0) : '–';
    const cpu = `${cpuNsPerMessage.producer} + ${cpuNsPerMessage.consumer}`;
    const figures = [median, min, max].map((value) => figure(value, unit, bodyBytes));
    return [label, ...figures, ...(anchor === undefined ? [] : [ratio]), cpu, rate(messagesPerRound)];
  };
  const against = anchor === undefined ? [] : [`× ${anchor.label}`];
  return {
    head: ['throughput', `${unit}, median`, 'min', 'max', ...against, 'CPU ns/msg', 'messages a round'],
    rows: rows.map(cells),
  };
}

function latencyTable({ unit, trip = 'round trip' }: Part, rows: readonly LatencyRow[]): Table {
  return {
    head: [
      trip,
      `p50 ${unit}, median`,
      'min',
      'max',
      `p99 ${unit}, median`,
      `${trip}s a round`.replace('ways', 'trips'),
    ],
    rows: rows.map(({ label, p50Us, p99Us, bodyBytes, roundTripsPerRound }) => [
      label,
      ...[p50Us.median, p50Us.min, p50Us.max, p99Us.median].map((value) => figure(value, unit, bodyBytes)),
      String(roundTripsPerRound),
    ]),
  };
}

/** What was measured, as text: without the goal. */
export function goalFigure({ measured, unit }: Goal): string {
  return measured === undefined ? 'not measured' : inUnit(measured, unit);
}

export function goalBound({ bound, wanted, unit }: Goal): string {
  if (bound === 'none') return 'no goal';
  const text = unit === '×' ? `${wanted} ×` : inUnit(wanted, unit);
  return `at ${bound} ${text}`;
}

export function goalVerdict({ bound, met }: Goal): string {
  if (bound === 'none') return 'told';
  return met ? 'met' : 'not met';
}

function inUnit(value: number, unit: Goal['unit']): string {
  if (unit === '×') return `${value.toFixed(2)} ×`;
  return unit === 'ns' ? `${value.toFixed(0)} ns` : `${rate(value)} msg/s`;
}

export function goalLine(goal: Goal): string {
  const bound = goal.bound === 'none' ? goalBound(goal) : `goal: ${goalBound(goal)}`;
  return `${goalVerdict(goal)}: ${goal.text}: ${goalFigure(goal)} (${bound})`;
}

/** The report for people at a terminal. */
export function asText(report: Report): string {
  const parts = [report.title, conditionsLine(report.conditions), ''];
  for (const part of report.parts) {
    const { head, rows } = tableOf(part, report);
    if (rows.length > 0) parts.push(part.title, columns(head, rows), '');
  }
  for (const { label, reason } of report.missing) parts.push(`could not run: ${label}: ${firstLine(reason)}`);
  parts.push(...report.goals.map(goalLine));
  return parts.join('\n');
}

/** The report's section of docs/reference/benchmarks.md. @param chartFile  of a part, next to the page */
export function asMarkdown(report: Report, chartFile: (part: Part) => string): string {
  const lines = [
    `## ${report.title}`,
    '',
    `${conditionsLine(report.conditions)}. ${report.rounds} rounds in turn after a warm-up.`,
    '',
  ];
  for (const part of report.parts) {
    const table = tableOf(part, report);
    if (table.rows.length === 0) continue;
    lines.push(
      `### ${part.title}`,
      '',
      part.note,
      '',
      `![Bar chart of the table below](${chartFile(part)})`,
      '',
    );
    lines.push(...markdownTable(table), '');
  }
  lines.push(
    ...report.goals.map((goal) => `- ${goalLine(goal)}`),
    ...report.missing.map(({ label, reason }) => `- could not run: ${label}: ${firstLine(reason)}`),
  );
  return lines.join('\n');
}

function markdownTable({ head, rows }: Table): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|---${'|---:'.repeat(head.length - 1)}|`, ...rows.map(line)];
}

export function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
