// naru lock: runs a command while it has a lock, like flock(1). The command's exit code is ours.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { NaruError } from '../errors/index.ts';
import type { Lock } from '../sync/lock.ts';
import {
  atMostOne,
  command,
  type Command,
  DURATION_MS_MAX,
  type Invocation,
  wholeNumber,
} from './command.ts';
import { type Ending, UsageError } from './exit.ts';
import { note } from './output.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';

const ARGS = {
  url: { ...URL_ARGUMENT, description: 'the lock: shm://name (or NARU_URL)' },
  command: { type: 'positional', required: false, description: 'what to run, with its arguments' },
  timeout: { type: 'string', valueHint: 'ms', description: 'wait so long for the lock, not for ever' },
  try: { type: 'boolean', description: 'do not wait for the lock' },
  'url-file': URL_FILE_FLAG,
} as const;

export const lock: Command = command({
  name: 'lock',
  description: 'Runs a command while it has a lock that processes share, like flock(1)',
  args: ARGS,
  positionalsMax: Number.POSITIVE_INFINITY,
  notes: `
Waits for the lock, runs the command (no shell), lets go, and ends with the command's exit code; 128 + n when signal n ended it. When the lock
is not to be had in time, nothing runs: exit code 1 with NARU_TIMEOUT; a command that is not there is 127. When the last holder died with the
lock, the command finds NARU_RECOVERED=1 in its environment. SIGINT and SIGTERM go on to the command, which has 4 s: it never runs on without the
lock, unless this process itself is killed with SIGKILL.`,
  examples: [
    'naru lock shm://backup -- tar -cf backup.tar data',
    'naru lock shm://report --try -- ./report.sh || echo "somebody is at it, or it failed"',
  ],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  atMostOne(args, 'timeout', 'try');
  const timeoutMs = args.try === true ? 0 : wholeNumber(args.timeout, 'timeout', 0, DURATION_MS_MAX);
  const target = await findTarget(positionals, args['url-file']);
  const [program, ...rest] = target.rest;
  if (program === undefined) throw new UsageError('no command given: naru lock <url> -- command…');
  const { openLock } = await import('../open-sync.ts');
  const handle: Lock = await openLock(target.url, { signal: ending.signal });
  try {
    const guard = await handle.acquire({
      signal: ending.signal,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    if (guard.recovered) note('naru: the last holder died with the lock: what it was doing may be half done');
    const code = await runCommand(program, rest, guard.recovered, { ending, gone: handle.gone });
    // Lost while the command ran: it was ended.
    if (handle.gone.aborted) throw handle.gone.reason;
    return code;
  } finally {
    await handle.close();
  }
}

/** Exit code of a shell for a command that is not there. */
const NOT_FOUND = 127;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

function runCommand(
  program: string,
  args: readonly string[],
  recovered: boolean,
  { ending, gone }: { readonly ending: Ending; readonly gone: AbortSignal },
): Promise<number> {
  const env = recovered ? { ...process.env, NARU_RECOVERED: '1' } : process.env;
  const child = spawn(program, args, { stdio: 'inherit', env });
  // At the latest when this process ends: from then on somebody else may have the lock.
  const kill = (): void => void child.kill('SIGKILL');
  process.on('exit', kill);
  const forward = (): void => {
    const reason = ending.stopped?.reason;
    if (reason !== undefined && SIGNALS.some((name) => name === reason)) child.kill(reason as NodeJS.Signals);
  };
  ending.signal.addEventListener('abort', forward, { once: true });
  gone.addEventListener('abort', kill, { once: true });
  return new Promise<number>((resolve, reject) => {
    child.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT') {
        reject(new NaruError('NARU_REMOTE', `the command could not be started: ${cause.message}`, { cause }));
        return;
      }
      note(`naru: there is no command "${program}"`);
      resolve(NOT_FOUND);
    });
    child.on('close', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  }).finally(() => {
    process.off('exit', kill);
    ending.signal.removeEventListener('abort', forward);
    gone.removeEventListener('abort', kill);
  });
}
