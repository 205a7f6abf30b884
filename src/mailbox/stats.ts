// The numbers of a mailbox: what this handle did, and what the place knows.

import type { PlaceStats } from './driver.ts';

/** Counters of one handle since it was opened, and the state of the place. */
export interface MailboxStats {
  /** Messages of this handle that the place took. */
  readonly sent: number;
  /** Messages this handle took from the place (fetched ahead included). */
  readonly received: number;
  readonly acked: number;
  readonly requeued: number;
  readonly rejected: number;
  /** Messages that wait for room in this process. */
  readonly waitingSends: number;
  readonly waitingReceives: number;
  readonly pendingRequests: number;
  /** Everything dropped on purpose, by reason: by this handle and, where it can tell, by the place. */
  readonly dropped: Readonly<Record<string, number>>;
  /** The place itself; -1 where it cannot know. */
  readonly place: PlaceStats;
}

/** Adds counters by name. */
export function addCounters(...all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const counters of all) {
    for (const [name, count] of Object.entries(counters)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}
