// What an mmap:// URL means: an absolute path. What the options mean is mapped-ring/options.ts's.

import { basename } from 'node:path';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { invalid, resolveRing, type RingOptions } from '../../mapped-ring/options.ts';

const SCHEME = 'mmap://';
/** Behind the file's name: the folder of its lock and doorbells. */
export const BESIDE = '.naru';
/** NAME_MAX of Linux, less what the folder's name has more. */
const NAME_BYTES_MAX = 255 - BESIDE.length;

/** Checked options of one open(). */
export interface MmapOptions extends RingOptions {
  readonly path: string;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED */
export function resolveOptions(url: PlaceUrl, options: PlaceOptions): MmapOptions {
  const path = pathOf(url);
  return { ...resolveRing(url, options, { relation: 'N:N', owner: 'system' }), path };
}

/**
 * The file that a URL names.
 * @throws NARU_INVALID_ARGUMENT  no absolute path, or a name that is too long
 */
export function pathOf(url: PlaceUrl): string {
  const { host, path, port, username } = url;
  const isPlain = host === '' && port === undefined && username === '';
  if (!isPlain || !path.startsWith('/') || path.endsWith('/') || path.includes('\0'))
    throw invalid(url, 'name the file by an absolute path: mmap:///var/lib/app/events');
  const bytes = Buffer.byteLength(basename(path));
  if (bytes > NAME_BYTES_MAX)
    throw invalid(url, `the file's name has ${bytes} bytes, at most ${NAME_BYTES_MAX} are possible`);
  if (path.endsWith(BESIDE))
    throw invalid(url, `names that end in ${BESIDE} are those of the folders beside mapped files`);
  return path;
}

/** The URL that leads to a file. */
export function addressOf(path: string): string {
  return `${SCHEME}${path.split('/').map(encodeURIComponent).join('/')}`;
}
