// naru set: sets an entry of a shared map, or a shared value.

import { NaruError, isNaruError } from '../errors/index.ts';
import { atMostOne, command, type Command, type Invocation, wholeNumber } from './command.ts';
import { EXIT, type Ending, UsageError } from './exit.ts';
import { findTarget, type Target, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';

const ARGS = {
  url: URL_ARGUMENT,
  key: { type: 'positional', required: false, description: 'the entry of a map; left out for a value' },
  value: { type: 'positional', required: false, description: 'JSON, or any other text as it is' },
  text: { type: 'boolean', description: 'the value is text, even where it looks like JSON' },
  'if-absent': {
    type: 'boolean',
    description: 'only where there is no entry; else exit code 1 with NARU_EXISTS',
  },
  ttl: { type: 'string', valueHint: 'ms', description: 'the entry expires so many milliseconds from now' },
  type: {
    type: 'string',
    valueHint: 'code',
    description: 'of a value that is made: i32, f64, bool, text:64, …',
  },
  delete: { type: 'boolean', description: 'delete the entry instead; takes no value' },
  'url-file': URL_FILE_FLAG,
} as const;

export const set: Command = command({
  name: 'set',
  description: 'Sets an entry of a shared map, or a shared value',
  args: ARGS,
  notes: `
A map that is not there is made, and stays until naru rm, unless its URL says otherwise (owner=users); so is a value, with --type.`,
  examples: [
    'naru set shm://settings theme dark',
    `naru set shm://settings limits '{"cpu":2}' --ttl 60000`,
    'naru set shm://counter 5 --type i64',
  ],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  atMostOne(args, 'delete', 'ttl');
  atMostOne(args, 'delete', 'if-absent');
  const ttlMs = wholeNumber(args.ttl, 'ttl', 1, 2 ** 31 - 1);
  const target = await findTarget(positionals, args['url-file']);
  const [first, second, ...more] = target.rest;
  if (more.length > 0) throw new UsageError(`too many arguments: "${more[0]}"`);
  if (first === undefined)
    throw new UsageError('give a key and a value, or of a shared value the value alone');
  if (args.delete) {
    if (second !== undefined) throw new UsageError('--delete takes no value');
    return remove(target, first, ending);
  }
  if (second === undefined) return setValue(target, first, args.type, ending);
  const { openTheMap, valueFrom } = await import('./shared-state.ts');
  await using map = await openTheMap(target, true, ending);
  const isStored = await map.set(first, valueFrom(second, args.text === true), {
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(args['if-absent'] ? { ifAbsent: true } : {}),
  });
  if (!isStored)
    throw new NaruError('NARU_EXISTS', `${map.address} has an entry "${first.slice(0, 80)}" already`);
  return EXIT.done;
}

async function remove(target: Target, key: string, ending: Ending): Promise<number> {
  const { openTheMap } = await import('./shared-state.ts');
  await using map = await openTheMap(target, false, ending);
  if (await map.delete(key)) return EXIT.done;
  throw new NaruError('NARU_NOT_FOUND', `${map.address} has no entry "${key.slice(0, 80)}"`);
}

async function setValue(
  target: Target,
  text: string,
  type: string | undefined,
  ending: Ending,
): Promise<number> {
  const { openTheValue, typedFrom } = await import('./shared-state.ts');
  const value = await openTheValue(target, ending).catch((error: unknown) => {
    if (type === undefined || !isNaruError(error, 'NARU_NOT_FOUND')) throw error;
    return makeValue(target.url, type, ending);
  });
  await using held = value;
  if (type !== undefined && type !== held.type)
    throw new NaruError('NARU_EXISTS', `${held.address} is ${held.type}, not ${type}`);
  await held.set(typedFrom(text, held.type));
  return EXIT.done;
}

async function makeValue(url: string, type: string, ending: Ending) {
  const { openValue } = await import('../open-state.ts');
  return openValue(url, type as 'i32', { owner: 'system', signal: ending.signal });
}
