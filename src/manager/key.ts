// The key that a Manager and its clients share: where it comes from, and what is no key. It is a text; nothing here or elsewhere shows it.

import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import { MANAGER } from './limits.ts';

/** Environment variable that holds a key. */
export const KEY_VARIABLE = 'NARU_MANAGER_KEY';

/** 32 random bytes, as text. */
export function newKey(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * The key of a client: of its options, else of the URL's `keyFile`, else of the environment.
 * @param text  the URL, for errors
 * @throws NARU_INVALID_ARGUMENT  there is none, or it is too short or too long; NARU_NOT_FOUND, NARU_DENIED  the file
 */
export function findKey(given: string | undefined, keyFile: string | undefined, text: string): string {
  const key = given ?? (keyFile === undefined ? process.env[KEY_VARIABLE] : readKeyFile(keyFile, text));
  if (key !== undefined && key !== '') return checkKey(key, text);
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${text}: a Manager is reached with its key: give the option key, ?keyFile=/path, or ${KEY_VARIABLE} in the environment`,
    { mailbox: text },
  );
}

/** @throws NARU_INVALID_ARGUMENT */
export function checkKey(key: unknown, text: string): string {
  const bytes = typeof key === 'string' ? Buffer.byteLength(key) : -1;
  if (bytes >= MANAGER.keyBytesMin && bytes <= MANAGER.keyBytesMax) return key as string;
  const what = bytes < 0 ? `not ${typeof key}` : `this one has ${bytes}`;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${text}: a key is a text of ${MANAGER.keyBytesMin} to ${MANAGER.keyBytesMax} bytes, ${what}`,
    { mailbox: text },
  );
}

/**
 * The key that a file holds; white space around it does not count.
 * @throws NARU_NOT_FOUND, NARU_INVALID_ARGUMENT; NARU_DENIED  it cannot be read, or others can read it
 */
export function readKeyFile(path: string, text: string): string {
  let key: string;
  let mode: number;
  try {
    mode = statSync(path).mode;
    key = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new NaruError(
      isMissing ? 'NARU_NOT_FOUND' : 'NARU_DENIED',
      `${text}: the key file ${path} cannot be read`,
      {
        mailbox: text,
        cause,
      },
    );
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, '0');
    throw new NaruError(
      'NARU_DENIED',
      `${text}: the key file ${path} has mode ${shown}, others can reach it; make it 0600`,
      { mailbox: text },
    );
  }
  return checkKey(key, text);
}
