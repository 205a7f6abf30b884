// Where a command's URL comes from: the first argument, --url-file, or NARU_URL. The last two keep a password out of the
// list of processes; nothing here may show one.

import { readFile } from 'node:fs/promises';
import { redact } from '../errors/index.ts';
import { ConfigError, UsageError } from './exit.ts';

/** A mailbox as a command names it. */
export interface Target {
  readonly url: string;
  /** Where the URL came from: a mistake in it is wrong usage, or bad configuration. */
  readonly from: 'argument' | 'file' | 'environment';
  /** The arguments that follow it. */
  readonly rest: readonly string[];
}

/** The flag that every command with a URL has. */
export const URL_FILE_FLAG = {
  type: 'string',
  valueHint: 'file',
  description: 'read the URL from this file instead (keeps passwords out of the process list)',
} as const;

/** The first positional of every command with a URL. */
export const URL_ARGUMENT = {
  type: 'positional',
  required: false,
  description: 'where the mailbox lives: shm://jobs, unix:///path.sock, tcp://host:port (or NARU_URL)',
} as const;

const LOOKS_LIKE_URL = /^[a-z][a-z0-9+.-]{0,31}:\/\//;
const FILE_BYTES_MAX = 8192;

/**
 * Finds the URL. --url-file comes first: then every argument is a body. NARU_URL comes last: it is used when the first
 * argument does not look like a URL.
 *
 * @throws UsageError   there is none
 * @throws ConfigError  the file cannot be read or holds none
 */
export async function findTarget(
  positionals: readonly string[],
  urlFile: string | undefined,
): Promise<Target> {
  if (urlFile !== undefined) return { url: await readUrlFile(urlFile), from: 'file', rest: positionals };
  const [first, ...rest] = positionals;
  if (first !== undefined && LOOKS_LIKE_URL.test(first)) return { url: first, from: 'argument', rest };
  const fromEnvironment = process.env['NARU_URL'];
  if (fromEnvironment !== undefined && fromEnvironment !== '') {
    if (!LOOKS_LIKE_URL.test(fromEnvironment))
      throw new ConfigError('NARU_URL holds no mailbox URL such as shm://jobs');
    return { url: fromEnvironment, from: 'environment', rest: positionals };
  }
  if (first === undefined)
    throw new UsageError('no mailbox URL: give one such as shm://jobs, or set NARU_URL, or use --url-file');
  throw new UsageError(`"${redact(first)}" is not a mailbox URL such as shm://jobs or tcp://host:5000`);
}

/** A command line that carries a password must not be readable by everyone who calls ps. */
export function hidePasswords(argv: readonly string[]): void {
  const shown = argv.map(redact);
  if (shown.some((text, index) => text !== argv[index])) process.title = ['naru', ...shown].join(' ');
}

async function readUrlFile(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ConfigError(
      `--url-file ${file} cannot be read (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`,
      { cause },
    );
  }
  const url = text.slice(0, FILE_BYTES_MAX).split('\n')[0]?.trim() ?? '';
  if (!LOOKS_LIKE_URL.test(url))
    throw new ConfigError(`--url-file ${file}: its first line is no mailbox URL such as shm://jobs`);
  return url;
}
