// What the driver needs of the thing in the file system, or of the descriptors, that a mailbox lives in: its two ends.

import type { Tasks } from '../kernel/object-errors.ts';
import type { ReadEnd, WriteEnd } from '../kernel/pipe-ends.ts';

export interface PipeEnds {
  /** How errors name it. */
  readonly name: string;
  /** When the last writer has gone no other comes: the end of the mailbox. */
  readonly endsWithWriters: boolean;
  /** The end that reads; never waits. @throws NARU_UNSUPPORTED  it only writes; NARU_NOT_FOUND, NARU_DENIED, NARU_LIMIT, NARU_CLOSED */
  openRead(): ReadEnd;
  /** The end that writes. @returns undefined: nobody reads. @throws as openRead() */
  tryOpenWrite(): WriteEnd | undefined;
  /**
   * Waits until somebody reads. Absent: nobody comes any more.
   * @param late  gets the end of a reader that came while the wait was given up
   * @throws what waitForReader() of kernel/fifo-file.ts raises
   */
  waitForReader?(tasks: Tasks, signal: AbortSignal, late: (end: WriteEnd) => void): Promise<WriteEnd>;
  /** The same, blocking the thread. */
  waitForReaderSync?(timeoutMs: number): WriteEnd | 'timeout' | 'interrupted';
  /** No more from anybody here. Only where it ends with its writers. */
  endWriting?(): void;
  /** Destroys it. @throws NARU_DENIED */
  remove(): void;
  /** Lets go of what it holds itself. */
  close(): void;
}
