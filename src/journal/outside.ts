// What a journal asks of the outside: a folder on a disk, time, randomness, and which boot of the machine this is. The real ones are in
// folder.ts; tests bring a disk that loses what was not synced.

import type { Disk, LogClock } from '../log/index.ts';

export interface JournalClock extends LogClock {
  /** now(), as it was at some moment of this turn of the event loop: cheaper. */
  recent?(): number;
}

export interface Outside {
  readonly disk: Disk;
  readonly clock: JournalClock;
  /** Milliseconds since 1970. */
  readonly time: () => number;
  /** Fills the bytes with random ones. */
  readonly random: (bytes: Uint8Array) => void;
  /** Another text after each start of the machine: after a loss of power less is known of what was handed out. */
  readonly boot: string;
}
