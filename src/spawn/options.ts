// What spawn() may be told, checked before anything is started.

import { NaruError } from '../errors/index.ts';
import { isShareable, type Shareable, type SharedHandle } from '../mailbox/shared-handle.ts';

/** How often and how fast a child that crashed is started again. */
export interface RestartOptions {
  /** Starts after crashes in a row, before spawn() gives up. Default 5; `Infinity` never gives up. */
  readonly attempts?: number;
  /** Wait before the first of them, in milliseconds; doubles each time, with jitter. Default 100. */
  readonly delayMs?: number;
  /** Longest wait. Default 30,000. */
  readonly delayMsMax?: number;
  /** A child that ran for so long was well: the count begins anew. Default 60,000. */
  readonly healthyMs?: number;
}

/** How to start a child. */
export interface SpawnOptions<S extends Readonly<Record<string, Shareable>>> {
  /** Live handles that the child gets under the same names. Each is opened anew there, by its address. */
  readonly share?: S;
  /** Anything that can be cloned (structuredClone). */
  readonly data?: unknown;
  /** `process` (the default): nothing it does can harm its parent. `worker`: a thread of this process. */
  readonly as?: 'process' | 'worker';
  /** Default false: a crash is the end. */
  readonly restart?: boolean | RestartOptions;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Node's own options for the child. Default: this process's. */
  readonly execArgv?: readonly string[];
  /** Longest wait until its handles are open and its module is loaded. Default 10,000. */
  readonly timeoutMs?: number;
  /** What stop() gives the child to finish before it is killed. Default 5,000. */
  readonly graceMs?: number;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/** The same with every default filled in. */
export interface Settings {
  readonly module: string;
  readonly handles: readonly (readonly [name: string, handle: SharedHandle])[];
  readonly data: unknown;
  readonly as: 'process' | 'worker';
  readonly restart: Required<RestartOptions>;
  readonly env: NodeJS.ProcessEnv | undefined;
  readonly execArgv: readonly string[] | undefined;
  readonly timeoutMs: number;
  readonly graceMs: number;
}

const MS_MAX = 2 ** 31 - 1;
const NO_RESTART: Required<RestartOptions> = {
  attempts: 0,
  delayMs: 100,
  delayMsMax: 30_000,
  healthyMs: 60_000,
};

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED (a handle that cannot be opened there) */
export function readSettings(
  module: string | URL,
  options: SpawnOptions<Readonly<Record<string, Shareable>>>,
): Settings {
  const as = options.as ?? 'process';
  if (as !== 'process' && as !== 'worker') throw invalid(`as is "process" or "worker", got ${String(as)}`);
  return {
    module: moduleUrl(module),
    handles: readHandles(options.share ?? {}, as),
    data: options.data,
    as,
    restart: readRestart(options.restart ?? false),
    env: options.env,
    execArgv: options.execArgv,
    timeoutMs: duration('timeoutMs', options.timeoutMs ?? 10_000),
    graceMs: duration('graceMs', options.graceMs ?? 5_000),
  };
}

function readRestart(restart: boolean | RestartOptions): Required<RestartOptions> {
  if (restart === false) return NO_RESTART;
  const { attempts = 5, delayMs, delayMsMax, healthyMs } = restart === true ? {} : restart;
  if (attempts !== Number.POSITIVE_INFINITY && !(Number.isInteger(attempts) && attempts >= 0))
    throw invalid(`restart.attempts is a whole number or Infinity, got ${String(attempts)}`);
  return {
    attempts,
    delayMs: duration('restart.delayMs', delayMs ?? NO_RESTART.delayMs),
    delayMsMax: duration('restart.delayMsMax', delayMsMax ?? NO_RESTART.delayMsMax),
    healthyMs: duration('restart.healthyMs', healthyMs ?? NO_RESTART.healthyMs),
  };
}

/** A relative path would be relative to something else for each reader. */
function moduleUrl(module: string | URL): string {
  const text = String(module);
  if (text.startsWith('file:')) return text;
  if (text.startsWith('/')) return new URL(`file://${text}`).href;
  throw invalid(`the module is a file URL or an absolute path: new URL('./child.js', import.meta.url)`);
}

function readHandles(
  share: Readonly<Record<string, Shareable>>,
  as: 'process' | 'worker',
): (readonly [string, SharedHandle])[] {
  const shape = as === 'process' ? 'child' : 'worker';
  return Object.entries(share).map(([name, value]) => {
    if (!isShareable(value))
      throw invalid(`share.${name} is no handle of Naru; plain values travel in \`data\``);
    const handle = value.toShared();
    if (handle.refusal !== undefined) throw invalid(`share.${name}: ${handle.refusal}`);
    if (handle.shapes.includes(shape)) return [name, handle] as const;
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `share.${name}: ${handle.url} lives in one thread, a ${as} cannot reach it; use shm:// or another place`,
      { mailbox: handle.url },
    );
  });
}

function duration(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= MS_MAX) return value;
  throw invalid(`${name} is a whole number of milliseconds from 0 to ${MS_MAX}, got ${String(value)}`);
}

function invalid(what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `spawn(): ${what}`);
}
