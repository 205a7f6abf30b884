// What the commands about maps, values and arrays share: finding out what a URL leads to, and values as text.

import { isNaruError } from '../errors/index.ts';
import { parseUrl } from '../mailbox/parse-url.ts';
import { openAnyValue, openMap, type ManagerValue, type SharedMap, type SharedValue } from '../open-state.ts';
import { type Ending, UsageError } from './exit.ts';
import type { Target } from './url.ts';

/** A map whose features are checked when they are used, not when this is compiled. */
export type TextMap = SharedMap;

/** Places where `owner` decides, and where a command that ends at once must not take what it set along. */
const OWNED = new Set(['memory', 'shm', 'mmap', 'unix', 'tcp']);

/** @param mayCreate  a map that is not there is made, and stays until `naru rm` */
export async function openTheMap(target: Target, mayCreate: boolean, ending: Ending): Promise<TextMap> {
  const { parts, stated } = parseUrl(target.url);
  const isOwned = OWNED.has(parts.scheme);
  const options = { needs: ['crossProcess' as const], signal: ending.signal };
  const attach = isOwned ? { ...options, create: 'never' as const } : options;
  try {
    return (await openMap(target.url, attach)) as unknown as TextMap;
  } catch (error) {
    const isMissing =
      mayCreate && isOwned && stated.create !== 'never' && isNaruError(error, 'NARU_NOT_FOUND');
    if (!isMissing) throw error;
  }
  const made = await openMap(target.url, { ...options, owner: stated.owner ?? 'system' });
  return made as unknown as TextMap;
}

/** The value that is there. @throws NARU_NOT_FOUND, NARU_EXISTS (it is a map or an array) */
export function openTheValue(target: Target, ending: Ending): Promise<SharedValue | ManagerValue> {
  return openAnyValue(target.url, { create: 'never', signal: ending.signal });
}

/** Text of a command line as a value: JSON where it is JSON, else the text itself. */
export function valueFrom(text: string, isText: boolean): unknown {
  if (isText) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** Text of a command line as a value of a type. @throws UsageError */
export function typedFrom(text: string, type: string): never {
  return readTyped(text, type) as never;
}

function readTyped(text: string, type: string): unknown {
  if (type.startsWith('text:')) return text;
  if (type.startsWith('bytes:')) return Buffer.from(text, 'utf8');
  if (type === 'bool') {
    if (text === 'true' || text === 'false') return text === 'true';
    throw new UsageError(`a bool is true or false, not "${text}"`);
  }
  if ((type === 'i64' || type === 'u64') && /^-?\d{1,20}$/.test(text)) return BigInt(text);
  if (type.endsWith('64') && type !== 'f64')
    throw new UsageError(`${type} takes a whole number, not "${text}"`);
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isNaN(number) && text !== 'NaN') throw new UsageError(`${type} takes a number, not "${text}"`);
  return number;
}

/** A value as one line: JSON; what JSON has no form for as text. */
export function lineOf(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return JSON.stringify(value) ?? 'undefined';
}
