// From errno to NaruError: which code a failed system call has, and which limit the reader has to raise.

import { NaruError, type NaruErrorCode } from '../errors/index.ts';
import type { Where } from './site.ts';

const ADVICE: Readonly<Record<string, readonly [NaruErrorCode, string]>> = {
  EMFILE: ['NARU_LIMIT', 'this process has no file descriptors left: raise RLIMIT_NOFILE ("ulimit -n")'],
  ENFILE: ['NARU_LIMIT', 'the system has no file descriptors left: raise the sysctl fs.file-max'],
  EDQUOT: ['NARU_LIMIT', 'the disk quota of this user is used up'],
  EOPNOTSUPP: ['NARU_UNSUPPORTED', 'the file system cannot set room aside (fallocate)'],
  ENOMEM: ['NARU_LIMIT', 'there is no memory or address space left (RLIMIT_AS, sysctl vm.max_map_count)'],
  EFBIG: ['NARU_LIMIT', 'the file would exceed RLIMIT_FSIZE ("ulimit -f")'],
  ELOOP: ['NARU_DENIED', 'it is a symbolic link, which is never followed'],
  EACCES: ['NARU_DENIED', 'access was refused: check owner and mode'],
  EPERM: ['NARU_DENIED', 'access was refused: check owner and mode'],
  EROFS: ['NARU_DENIED', 'the file system is read-only'],
};

/** errno's name of a failed call, or ''. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

/** @returns the error to throw: as it is when it is ours already */
export function ioError(where: Where, error: unknown, what: string, path: string): Error {
  if (error instanceof NaruError) return error;
  const name = errnoOf(error);
  const [code, advice] =
    name === 'ENOSPC'
      ? (['NARU_LIMIT', where.fullText] as const)
      : (ADVICE[name] ?? ['NARU_DENIED', 'the operating system refused it']);
  return new NaruError(code, `${what} ${path} failed: ${advice} (${name || String(error)})`, {
    place: where.place,
    mailbox: path,
    cause: error,
  });
}

/** Runs a system call and translates its failure. */
export function attempt<T>(where: Where, what: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw ioError(where, error, what, path);
  }
}
