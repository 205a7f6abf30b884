// A report's rows as cells, for the terminal and for Markdown alike.

import type { Goal, Report, ThroughputRow } from '../scenarios/scenario.ts';
import { columns, conditionsLine, micros, rate } from './text.ts';

interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Each against the fastest `process.send`, which everybody has. */
function throughputTable({ throughput }: Report): Table {
  const anchor = Math.max(
    ...throughput
      .filter(({ id }) => id.startsWith('process.send'))
      .map((row) => row.messagesPerSecond.median),
  );
  const cells = ({
    label,
    messagesPerSecond,
    messagesPerRound,
    cpuNsPerMessage,
  }: ThroughputRow): string[] => {
    const { median, min, max } = messagesPerSecond;
    const ratio = Number.isFinite(anchor) ? (median / anchor).toFixed(median < anchor * 10 ? 1 : 0) : '–';
    const cpu = `${cpuNsPerMessage.producer} + ${cpuNsPerMessage.consumer}`;
    return [label, rate(median), rate(min), rate(max), ratio, cpu, rate(messagesPerRound)];
  };
  return {
    head: ['throughput', 'msg/s, median', 'min', 'max', '× process.send', 'CPU ns/msg', 'messages a round'],
    rows: throughput.map(cells),
  };
}

function latencyTable({ latency }: Report): Table {
  return {
    head: ['round trip', 'p50 µs, median', 'min', 'max', 'p99 µs, median', 'round trips a round'],
    rows: latency.map(({ label, p50Us, p99Us, roundTripsPerRound }) => [
      label,
      micros(p50Us.median),
      micros(p50Us.min),
      micros(p50Us.max),
      micros(p99Us.median),
      String(roundTripsPerRound),
    ]),
  };
}

export function goalLine({ text, wanted, measured, unit, met }: Goal): string {
  const show = (value: number): string => (unit === '×' ? `${value.toFixed(2)} ×` : `${rate(value)} msg/s`);
  const figure = measured === undefined ? 'not measured' : show(measured);
  return `${met ? 'met' : 'not met'}: ${text}: ${figure} (goal: at least ${unit === '×' ? `${wanted} ×` : show(wanted)})`;
}

/** The report for people at a terminal. */
export function asText(report: Report): string {
  const parts = [report.title, conditionsLine(report.conditions), ''];
  for (const table of [throughputTable(report), latencyTable(report)]) {
    if (table.rows.length > 0) parts.push(columns(table.head, table.rows), '');
  }
  for (const { label, reason } of report.missing) parts.push(`could not run: ${label}: ${firstLine(reason)}`);
  parts.push(...report.goals.map(goalLine));
  return parts.join('\n');
}

/** The report's part of docs/reference/benchmarks.md. */
export function asMarkdown(report: Report, chartFile: string): string {
  const parts = [
    `## ${report.title}`,
    '',
    `${conditionsLine(report.conditions)}. ${report.rounds} rounds in turn after a warm-up.`,
    '',
    `![Bar chart of the table below](${chartFile})`,
    '',
    ...markdownTable(throughputTable(report)),
    '',
    ...markdownTable(latencyTable(report)),
    '',
    ...report.goals.map((goal) => `- ${goalLine(goal)}`),
    ...report.missing.map(({ label, reason }) => `- could not run: ${label}: ${firstLine(reason)}`),
  ];
  return parts.join('\n');
}

function markdownTable({ head, rows }: Table): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|---${'|---:'.repeat(head.length - 1)}|`, ...rows.map(line)];
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
