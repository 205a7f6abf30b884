// A report as text for the terminal, and the ways of writing numbers that all outputs share.

import type { Conditions } from '../harness/conditions.ts';

/** 2.31 M, 410 k */
export function rate(messagesPerSecond: number): string {
  if (messagesPerSecond >= 999_500) return `${(messagesPerSecond / 1e6).toFixed(2)} M`;
  return `${Math.round(messagesPerSecond / 1000)} k`;
}

export function micros(us: number): string {
  return us < 100 ? us.toFixed(1) : us.toFixed(0);
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
