// Plays one script against two brokers and tells the first difference.

import { play } from './play.fixture.ts';
import type { Script } from './step.fixture.ts';

/** @returns what differs first, for people; empty when nothing does */
export async function compare(reference: string, subject: string, script: Script): Promise<string> {
  const [expected, found] = await Promise.all([play(reference, script), play(subject, script)]);
  const at = expected.findIndex((lines, index) => lines.join('\n') !== found[index]?.join('\n'));
  if (at < 0) return '';
  const done = script.slice(0, at + 1).map((step) => JSON.stringify(step));
  const show = (lines: readonly string[] = []): string => lines.map((line) => `\n    ${line}`).join('');
  return `after\n  ${done.join('\n  ')}\n  RabbitMQ:${show(expected[at])}\n  Naru:${show(found[at])}`;
}
