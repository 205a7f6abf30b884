// naru update: changes an entry of a shared map, or a shared value, in one step: adds a number, replaces what is there, or asks a command.

import { spawn } from 'node:child_process';
import { NaruError } from '../errors/index.ts';
import { atMostOne, command, type Command, type Invocation } from './command.ts';
import { EXIT, type Ending, UsageError } from './exit.ts';
import { print } from './output.ts';
import { lineOf, openTheMap, openTheValue, typedFrom, valueFrom } from './shared-state.ts';
import { findTarget, type Target, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';

const ARGS = {
  url: URL_ARGUMENT,
  key: { type: 'positional', required: false, description: 'the entry of a map; left out for a value' },
  value: {
    type: 'positional',
    required: false,
    description: 'replaces what is there; JSON, or other text as it is',
  },
  add: {
    type: 'string',
    valueHint: 'n',
    description: 'add this number; an entry that is not there counts as 0',
  },
  exec: {
    type: 'string',
    valueHint: 'command',
    description: 'give it the value, as JSON; what it prints is the new one',
  },
  'url-file': URL_FILE_FLAG,
} as const;

export const update: Command = command({
  name: 'update',
  description: 'Changes an entry of a shared map, or a shared value, in one step, and shows the new value',
  args: ARGS,
  notes: `
Nobody's change in between is lost: with --exec the command runs again when somebody else was faster. A command that fails changes
nothing. A replacement needs an entry: exit code 1 with NARU_NOT_FOUND when there is none.`,
  examples: [
    'naru update shm://counters visits --add 1',
    'naru update shm://counter --add=-5',
    `naru update shm://settings limits --exec 'jq .cpu=4'`,
  ],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  atMostOne(args, 'add', 'exec');
  const target = await findTarget(positionals, args['url-file']);
  const [key, value, ...more] = target.rest;
  if (more.length > 0) throw new UsageError(`too many arguments: "${more[0]}"`);
  const ways = [args.add, args.exec, value].filter((way) => way !== undefined);
  if (ways.length !== 1) throw new UsageError('give one of --add, --exec and a new value');
  if (key === undefined) return updateValue(target, args.add, ending);
  const step = args.add === undefined ? undefined : stepOf(args.add);
  await using map = await openTheMap(target, step !== undefined, ending);
  const stored = await map.update(
    key,
    (before) => {
      if (step !== undefined) return sumOf(before, step, key);
      if (before === undefined)
        throw new NaruError('NARU_NOT_FOUND', `${map.address} has no entry "${key.slice(0, 80)}"`);
      return args.exec === undefined
        ? valueFrom(value ?? '', false)
        : answerOf(args.exec, JSON.stringify(before));
    },
    { signal: ending.signal },
  );
  await print(`${lineOf(stored)}\n`);
  return EXIT.done;
}

async function updateValue(target: Target, add: string | undefined, ending: Ending): Promise<number> {
  if (add === undefined)
    throw new UsageError('of a shared value only --add is possible; naru set replaces it');
  await using value = await openTheValue(target, ending);
  const isNegative = add.startsWith('-');
  const operand = typedFrom(isNegative ? add.slice(1) : add, value.type);
  if (value.type.startsWith('f'))
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${value.address}: ${value.type} has no addition in one step, only integers have`,
    );
  if (isNegative) await value.sub(operand);
  else await value.add(operand);
  await print(`${lineOf(await value.get())}\n`);
  return EXIT.done;
}

function stepOf(text: string): number {
  const step = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(step)) return step;
  throw new UsageError(`--add takes a number, not "${text}"`);
}

function sumOf(before: unknown, step: number, key: string): number {
  if (before !== undefined && typeof before !== 'number')
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `the value of "${key.slice(0, 80)}" is no number, so nothing can be added`,
    );
  return (before ?? 0) + step;
}

/** @throws NARU_REMOTE  the command failed, or printed nothing */
function answerOf(line: string, input: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const child = spawn(line, { shell: true, stdio: ['pipe', 'pipe', 'inherit'] });
    const parts: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => parts.push(part));
    // A command that reads nothing may have ended.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const text = Buffer.concat(parts).toString('utf8').trim();
      if (code !== 0 || text === '') {
        const how = code === 0 ? 'printed nothing' : `ended with ${signal ?? code}`;
        reject(new NaruError('NARU_REMOTE', `the command ${how}: nothing was changed`));
        return;
      }
      resolve(valueFrom(text, false));
    });
  });
}
