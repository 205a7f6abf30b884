// What a sysv:// URL and its options mean: which queue, which messages of it, and what a new one gets.

import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { SystemVQueue, type SystemVSelection } from '../../kernel/index.ts';
import { refuseMeaningless } from '../../kernel-queue/options.ts';
import { readMode, refusal } from '../../mailbox/refusal.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';

/** Parameters of a sysv URL that are not options of every place. */
export const PARAMETERS: readonly string[] = ['project', 'type', 'except', 'mode'];

export interface SysvOptions {
  /** @throws NARU_NOT_FOUND  the file of the path does not exist */
  readonly which: () => { readonly key: number } | { readonly id: number };
  /** The key was made from a name: only this user's queue can be meant. */
  readonly isNamed: boolean;
  readonly selection: SystemVSelection;
  /** Permission bits; undefined: not stated. */
  readonly mode: number | undefined;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED */
export function readSysvOptions(url: PlaceUrl, options: PlaceOptions): SysvOptions {
  refuseMeaningless(url, options);
  if (options.capacityMessages !== undefined) {
    throw refusal('NARU_UNSUPPORTED', url, 'a System V queue is limited in bytes: give capacityBytes');
  }
  return { ...readTarget(url), selection: readSelection(url), mode: readMode(url) };
}

function readTarget(url: PlaceUrl): Pick<SysvOptions, 'which' | 'isNamed'> {
  const { host, path, extra } = url;
  if (url.port !== undefined || url.username !== '') throw noQueue(url);
  if (host !== '' && path !== '') return { which: readId(url), isNamed: false };
  if (host === '') {
    if (!path.startsWith('/') || path.includes('\0')) throw noQueue(url);
    const project = readProject(url);
    return { which: () => ({ key: SystemVQueue.key(path, project) }), isNamed: false };
  }
  if (extra['project'] !== undefined) {
    throw refusal('NARU_INVALID_ARGUMENT', url, 'project goes with a path: sysv:///path?project=1');
  }
  if (!/^0x/i.test(host)) {
    const name = checkName(host, url.text);
    return { which: () => ({ key: keyOfName(name) }), isNamed: true };
  }
  const key = /^0x[0-9a-f]{1,8}$/i.test(host) ? Number(host) : 0;
  if (key === 0) throw noQueue(url);
  return { which: () => ({ key }), isNamed: false };
}

/** The number that the kernel gave a queue: the only way to one without a key. It is never made by it. */
function readId(url: PlaceUrl): SysvOptions['which'] {
  const id = url.host === 'id' && /^\/\d{1,10}$/.test(url.path) ? Number(url.path.slice(1)) : -1;
  if (id < 0 || id >= 2 ** 31 || url.extra['project'] !== undefined) throw noQueue(url);
  return () => ({ id });
}

/** No file is made: two names meet on one key once in 2^31, and a queue of somebody else is refused. */
function keyOfName(name: string): number {
  const chosen = process.env['NARU_RUNTIME_DIR'];
  const folder =
    chosen !== undefined && chosen !== '' ? resolve(chosen) : `/dev/shm/naru-${process.getuid?.() ?? 0}`;
  const key = createHash('sha256').update(`${folder}/${name}`).digest().readUInt32BE(0);
  return key === 0 ? 1 : key;
}

function readProject(url: PlaceUrl): number | string | undefined {
  const text = url.extra['project'];
  if (text === undefined) return undefined;
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 255) return Number(text);
  if (/^[A-Za-z]$/.test(text)) return text;
  throw refusal(
    'NARU_INVALID_ARGUMENT',
    url,
    `project is 1 to 255 or one letter, got "${text.slice(0, 40)}"`,
  );
}

function readSelection(url: PlaceUrl): SystemVSelection {
  const { type, except } = url.extra;
  if (type !== undefined && except !== undefined) {
    throw refusal('NARU_INVALID_ARGUMENT', url, 'give either type or except');
  }
  if (except !== undefined) return { except: typeNumber(url, 'except', except) };
  if (type === undefined) return {};
  return type.startsWith('-')
    ? { atMost: typeNumber(url, 'type', type.slice(1)) }
    : { type: typeNumber(url, 'type', type) };
}

function typeNumber(url: PlaceUrl, name: string, text: string): number {
  const value = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : 0;
  if (value > 0 && value <= Number.MAX_SAFE_INTEGER) return value;
  const what = `${name} selects by a whole number: type=3 (exactly 3), type=-3 (lowest up to 3), except=3; got "${text.slice(0, 40)}"`;
  throw refusal('NARU_INVALID_ARGUMENT', url, what);
}

function noQueue(url: PlaceUrl): Error {
  const what =
    'name the queue by its key, by a file, by a name, or by its id: sysv://0x1234, sysv:///path?project=1, sysv://orders, sysv://id/5';
  return refusal('NARU_INVALID_ARGUMENT', url, what);
}
