// naru get: shows an entry of a shared map, all of them, or a shared value.

import { isNaruError, NaruError } from '../errors/index.ts';
import { command, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError } from './exit.ts';
import { ByteWriter, print } from './output.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';

const ARGS = {
  url: URL_ARGUMENT,
  key: {
    type: 'positional',
    required: false,
    description: 'the entry of a map; without it all of them, or a value',
  },
  'url-file': URL_FILE_FLAG,
} as const;

export const get: Command = command({
  name: 'get',
  description: 'Shows an entry of a shared map, all of its entries, or a shared value',
  args: ARGS,
  notes: `
An entry is shown as one line of JSON; all of them as one JSON object a line, {"key":…,"value":…}. Creates nothing. Exit code 1 with
NARU_NOT_FOUND when there is no such map, value or entry.`,
  examples: [
    'naru get shm://settings theme',
    'naru get shm://counter',
    'naru get redis://127.0.0.1:6379/0?map=jobs a',
  ],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  const target = await findTarget(positionals, args['url-file']);
  const [key, ...more] = target.rest;
  if (more.length > 0) throw new UsageError(`too many arguments: "${more[0]}"`);
  const { lineOf, openTheMap, openTheValue } = await import('./shared-state.ts');
  if (key === undefined) {
    try {
      await using value = await openTheValue(target, ending);
      await print(`${lineOf(await value.get())}\n`);
      return EXIT.done;
    } catch (error) {
      // It is a map, or of a place without values.
      if (!isNaruError(error, 'NARU_EXISTS') && !isNaruError(error, 'NARU_INVALID_ARGUMENT')) throw error;
    }
  }
  await using map = await openTheMap(target, false, ending);
  if (key !== undefined) {
    const value = await map.get(key);
    if (value === undefined)
      throw new NaruError('NARU_NOT_FOUND', `${map.address} has no entry "${key.slice(0, 80)}"`);
    await print(`${lineOf(value)}\n`);
    return EXIT.done;
  }
  const out = new ByteWriter();
  for await (const entry of map.entries())
    out.addLine(Buffer.from(JSON.stringify({ key: entry.key, value: entry.value }), 'utf8'));
  await out.flush();
  return EXIT.done;
}
