// How a command ends: exit codes, signals and the closed pipe. Everything that can stop a command goes through one Ending,
// so that every command stops in the same way: take no more, finish what is in hand, give back the rest, within 5 s.

import { isNaruError, redact, type NaruErrorCode } from '../errors/index.ts';

/** Exit codes of every command; scripts rely on them. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  storage: 70,
  corrupt: 71,
  config: 78,
  interrupted: 130,
} as const;

/** A stopped command has so long to give everything back before the process ends anyway, in milliseconds. */
const STOP_MS = 4_500;

/** The command line is wrong: exit code 2 and a pointer to the help. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What stands behind the command line is wrong (environment, URL file): exit code 78. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Why a command must stop before it is done. */
export type StopReason = 'SIGINT' | 'SIGTERM' | 'pipe closed';

/** The reason of an Ending's signal. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(`stopped: ${reason}`);
    this.reason = reason;
  }

  get exitCode(): number {
    return this.reason === 'SIGINT' ? EXIT.interrupted : EXIT.done;
  }
}

/** Watches for what stops a command. `signal` aborts with a `Stopped`. */
export class Ending {
  readonly #controller = new AbortController();
  #stopped: Stopped | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Set once something asked the command to stop. */
  get stopped(): Stopped | undefined {
    return this.#stopped;
  }

  /** Listens for SIGINT, SIGTERM and the reader of standard output going away. */
  watch(): void {
    process.on('SIGINT', () => this.stop('SIGINT'));
    process.on('SIGTERM', () => this.stop('SIGTERM'));
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      // Other errors of writing are reported where the write was awaited.
      if (error.code === 'EPIPE') this.stop('pipe closed');
    });
    // With nobody to tell there is nothing left to say; it must not become an uncaught exception.
    process.stderr.on('error', () => undefined);
  }

  stop(reason: StopReason): void {
    if (this.#stopped !== undefined) {
      // Asked twice by hand: whoever sits there does not want to wait.
      if (reason === 'SIGINT') process.exit(EXIT.interrupted);
      return;
    }
    const stopped = new Stopped(reason);
    this.#stopped = stopped;
    setTimeout(() => process.exit(stopped.exitCode), STOP_MS);
    this.#controller.abort(stopped);
  }
}

const DISK_ERRORS = new Set(['ENOSPC', 'EIO', 'EROFS', 'EDQUOT']);
const CODES: Readonly<Partial<Record<NaruErrorCode, number>>> = {
  NARU_CORRUPT: EXIT.corrupt,
  NARU_STORAGE: EXIT.storage,
  NARU_INVALID_ARGUMENT: EXIT.usage,
};

/** The exit code that goes with an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Stopped) return error.exitCode;
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof ConfigError) return EXIT.config;
  const code = systemCode(error);
  if (code === 'EPIPE') return EXIT.done;
  if (code !== undefined && DISK_ERRORS.has(code)) return EXIT.storage;
  if (isNaruError(error)) return CODES[error.code] ?? EXIT.failed;
  return EXIT.failed;
}

/** What standard error says of an error: one line, no password; undefined when there is nothing to say. */
function errorLine(error: unknown): string | undefined {
  if (error instanceof Stopped || systemCode(error) === 'EPIPE') return undefined;
  if (error instanceof UsageError) return `naru: ${oneLine(error.message)}`;
  if (isNaruError(error)) return `naru: ${error.code}: ${oneLine(error.message)}`;
  return `naru: ${oneLine(redact(error instanceof Error ? error.message : String(error)))}`;
}

const told = new WeakSet<object>();

/** Says an error on standard error, once, however many ways it takes to get here. */
export function tell(error: unknown): void {
  if (typeof error === 'object' && error !== null) {
    if (told.has(error)) return;
    told.add(error);
  }
  const line = errorLine(error);
  if (line !== undefined) process.stderr.write(`${line}\n`);
  // For whoever looks for a mistake of ours: where it happened.
  if ((process.env['NARU_DEBUG'] ?? '') !== '' && error instanceof Error) {
    process.stderr.write(`${redact(error.stack ?? '')}\n`);
  }
}

/** errno of the error or of what caused it. */
function systemCode(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return code;
  }
  return undefined;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}

/**
 * Runs a program and ends the process with its exit code.
 *
 * @param work  returns the exit code, or throws
 * @param hint  a line after the message of wrong usage
 */
export async function runProcess(work: (ending: Ending) => Promise<number>, hint: string): Promise<never> {
  const ending = new Ending();
  ending.watch();
  process.on('uncaughtException', (error) => {
    tell(error);
    process.exit(exitCodeOf(error));
  });
  let code: number;
  try {
    code = await work(ending);
  } catch (error) {
    tell(error);
    if (error instanceof UsageError) process.stderr.write(`${hint}\n`);
    // Whatever else an interruption makes fail: the user interrupted it.
    code = ending.stopped?.reason === 'SIGINT' ? EXIT.interrupted : exitCodeOf(error);
  }
  process.exit(code);
}
