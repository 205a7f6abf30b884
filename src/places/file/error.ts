// From errno to NaruError, for a plain file.

import type { NaruErrorCode } from '../../errors/index.ts';
import { isNaruError } from '../../errors/index.ts';
import { refusal } from './options.ts';

const MEANINGS: Readonly<Record<string, readonly [NaruErrorCode, string]>> = {
  EACCES: ['NARU_DENIED', 'permission denied; a writer needs to write to the folder as well'],
  EPERM: ['NARU_DENIED', 'permission denied'],
  EROFS: ['NARU_DENIED', 'the file system is read-only'],
  ELOOP: ['NARU_DENIED', 'it is a symbolic link, which is not followed: a writer would replace it'],
  EISDIR: ['NARU_UNSUPPORTED', 'it is a folder: a log in a folder is file:///folder without format=raw'],
  ENOTDIR: ['NARU_NOT_FOUND', 'its folder is no folder'],
  ENOENT: ['NARU_NOT_FOUND', 'its folder does not exist; make it first'],
  ENOSPC: ['NARU_LIMIT', 'the file system is full'],
  EDQUOT: ['NARU_LIMIT', 'the disk quota of this user is used up'],
  EFBIG: ['NARU_LIMIT', 'it would be larger than RLIMIT_FSIZE ("ulimit -f")'],
  EMFILE: ['NARU_LIMIT', 'the process has no descriptor left ("ulimit -n")'],
  ENFILE: ['NARU_LIMIT', 'the system has no descriptor left (fs.file-max)'],
  EIO: ['NARU_CORRUPT', 'the device failed'],
};

/** @param text  the URL as it may be shown  @returns the error to throw: as it is when it is ours already */
export function fileError(error: unknown, text: string): Error {
  if (isNaruError(error)) return error;
  const name = errnoOf(error);
  const [code, what] = MEANINGS[name] ?? ['NARU_DENIED', 'the operating system refused it'];
  return refusal(code, text, `${what} (${name === '' ? String(error) : name})`, error);
}

export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
