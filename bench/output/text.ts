// A report's numbers as text, and columns for the terminal: the ways of writing that all outputs share.

import type { Conditions } from '../harness/conditions.ts';
import type { Part } from '../scenarios/scenario.ts';

/** 2.31 M, 410 k */
export function rate(messagesPerSecond: number): string {
  if (messagesPerSecond >= 999_500) return `${(messagesPerSecond / 1e6).toFixed(2)} M`;
  if (messagesPerSecond >= 9_950) return `${Math.round(messagesPerSecond / 1000)} k`;
  return String(Math.round(messagesPerSecond));
}

/** A figure of a part in its unit, without it. @param bodyBytes  decides only where the unit counts bytes */
export function figure(value: number, unit: Part['unit'], bodyBytes: number): string {
  if (unit === 'msg/s') return rate(value);
  if (unit === 'GB/s') return ((value * bodyBytes) / 1e9).toFixed(2);
  if (unit === 'ns') return (value * 1000).toFixed(0);
  return value < 100 ? value.toFixed(1) : value.toFixed(0);
}

/** 64 B, 64 KiB, 1 MiB */
export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  return count < 1024 * 1024 ? `${count / 1024} KiB` : `${count / 1024 / 1024} MiB`;
}

/** One line: what every figure of the run was measured on. */
export function conditionsLine(conditions: Conditions): string {
  const { node, cpu, cores, memoryGiB, system, loadBefore, loadAfter, date } = conditions;
  return (
    `Node ${node} on ${cores} cores (${cpu}), ${memoryGiB} GiB, ${system}; ` +
    `load average ${loadBefore} before, ${loadAfter} after; ${date}`
  );
}

/** Columns of equal width, numbers to the right. */
export function columns(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  return [line(head), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}
