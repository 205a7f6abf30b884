// The names of what a mailbox has at the server beside its queue or its exchange, which has the mailbox's own name.

import { createHash } from 'node:crypto';

/** A reply of a server has 255 bytes, and what is to be read out of it stands behind the name. */
const LONGEST = 40;

function short(name: string): string {
  if (name.length <= LONGEST) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return `${name.slice(0, LONGEST - hash.length - 1)}~${hash}`;
}

export const NAMES = {
  settings: (name: string): string => `naru.settings.${short(name)}`,
  lock: (name: string): string => `naru.lock.${short(name)}`,
  seats: (name: string, role: 'p' | 'c'): string => `naru.seats.${role}.${short(name)}`,
  /** The queue of one consumer of a topic. */
  subscription: (id: string, handle: string): string => `naru.sub.${id}.${handle}`,
  group: (id: string, group: string): string => `naru.group.${id}.${group}`,
  delay: (id: string, ms: number): string => `naru.delay.${id}.${ms}`,
} as const;
