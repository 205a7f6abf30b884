// Keys of System V objects: a number, a file and a project (ftok(3)), or none. sysvipc(7)

import { invalid } from './object-errors.ts';
import { keyOfPath } from './system-v-open.ts';

/** A 32-bit number other than 0; a file that stands for one, with a project from 1 to 255; or an object without a key. */
export type SystemVKey = number | { readonly path: string; readonly project?: number | string } | 'private';

/** @throws NARU_INVALID_ARGUMENT; NARU_NOT_FOUND  the path does not exist */
export function keyNumber(key: SystemVKey, object: string): number {
  if (key === 'private') return 0;
  if (typeof key === 'object') return keyOfPath(key.path, key.project);
  if (Number.isInteger(key) && key !== 0 && key >= -(2 ** 31) && key < 2 ** 32) return key | 0;
  throw invalid(object, `key must be a 32-bit number other than 0, or 'private', got ${String(key)}`);
}

/** As ipcs(1) shows it. */
export function keyText(key: number): string {
  return key === 0 ? 'private' : `0x${(key >>> 0).toString(16).padStart(8, '0')}`;
}
