// naru manager: a Manager as a program.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { isNaruError } from '../errors/index.ts';
import { readKeyFile } from '../link/key.ts';
import { KEY_VARIABLE, newKey } from '../manager/key.ts';
import { Manager, type ManagerOptions } from '../manager/manager.ts';
import { command, wholeNumber, type Command, type Invocation } from './command.ts';
import { ConfigError, EXIT, UsageError } from './exit.ts';
import { note, print, Progress } from './output.ts';

const ARGS = {
  listen: { type: 'string', valueHint: 'url', description: 'unix:///path.sock or tcp://127.0.0.1:port' },
  'key-file': {
    type: 'string',
    valueHint: 'file',
    description: `holds the key, mode 0600; made where it is missing (else ${KEY_VARIABLE})`,
  },
  'plain-network': { type: 'boolean', description: 'listen where other machines reach it, unencrypted' },
  'max-connections': { type: 'string', valueHint: 'n', description: 'clients at a time (default 1000)' },
  'max-objects': { type: 'string', valueHint: 'n', description: 'named objects (default 10000)' },
  'max-value': { type: 'string', valueHint: 'bytes', description: 'largest value (default 1 MiB)' },
  'memory-limit': { type: 'string', valueHint: 'bytes', description: 'all objects together (default 1 GiB)' },
  json: { type: 'boolean', description: 'one line of JSON when it takes connections, nothing else' },
} as const;

const VALUE_BYTES_MAX = 67_108_864;
const PROGRESS_MS = 1_000;

export const manager: Command = command({
  name: 'manager',
  description: 'A server of maps, lists, values, locks and mailboxes for processes that know its key',
  args: ARGS,
  notes: `
Everything is in memory and gone when it stops. Clients reach an object by its name: unix:///path.sock?name=orders, tcp://host:port/orders, and take
the key from ?keyFile=FILE or ${KEY_VARIABLE}. The key is never shown. --json: {"ready":true,"url":…,"pid":…}.
Exit codes: 0 stopped, 1 failed, 2 wrong usage, 78 no key, or one that cannot be used.`,
  examples: [
    'naru manager --listen unix:///run/user/1000/m.sock --key-file ~/.naru-key',
    'NARU_MANAGER_KEY=… naru manager --listen tcp://127.0.0.1:0 --json',
    "naru set 'unix:///run/user/1000/m.sock?name=settings&keyFile=/home/kim/.naru-key' theme dark",
  ],
  run,
});

async function run({ args, ending }: Invocation<typeof ARGS>): Promise<number> {
  const running = await Manager.start(optionsOf(args));
  if (args.json === true)
    await print(`${JSON.stringify({ ready: true, url: running.url, pid: process.pid })}\n`);
  else note(`manager: listening on ${running.url}`);
  const progress = new Progress();
  const timer = setInterval(() => progress.update(() => stateOf(running)), PROGRESS_MS);
  if (!ending.signal.aborted) await once(ending.signal, 'abort');
  clearInterval(timer);
  progress.clear();
  await running.stop();
  return ending.stopped?.exitCode ?? EXIT.done;
}

function stateOf(running: Manager): string {
  const { connections, objects, bytes, refused } = running.stats();
  return `manager: ${connections} clients, ${objects} objects, ${bytes} bytes, ${refused} refused`;
}

/** @throws UsageError, ConfigError */
function optionsOf(args: Invocation<typeof ARGS>['args']): ManagerOptions {
  const { listen } = args;
  if (listen === undefined) throw new UsageError('say where it listens: --listen unix:///path.sock');
  const maxConnections = wholeNumber(args['max-connections'], 'max-connections', 1, 65_536);
  const maxObjects = wholeNumber(args['max-objects'], 'max-objects', 1, 10_000_000);
  const maxValueBytes = wholeNumber(args['max-value'], 'max-value', 1, VALUE_BYTES_MAX);
  const memoryBytes = wholeNumber(args['memory-limit'], 'memory-limit', 1, Number.MAX_SAFE_INTEGER);
  return {
    listen,
    key: keyOf(args['key-file']),
    plainNetwork: args['plain-network'] === true,
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(maxObjects === undefined ? {} : { maxObjects }),
    ...(maxValueBytes === undefined ? {} : { maxValueBytes }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

/** @throws ConfigError */
function keyOf(file: string | undefined): string {
  const fromEnvironment = process.env[KEY_VARIABLE];
  if (file === undefined) {
    if (fromEnvironment !== undefined && fromEnvironment !== '') return fromEnvironment;
    throw new ConfigError(`a Manager has a key: give --key-file FILE (it is made), or set ${KEY_VARIABLE}`);
  }
  try {
    return readKeyFile(file, 'manager');
  } catch (error) {
    if (!isNaruError(error, 'NARU_NOT_FOUND')) throw new ConfigError((error as Error).message);
  }
  const key = newKey();
  try {
    writeFileSync(file, `${key}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new ConfigError(`the key file ${file} cannot be made: ${(error as Error).message}`);
  }
  return key;
}
