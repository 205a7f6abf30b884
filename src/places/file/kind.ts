// What lies at a path: a plain file, nothing, or something that is not used.

import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { errnoOf, fileError } from './error.ts';
import { refusal } from './options.ts';

/**
 * What stat(2) says of the plain file at a path; undefined when there is none.
 *
 * @param text  the URL as it may be shown
 * @throws NARU_UNSUPPORTED (no regular file), NARU_DENIED (a link)
 */
export async function plainFile(path: string, text: string): Promise<Stats | undefined> {
  try {
    const stat = await lstat(path);
    if (stat.isFile()) return stat;
    if (stat.isSymbolicLink()) throw Object.assign(new Error('a link'), { code: 'ELOOP' });
    if (stat.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
    throw refusal('NARU_UNSUPPORTED', text, 'it is no regular file');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fileError(error, text);
  }
}
