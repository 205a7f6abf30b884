// The key that a Manager and its clients share: where it comes from, and what is no key. It is a text; nothing here or elsewhere shows it.

import { randomBytes } from 'node:crypto';
import { NaruError } from '../errors/index.ts';
import { checkKey, readKeyFile } from '../link/key.ts';

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
