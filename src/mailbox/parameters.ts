// The URL parameters every place understands: their names, short forms and how their text becomes a value. One table;
// parse-url.ts walks it. An option that is an object (tls, retry, wait) has no URL form.

import { NaruError } from '../errors/index.ts';
import { BOUNDS } from './defaults.ts';

/** How one parameter is read. `read` throws a plain Error whose text completes "…?name=value: ". */
export interface Parameter {
  /** The option it sets. */
  readonly option: string;
  readonly read: (text: string) => unknown;
}

/** Reads a number of bytes, with or without a unit. */
export const byteCount =
  (min: number, max: number) =>
  (text: string): number =>
    bounded(parseBytes(text), min, max, 'bytes');
/** Reads a whole number. */
export const count =
  (min: number, max: number) =>
  (text: string): number =>
    bounded(parseCount(text), min, max, '');
const duration = (text: string): number => bounded(parseCount(text), 0, BOUNDS.durationMsMax, 'ms');

/** One of a few words. */
function word(...words: readonly string[]): (text: string) => string {
  return (text) => {
    if (words.includes(text)) return text;
    throw new Error(`must be one of ${words.join(', ')}`);
  };
}

/** All parameters by name; short forms are entries of their own. */
export const PARAMETERS: Readonly<Record<string, Parameter>> = {
  role: { option: 'role', read: word('producer', 'consumer', 'both') },
  relation: { option: 'relation', read: word('1:1', 'N:1', '1:N', 'N:N') },
  deliver: { option: 'deliver', read: word('one', 'all') },
  group: { option: 'group', read: readName },
  create: { option: 'create', read: word('if-missing', 'new', 'never') },
  owner: { option: 'owner', read: word('users', 'process', 'system') },
  survives: { option: 'survives', read: word('process', 'restart') },
  capacityBytes: { option: 'capacityBytes', read: byteCount(0, BOUNDS.capacityBytesMax) },
  capacity: { option: 'capacityBytes', read: byteCount(0, BOUNDS.capacityBytesMax) },
  capacityMessages: { option: 'capacityMessages', read: count(0, BOUNDS.capacityMessagesMax) },
  depth: { option: 'capacityMessages', read: count(0, BOUNDS.capacityMessagesMax) },
  slotBytes: { option: 'slotBytes', read: byteCount(1, BOUNDS.maxMessageBytesMax) },
  slot: { option: 'slotBytes', read: byteCount(1, BOUNDS.maxMessageBytesMax) },
  maxMessageBytes: { option: 'maxMessageBytes', read: byteCount(1, BOUNDS.maxMessageBytesMax) },
  size: { option: 'maxMessageBytes', read: byteCount(1, BOUNDS.maxMessageBytesMax) },
  priorities: { option: 'priorities', read: count(1, BOUNDS.prioritiesMax) },
  full: { option: 'full', read: word('wait', 'fail', 'drop-oldest', 'drop-newest') },
  nobody: { option: 'nobody', read: word('keep', 'wait', 'fail', 'drop') },
  maxWaiting: { option: 'maxWaiting', read: count(0, BOUNDS.maxWaitingMax) },
  prefetch: { option: 'prefetch', read: count(1, BOUNDS.prefetchMax) },
  settle: { option: 'settle', read: word('auto', 'manual') },
  deadLetter: { option: 'deadLetter', read: (text) => text },
  leaseMs: { option: 'leaseMs', read: duration },
  retain: { option: 'retain', read: count(0, BOUNDS.retainMax) },
  from: { option: 'from', read: word('now', 'start') },
  dedup: { option: 'dedup', read: count(0, BOUNDS.dedupMax) },
  confirm: { option: 'confirm', read: word('accepted', 'placed', 'durable', 'received') },
  flushMs: { option: 'flushMs', read: duration },
  format: { option: 'format', read: word('envelope', 'raw') },
  frame: { option: 'frame', read: word('lines', 'length', 'fixed', 'chunk', 'eof') },
  codec: { option: 'codec', read: word('json', 'bytes', 'text', 'v8') },
  as: { option: 'as', read: readName },
};

/** `producers=1&consumers=1` is another way to write a relation. */
export function relationOf(producers: string | undefined, consumers: string | undefined): string | undefined {
  if (producers === undefined && consumers === undefined) return undefined;
  return `${producers === '1' ? '1' : 'N'}:${consumers === '1' ? '1' : 'N'}`;
}

/** Options that have no URL form: objects, and what is about the call of open(). */
const OBJECT_OPTIONS: readonly string[] = [
  'needs',
  'emulate',
  'retry',
  'wait',
  'tls',
  'schema',
  'signal',
  'timeoutMs',
  'key',
];
const VALIDATE: Parameter = { option: 'validate', read: word('both', 'send', 'receive', 'off') };
const OPTIONS = new Set([...Object.values(PARAMETERS).map(({ option }) => option), ...OBJECT_OPTIONS]);

/**
 * Checks that an option given as a value (not as text) exists and is one that the table allows, by reading its text form.
 * @throws NARU_INVALID_ARGUMENT
 */
export function checkOption(name: string, value: unknown, mailbox: string): void {
  const parameter =
    name === 'validate' ? VALIDATE : Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
  if (parameter !== VALIDATE && !OPTIONS.has(name)) {
    throw new NaruError('NARU_INVALID_ARGUMENT', `${mailbox}: open() has no option "${name.slice(0, 80)}"`);
  }
  // A codec may be an object of the program; options without a parameter are objects that their users check.
  if (parameter === undefined || (name === 'codec' && typeof value === 'object' && value !== null)) return;
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${mailbox}: option ${name} is a text or a number, not ${value === null ? 'null' : typeof value}`,
    );
  }
  readParameter(name, parameter, String(value), 'option');
}

/** @throws NARU_INVALID_ARGUMENT  naming the parameter, its text and what is allowed */
export function readParameter(
  name: string,
  parameter: Parameter,
  text: string,
  kind: 'option' | 'parameter',
): unknown {
  try {
    return parameter.read(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new NaruError('NARU_INVALID_ARGUMENT', `${kind} ${name}=${text.slice(0, 80)}: ${why}`);
  }
}

function readName(text: string): string {
  if (/^[A-Za-z0-9._-]{1,128}$/.test(text)) return text;
  throw new Error('must be 1 to 128 of the characters A-Z a-z 0-9 . _ -');
}

function parseCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error('must be a whole number');
  return Number(text);
}

/** `1048576`, `64KiB`, `1MiB`, `2GiB`, `10kB`, `5MB`. */
function parseBytes(text: string): number {
  const match = /^(\d{1,15})(B|KiB|MiB|GiB|kB|MB|GB)?$/.exec(text);
  if (match === null) throw new Error('must be a number of bytes such as 65536, 64KiB or 1MiB');
  const factors: Record<string, number> = {
    B: 1,
    KiB: 1024,
    MiB: 1024 ** 2,
    GiB: 1024 ** 3,
    kB: 1000,
    MB: 1000 ** 2,
    GB: 1000 ** 3,
  };
  return Number(match[1]) * (factors[match[2] ?? 'B'] ?? 1);
}

function bounded(value: number, min: number, max: number, unit: string): number {
  if (value >= min && value <= max) return value;
  throw new Error(`must be from ${min} to ${max}${unit === '' ? '' : ` ${unit}`}`);
}
