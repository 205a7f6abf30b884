// The page that `naru bench --report` writes: bars in SVG, no script, nothing from elsewhere. Pure.

import { formatCount, formatMicros } from './output.ts';

/** What the JSON document says of one URL. */
export interface BenchResult {
  readonly url: string;
  readonly messagesPerSecond: number;
  readonly p50Us: number | null;
  readonly p99Us: number | null;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly rounds: readonly number[];
}

/** What the figures depend on. */
export interface Machine {
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
}

/** What is drawn: the same document that `--json` prints. */
export interface BenchDocument {
  readonly machine: Machine;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly results: readonly BenchResult[];
}

const WIDTH = 900;
const LABEL = 260;
const BAR = 26;
const STEP = 38;

/** The page, complete. */
export function drawReport({ machine, settings, results }: BenchDocument): string {
  const stated = Object.entries(settings).map(([name, value]) => `${name} ${String(value)}`);
  const conditions = [
    machine.cpu,
    `${machine.cores} cores`,
    machine.platform,
    `Node ${machine.node}`,
    ...stated,
  ];
  const charts = [
    chart('Messages a second (more is better)', results, (one) => one.messagesPerSecond, formatCount),
    chart('Median time from send to receive (less is better)', results, (one) => one.p50Us, formatMicros),
    chart('99th percentile of the same', results, (one) => one.p99Us, formatMicros),
  ];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>naru bench</title>
<style>
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
  body { max-width: ${WIDTH}px; margin: 2rem auto; padding: 0 1rem; }
  svg { width: 100%; height: auto; } text { fill: currentColor; font-size: 14px; } rect { fill: #2f7f86; }
  p { opacity: .75; }
</style>
<h1>naru bench</h1>
<p>${escape(conditions.join(' · '))}</p>
${charts.join('\n')}
</html>
`;
}

function chart(
  title: string,
  results: readonly BenchResult[],
  valueOf: (result: BenchResult) => number | null,
  format: (value: number) => string,
): string {
  const most = Math.max(1e-9, ...results.map((result) => valueOf(result) ?? 0));
  const room = WIDTH - LABEL - 120;
  const bars = results.map((result, index) => {
    const value = valueOf(result);
    const length = Math.max(1, ((value ?? 0) / most) * room);
    const y = index * STEP;
    const middle = y + BAR / 2 + 5;
    return `<text x="0" y="${middle}">${escape(result.url)}</text><rect x="${LABEL}" y="${y}" width="${length.toFixed(1)}" height="${BAR}" rx="3"/><text x="${(LABEL + length + 8).toFixed(1)}" y="${middle}">${escape(value === null ? '-' : format(value))}</text>`;
  });
  return `<h2>${escape(title)}</h2>\n<svg viewBox="0 0 ${WIDTH} ${results.length * STEP}" role="img" aria-label="${escape(title)}">${bars.join('')}</svg>`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
