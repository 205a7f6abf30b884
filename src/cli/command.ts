// What a command consists of, and the strict reading of its arguments. citty describes, types and shows the arguments; it
// lets unknown and half-written flags pass, so they are checked here first: wrong usage must never do half of a job.

import {
  defineCommand,
  renderUsage,
  runCommand,
  type ArgsDef,
  type CommandDef,
  type ParsedArgs,
} from 'citty';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { UsageError, type Ending } from './exit.ts';
import { hasColour } from './output.ts';

/** What a command gets when it runs. */
export interface Invocation<T extends ArgsDef> {
  /** Flags, by name. */
  readonly args: ParsedArgs<T>;
  /** Everything that is no flag, in order. */
  readonly positionals: readonly string[];
  /** Every value of a flag that may be given more than once. */
  readonly all: (flag: string) => readonly string[];
  readonly ending: Ending;
}

/** What a command says of itself. */
interface CommandText<T extends ArgsDef> {
  readonly name: string;
  readonly description: string;
  /** Flags and positionals, in citty's form. */
  readonly args: T;
  /** How many positionals are allowed. Default: as many as `args` names. */
  readonly positionalsMax?: number;
  /** Further text of the help: rules that the list of flags cannot say. */
  readonly notes?: string;
  /** At least one, each runnable. */
  readonly examples: readonly string[];
}

/** A command as its file describes it. */
export interface CommandSpec<T extends ArgsDef> extends CommandText<T> {
  /** @returns the exit code */
  readonly run: (invocation: Invocation<T>) => Promise<number>;
}

/** A command ready to be run. */
export interface Command {
  readonly definition: CommandDef;
  /** The text of `--help`. */
  readonly help: () => Promise<string>;
  /** @throws UsageError, and whatever the command fails with */
  readonly run: (rawArgs: readonly string[], ending: Ending) => Promise<number>;
}

/** A flag that takes one of a few words. citty wants the list writable. */
export function oneOf<const W extends string>(
  words: readonly W[],
  description: string,
): { readonly type: 'enum'; readonly options: W[]; readonly description: string } {
  return { type: 'enum', options: [...words], description };
}

/** Makes a command of its description. */
export function command<const T extends ArgsDef>(spec: CommandSpec<T>): Command {
  const definition = defineCommand({
    meta: { name: spec.name, description: spec.description },
    args: spec.args as ArgsDef,
    run: (context) =>
      spec.run({ ...(context.data as Checked), args: context.args as ParsedArgs as ParsedArgs<T> }),
  });
  return {
    definition,
    help: async () => plainUnlessTerminal(await usageOf(spec, definition)),
    run: async (rawArgs, ending) => {
      const checked = check(spec, rawArgs, ending);
      const { result } = await runCommand(definition, { rawArgs: [...rawArgs], data: checked });
      return result as number;
    },
  };
}

/** Escape codes are for terminals; citty decides by CI variables only. */
export function plainUnlessTerminal(text: string): string {
  return hasColour(process.stdout) ? text : stripVTControlCharacters(text);
}

async function usageOf(spec: CommandText<ArgsDef>, definition: CommandDef): Promise<string> {
  const usage = await renderUsage(definition, { meta: { name: 'naru' } });
  const notes = spec.notes === undefined ? '' : `${spec.notes.trim()}\n\n`;
  const examples = spec.examples.map((example) => `  ${example}`).join('\n');
  return `${usage.trimEnd()}\n\n${notes}EXAMPLES\n\n${examples}\n`;
}

type Checked = Omit<Invocation<ArgsDef>, 'args'>;

/** @throws UsageError  unknown flag, flag without its value, value not in its list, too many arguments */
function check(spec: CommandText<ArgsDef>, rawArgs: readonly string[], ending: Ending): Checked {
  const options: Record<string, { type: 'boolean' | 'string'; multiple: true }> = {};
  const positionalNames: string[] = [];
  for (const [name, arg] of Object.entries(spec.args)) {
    if (arg.type === 'positional') positionalNames.push(name);
    else {
      options[name] = { type: arg.type === 'boolean' ? 'boolean' : 'string', multiple: true };
    }
  }
  const { values, positionals } = parseStrictly(rawArgs, options);
  for (const [name, arg] of Object.entries(spec.args)) {
    if (arg.type !== 'enum') continue;
    for (const value of textsOf(values, name)) {
      if (arg.options?.includes(value) === true) continue;
      throw new UsageError(`--${name} is one of ${arg.options?.join(', ')}, not "${value}"`);
    }
  }
  const max = spec.positionalsMax ?? positionalNames.length;
  if (positionals.length > max) {
    throw new UsageError(`too many arguments: "${positionals[max]}" is one more than this command takes`);
  }
  return { positionals, all: (flag) => textsOf(values, flag), ending };
}

function textsOf(values: Readonly<Record<string, unknown>>, name: string): string[] {
  return [values[name] ?? []].flat().map(String);
}

function parseStrictly(
  rawArgs: readonly string[],
  options: NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>,
): { values: Record<string, unknown>; positionals: string[] } {
  try {
    return parseArgs({ args: [...rawArgs], options, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's text names the flag; its hint about `--` fits too.
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/**
 * Reads a whole number given as text.
 * @throws UsageError  it is none, or outside its bounds
 */
export function wholeNumber(
  text: string | undefined,
  flag: string,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${flag} takes a whole number from ${min} to ${max}, not "${text}"`);
}

/** Longest time a flag may name, in milliseconds. */
export const DURATION_MS_MAX: number = 2 ** 31 - 1;

/** @throws UsageError  more than one of the flags was given */
export function atMostOne(args: Readonly<Record<string, unknown>>, ...flags: readonly string[]): void {
  const given = flags.filter((flag) => args[flag] !== undefined && args[flag] !== false);
  if (given.length > 1)
    throw new UsageError(`give only one of ${given.map((flag) => `--${flag}`).join(' and ')}`);
}
