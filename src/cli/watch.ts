// naru watch: shows changes of a shared map, of one entry of it, or of a shared value, as they come.

import { isNaruError } from '../errors/index.ts';
import { command, type Command, type Invocation, wholeNumber } from './command.ts';
import { EXIT, type Ending, UsageError } from './exit.ts';
import { print } from './output.ts';
import { findTarget, type Target, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';

const ARGS = {
  url: URL_ARGUMENT,
  key: {
    type: 'positional',
    required: false,
    description: 'the entry of a map; without it all of them, or a value',
  },
  count: { type: 'string', valueHint: 'n', description: 'end after so many changes' },
  start: { type: 'boolean', description: 'show what is there already first' },
  'url-file': URL_FILE_FLAG,
} as const;

/** A value has no watch of its own: it is looked at so often. */
const LOOK_MS = 50;

export const watch: Command = command({
  name: 'watch',
  description: 'Shows changes of a shared map, of one of its entries, or of a shared value, as they come',
  args: ARGS,
  notes: `
One JSON object a line: {"key":…,"value":…}, with "deleted":true and no value for an entry that is gone; of a value {"value":…}. Changes that
come faster than they are shown are joined: the last state is always shown. Runs until it is interrupted, or --count. Creates nothing.`,
  examples: [
    'naru watch shm://settings',
    'naru watch shm://settings theme --count 1',
    'naru watch shm://counter',
  ],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  const count = wholeNumber(args.count, 'count', 1, 1_000_000_000) ?? Number.POSITIVE_INFINITY;
  const target = await findTarget(positionals, args['url-file']);
  const [key, ...more] = target.rest;
  if (more.length > 0) throw new UsageError(`too many arguments: "${more[0]}"`);
  const from = args.start === true ? 'start' : 'now';
  try {
    if (key === undefined && (await watchValue(target, from, count, ending))) return EXIT.done;
    return await watchMap(target, key, from, count, ending);
  } catch (error) {
    // Asked to stop: what came was shown.
    if (ending.signal.aborted && error === ending.signal.reason) return EXIT.done;
    throw error;
  }
}

async function watchMap(
  target: Target,
  key: string | undefined,
  from: 'now' | 'start',
  count: number,
  ending: Ending,
): Promise<number> {
  const { openTheMap } = await import('./shared-state.ts');
  await using map = await openTheMap(target, false, ending);
  let left = count;
  for await (const { key: changed, entry } of map.watch(key, { from, signal: ending.signal })) {
    const shown =
      entry === undefined ? { key: changed, deleted: true } : { key: changed, value: entry.value };
    await print(`${JSON.stringify(shown)}\n`);
    left -= 1;
    if (left === 0) break;
  }
  return EXIT.done;
}

/** @returns false when it is no value */
async function watchValue(
  target: Target,
  from: 'now' | 'start',
  count: number,
  ending: Ending,
): Promise<boolean> {
  const { lineOf, openTheValue } = await import('./shared-state.ts');
  const value = await openTheValue(target, ending).catch((error: unknown) => {
    if (!isNaruError(error, 'NARU_EXISTS') && !isNaruError(error, 'NARU_INVALID_ARGUMENT')) throw error;
    return undefined;
  });
  if (value === undefined) return false;
  await using held = value;
  let last = from === 'start' ? undefined : lineOf(await held.get());
  for (let left = count; left > 0; ) {
    const now = lineOf(await held.get());
    if (now !== last) {
      last = now;
      left -= 1;
      await print(`{"value":${now}}\n`);
    } else await pause(ending.signal);
  }
  return true;
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, LOOK_MS);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
