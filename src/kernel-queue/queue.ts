// What a message queue of the kernel must be able to do to be a place. places/sysv and places/posixmq each put one behind this;
// everything else that makes a mailbox of it is in this folder.

/** A message as the kernel keeps it. */
export interface QueueItem {
  /** System V: the type. POSIX: the priority. */
  readonly tag: number;
  readonly body: Uint8Array;
}

/** The queue as it is now; -1 where nobody can tell. */
export interface QueueStatus {
  readonly count: number;
  readonly bytes: number;
  readonly capacityBytes: number;
  readonly capacityMessages: number;
}

/** What became of a call that blocks its thread. */
export type Blocked = 'timeout' | 'interrupted';

/** One open queue. Calls throw NaruError; NARU_CLOSED means that it was removed. Callbacks come from the event loop. */
export interface KernelQueue {
  /** Puts in what there is room for, in order. @throws only about the first @returns how many */
  put(items: readonly QueueItem[]): number;
  /** Takes up to `max`; none means that the queue has none. */
  take(max: number): QueueItem[];
  /**
   * Waits for room. Keeps the process alive until it calls back, once: `isIn` when that took sending this very item.
   * The body may be used until then.
   */
  waitToPut(item: QueueItem, done: (error: Error | undefined, isIn: boolean) => void): void;
  /** Ends that wait; it will not call back. @returns whether the item has gone in all the same */
  stopPut(): boolean;
  /** True while waitToTake() costs next to nothing and calls back at once when there is a message: then nobody looks before. */
  readonly isWatched?: boolean;
  /** Waits for a message. Keeps the process alive until it calls back, once, with the message when that took receiving it. */
  waitToTake(done: (error: Error | undefined, item: QueueItem | undefined) => void): void;
  /** Ends that wait; it will not call back. @returns the message that it had taken by then */
  stopTake(): QueueItem | undefined;
  /** Blocks the thread. @returns whether the item went in, or only `room` came free */
  putSync(item: QueueItem, timeoutMs: number): 'in' | 'room' | Blocked;
  /** Blocks the thread. @returns the message; undefined when one is there to take */
  takeSync(timeoutMs: number): QueueItem | undefined | Blocked;
  /** Copies of up to `max` that take() would give; absent where the kernel cannot look without taking. */
  copy?(max: number): QueueItem[];
  status(): QueueStatus;
  /** Removes it for everybody. */
  remove(): void;
  /** Lets go of descriptors and threads. Nothing waits any more. */
  close(): void;
}
