// What the URL of a folder and its options mean. Checks only.

import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { byteCount, count } from '../../mailbox/parameters.ts';
import { refusal } from './options.ts';

/** Parameters of a folder's URL that are not options of every place. */
export const LOG_PARAMETERS: readonly string[] = ['offset', 'since', 'retainMs', 'segment', 'maxConnections'];

const SEGMENT_BYTES_DEFAULT = 16_777_216;
const CONNECTIONS_DEFAULT = 1_000;
const DURATION_MS_MAX = 3_153_600_000_000;

export interface LogOptions {
  readonly folder: string;
  /** The URL as it may be shown. */
  readonly text: string;
  /** Where a consumer begins: a number of the log. */
  readonly offset: number | undefined;
  /** Where a consumer begins: a time, in milliseconds since 1970. */
  readonly since: number | undefined;
  /** How long a topic keeps what every group has had. Default: as long as there is room. */
  readonly retainMs: number | undefined;
  /** Size of a file of the log. Default: 16 MiB. */
  readonly segmentBytes: number;
  /** Default: 1,000. */
  readonly connectionsMax: number;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED */
export function readLogOptions(url: PlaceUrl, options: PlaceOptions): LogOptions {
  const folder = folderOf(url);
  refuseMeaningless(url, options);
  const segmentBytes = read(url, 'segment', byteCount(65_536, 1_073_741_824)) ?? SEGMENT_BYTES_DEFAULT;
  if (segmentBytes % 4096 !== 0) {
    throw refusal(
      'NARU_INVALID_ARGUMENT',
      url.text,
      `segment is a multiple of 4096 bytes, not ${segmentBytes}`,
    );
  }
  const offset = read(url, 'offset', count(1, Number.MAX_SAFE_INTEGER));
  const since = read(url, 'since', readTime);
  if (offset !== undefined && since !== undefined) {
    throw refusal('NARU_INVALID_ARGUMENT', url.text, 'a consumer begins at an offset or at a time, not both');
  }
  if ((offset ?? since) !== undefined && options.deliver === 'one') {
    const what = 'a queue has no history: offset and since are for topics (deliver: "all")';
    throw refusal('NARU_UNSUPPORTED', url.text, what);
  }
  return {
    folder,
    text: url.text,
    offset,
    since,
    retainMs: read(url, 'retainMs', count(1, DURATION_MS_MAX)),
    segmentBytes,
    connectionsMax: read(url, 'maxConnections', count(1, 65_536)) ?? CONNECTIONS_DEFAULT,
  };
}

/** The URL that leads to a folder. */
export function logAddressOf(folder: string): string {
  return `file://${folder.split('/').map(encodeURIComponent).join('/')}`;
}

function folderOf({ host, port, username, path, text }: PlaceUrl): string {
  const isPlain = host === '' && port === undefined && username === '';
  const folder = path.replace(/\/+$/, '');
  if (isPlain && folder.startsWith('/') && !folder.includes('\0')) return folder;
  const what = 'name the folder by an absolute path: file:///var/lib/app/orders';
  throw refusal('NARU_INVALID_ARGUMENT', text, what);
}

function refuseMeaningless({ text }: PlaceUrl, { owner, frame, tls }: PlaceOptions): void {
  if (owner === 'users' || owner === 'process') {
    const what = `a log stays until it is removed; owner "${owner}" is not possible`;
    throw refusal('NARU_UNSUPPORTED', text, what);
  }
  if (tls !== undefined || frame !== undefined) {
    throw refusal('NARU_UNSUPPORTED', text, 'frame and tls have no meaning for a log');
  }
}

function read(url: PlaceUrl, name: string, how: (text: string) => number): number | undefined {
  const text = url.extra[name];
  if (text === undefined) return undefined;
  try {
    return how(text);
  } catch (error) {
    const what = `${name}=${text.slice(0, 40)}: ${error instanceof Error ? error.message : String(error)}`;
    throw refusal('NARU_INVALID_ARGUMENT', url.text, what);
  }
}

/** Milliseconds since 1970, or an ISO 8601 time. */
function readTime(text: string): number {
  const time = /^\d{1,15}$/.test(text) ? Number(text) : /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new Error('must be milliseconds since 1970 or a time such as 2026-01-31T12:00:00Z');
}
