// A key that both sides of a connection share, as users give it: what is one, and the file that holds it. It is a text; nothing
// here or elsewhere shows it. What is done with it is its user's business.

import { readFileSync, statSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import { LINK } from './limits.ts';

/** @throws NARU_INVALID_ARGUMENT */
export function checkKey(key: unknown, text: string): string {
  const bytes = typeof key === 'string' ? Buffer.byteLength(key) : -1;
  if (bytes >= LINK.keyBytesMin && bytes <= LINK.keyBytesMax) return key as string;
  const what = bytes < 0 ? `not ${typeof key}` : `this one has ${bytes}`;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${text}: a key is a text of ${LINK.keyBytesMin} to ${LINK.keyBytesMax} bytes, ${what}`,
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
