#!/usr/bin/env node
// The `naru` command: finds the command that is meant, runs it, and turns how it went into an exit code. Every command is in a
// file of its own, loaded only when it is called.

import { readFile } from 'node:fs/promises';
import { defineCommand, renderUsage } from 'citty';
import { plainUnlessTerminal, type Command } from './command.ts';
import { EXIT, runProcess, UsageError, type Ending } from './exit.ts';
import { print } from './output.ts';
import { hidePasswords } from './url.ts';

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  send: async () => (await import('./send.ts')).send,
  receive: async () => (await import('./receive.ts')).receive,
  request: async () => (await import('./request.ts')).request,
  serve: async () => (await import('./serve.ts')).serve,
  bridge: async () => (await import('./bridge.ts')).bridge,
  get: async () => (await import('./get.ts')).get,
  set: async () => (await import('./set.ts')).set,
  update: async () => (await import('./update.ts')).update,
  watch: async () => (await import('./watch.ts')).watch,
  ls: async () => (await import('./ls.ts')).ls,
  inspect: async () => (await import('./inspect.ts')).inspect,
  peek: async () => (await import('./peek.ts')).peek,
  purge: async () => (await import('./purge.ts')).purge,
  rm: async () => (await import('./rm.ts')).rm,
  lock: async () => (await import('./lock.ts')).lock,
  broker: async () => (await import('./broker.ts')).broker,
  manager: async () => (await import('./manager.ts')).manager,
  bench: async () => (await import('./bench.ts')).bench,
  places: async () => (await import('./places.ts')).places,
  doctor: async () => (await import('./doctor.ts')).doctor,
};

const argv = process.argv.slice(2);
hidePasswords(argv);
await runProcess((ending) => dispatch(argv, ending), hint(argv[0]));

/** @returns the exit code */
async function dispatch([first, ...rest]: readonly string[], ending: Ending): Promise<number> {
  if (first === '--version' || first === '-v') {
    await print(`${await version()}\n`);
    return EXIT.done;
  }
  if (first === '--help' || first === '-h' || (first === 'help' && rest.length === 0)) {
    await print(await overview());
    return EXIT.done;
  }
  if (first === undefined) throw new UsageError('no command given');
  const name = first === 'help' ? (rest[0] as string) : first;
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) throw new UsageError(`there is no command "${name}"`);
  const command = await load();
  if (first === 'help' || asksForHelp(rest)) {
    await print(await command.help());
    return EXIT.done;
  }
  return command.run(rest, ending);
}

/** --help anywhere before `--`: after it everything is a message. */
function asksForHelp(rest: readonly string[]): boolean {
  const end = rest.indexOf('--');
  const flags = end < 0 ? rest : rest.slice(0, end);
  return flags.includes('--help') || flags.includes('-h');
}

async function overview(): Promise<string> {
  const all = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const subCommands = Object.fromEntries(
    Object.keys(COMMANDS).map((name, i) => [name, (all[i] as Command).definition]),
  );
  const meta = {
    name: 'naru',
    version: await version(),
    description: 'Messages between processes: one mailbox, many places',
  };
  const usage = plainUnlessTerminal(await renderUsage(defineCommand({ meta, subCommands })));
  return `${usage.trimEnd()}\n\nEXAMPLES\n\n  naru receive unix:///tmp/demo.sock &\n  naru send unix:///tmp/demo.sock "hello"\n`;
}

function hint(name: string | undefined): string {
  const known = name !== undefined && Object.hasOwn(COMMANDS, name);
  return known
    ? `Try: naru ${name} --help`
    : `Commands: ${Object.keys(COMMANDS).join(', ')}. Try: naru --help`;
}

async function version(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
