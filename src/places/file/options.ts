// What the URL of a plain file and its options mean: a path, the mode of a new file, how often a reader looks. Checks only.

import { basename } from 'node:path';
import { NaruError, type NaruErrorCode } from '../../errors/index.ts';
import type { Create } from '../../mailbox/options.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { fileRaw } from './capabilities.ts';

/** Parameters of a file URL that are not options of every place. */
export const PARAMETERS: readonly string[] = ['mode', 'pollMs'];

/** NAME_MAX of Linux, less what the name of a temporary file has more. */
const NAME_BYTES_MAX = 180;
const POLL_MS_DEFAULT = 500;
const BYTES_MAX = 1024 * 1024 * 1024;

export interface FileOptions {
  readonly path: string;
  /** The URL as it may be shown. */
  readonly text: string;
  readonly create: Create;
  /** Permission bits of a file that is made here, whatever the umask; one that is replaced keeps its own. Default: 0o600. */
  readonly mode: number;
  /** How often a waiting reader looks without having been told. Default: 500. */
  readonly pollMs: number;
  /** Whether a reader starts with the value that is there. */
  readonly from: 'now' | 'start';
  readonly maxMessageBytes: number;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED */
export function readFileOptions(url: PlaceUrl, options: PlaceOptions): FileOptions {
  refuseMeaningless(url, options);
  const maxMessageBytes = options.maxMessageBytes ?? fileRaw.limits.maxMessageBytes;
  if (maxMessageBytes > BYTES_MAX) {
    const what = `a value of ${maxMessageBytes} bytes is more than ${BYTES_MAX}`;
    throw refusal('NARU_INVALID_ARGUMENT', url.text, what);
  }
  return {
    path: pathOf(url),
    text: url.text,
    create: options.create ?? 'if-missing',
    mode: modeOf(url),
    pollMs: pollOf(url),
    from: options.from ?? 'start',
    maxMessageBytes,
  };
}

/** The URL that leads to a file. */
export function addressOf(path: string): string {
  return `file://${path.split('/').map(encodeURIComponent).join('/')}?format=raw`;
}

export function refusal(code: NaruErrorCode, text: string, what: string, cause?: unknown): NaruError {
  return new NaruError(code, `${text}: ${what}`, { place: 'file', mailbox: text, cause });
}

function pathOf({ host, port, username, path, text }: PlaceUrl): string {
  const isPlain = host === '' && port === undefined && username === '';
  if (!isPlain || !path.startsWith('/') || path.includes('\0')) {
    const what = 'name the file by an absolute path: file:///etc/app/settings.json?format=raw';
    throw refusal('NARU_INVALID_ARGUMENT', text, what);
  }
  const bytes = Buffer.byteLength(basename(path));
  if (path.endsWith('/') || bytes > NAME_BYTES_MAX) {
    const what = `the file's name has ${path.endsWith('/') ? 0 : bytes} bytes, it may have 1 to ${NAME_BYTES_MAX}`;
    throw refusal('NARU_INVALID_ARGUMENT', text, what);
  }
  return path;
}

function refuseMeaningless({ text }: PlaceUrl, options: PlaceOptions): void {
  const { deliver, owner, nobody, capacityBytes, capacityMessages, frame, tls, relation } = options;
  const refuse = (what: string): never => {
    throw refusal('NARU_UNSUPPORTED', text, what);
  };
  if (deliver === 'one')
    refuse(
      'every reader of a plain file gets its value; deliver "one" needs a queue, such as mmap:// or sysv://',
    );
  if (owner === 'users' || owner === 'process')
    refuse(`a file stays until it is removed; owner "${owner}" is not possible`);
  if (nobody !== undefined && nobody !== 'keep')
    refuse(`nobody knows who reads a file; nobody "${nobody}" is not possible`);
  if (relation !== undefined && relation !== 'N:N')
    refuse(`nobody knows who opens a file; relation "${relation}" cannot be held`);
  if (capacityBytes !== undefined || capacityMessages !== undefined)
    refuse(
      'a plain file holds one value, the newest; leave the capacity out (maxMessageBytes limits the value)',
    );
  if (tls !== undefined || frame !== undefined) refuse('frame and tls have no meaning for a file');
}

function modeOf({ extra, text }: PlaceUrl): number {
  const mode = extra['mode'];
  if (mode === undefined) return 0o600;
  if (/^0?[0-7]{3}$/.test(mode)) return Number.parseInt(mode, 8);
  const what = `mode is three octal digits such as 640, got "${mode.slice(0, 40)}"`;
  throw refusal('NARU_INVALID_ARGUMENT', text, what);
}

function pollOf({ extra, text }: PlaceUrl): number {
  const pollMs = extra['pollMs'];
  if (pollMs === undefined) return POLL_MS_DEFAULT;
  if (/^\d{1,6}$/.test(pollMs) && Number(pollMs) >= 10) return Number(pollMs);
  const what = `pollMs is a whole number from 10 to 999999, got "${pollMs.slice(0, 40)}"`;
  throw refusal('NARU_INVALID_ARGUMENT', text, what);
}
