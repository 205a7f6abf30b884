// How long an object lives in a Manager: as long as its users, or as the Manager.

import { NaruError } from '../errors/index.ts';
import type { Owner } from '../mailbox/capabilities.ts';

/** @throws NARU_UNSUPPORTED */
export function checkOwner(owner: Owner | undefined, text: string): 'users' | 'system' | undefined {
  if (owner !== 'process') return owner;
  throw new NaruError(
    'NARU_UNSUPPORTED',
    `${text}: an object of a Manager lives as long as its users (owner "users") or as the Manager (owner "system", the default)`,
    { mailbox: text },
  );
}
