// The contract between the model (Lock, Semaphore, Event) and the places where they live. Everything common is in the model: waiting with
// deadline and abort, re-entrance, guards. A driver takes, gives back, and says when it is worth trying again.

import type { SyncCapabilities } from './sync-capabilities.ts';
import type { SyncOptions } from './sync-options.ts';

/**
 * Rules that every driver keeps:
 *
 * S1. `tryTake()` never waits. What it took is this handle's until `give()`, `close()`, or the death of its process.
 * S2. What a dead process had comes back, on proof of its death only: a stopped one is not robbed. Whoever gets a lock next, or a permit, is
 *     told once: `recovered`.
 * S3. While `want(n > 0)` stands, `hooks.ready()` is called whenever `tryTake()` may succeed where it did not before. Once too often is fine,
 *     once too few is a hang. It may be called from within `want()`, never from within `tryTake()`.
 * S4. `want(n > 0)` keeps the process alive; an idle handle does not.
 * S5. `block()` stops the calling thread only. It ends when `attempt()` says true, when the time is over, or when a signal with a handler comes.
 * S6. `close()` gives back what this handle has, may be called again, and releases every descriptor, thread and timer.
 * S7. A driver never retries, never times out, never logs.
 * S8. After `hooks.failed(error)` every call throws that error.
 */
export interface SyncDriver {
  readonly facts: SyncFacts;
  /** How many calls of this handle wait; 0 = none any more. */
  want(count: number): void;
  /** Where nothing is known at once (no `immediate`): asks, and resolves when `tryTake()` or `count` knows. For waits of 0 ms. */
  poll?(): Promise<void>;
  /** Blocks the thread. @param timeoutMs  Infinity = for ever  @throws NARU_UNSUPPORTED where a place cannot */
  block(attempt: () => boolean, timeoutMs: number): BlockEnd;
  close(): Promise<void>;
  /** Removes it for everybody: the others get NARU_CLOSED. */
  unlink(): Promise<void>;
}

export interface SyncFacts {
  /** The URL as it may be shown. */
  readonly text: string;
  /** The place's scheme. */
  readonly place: string;
  /** The URL by which others reach it. */
  readonly address: string;
  /** Who this handle is. */
  readonly identity: string;
  /** Whether this open() made it. */
  readonly created: boolean;
  /** Options that others need to open it, and that nobody may see: `spawn()` hands them over, nothing shows them. */
  readonly secrets?: Readonly<Record<string, unknown>>;
}

export type BlockEnd = 'ready' | 'timeout' | 'interrupted';

/** What the driver calls. */
export interface SyncHooks {
  ready(): void;
  failed(error: Error): void;
}

/** `undefined`: not now. `recovered`: and a holder before died with it. */
export type Taken = 'taken' | 'recovered' | undefined;

/** Something that is held for a while: a lock, or a semaphore's permits. */
export interface HoldDriver extends SyncDriver {
  /** @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT, NARU_LIMIT */
  tryTake(): Taken;
  /** Gives back one. @throws NARU_NOT_HELD  this handle has none */
  give(): void;
}

export interface LockDriver extends HoldDriver {
  /** Who has it, for show and for finding a deadlock; undefined: nobody. */
  holder(): SyncHolder | undefined;
}

export interface SyncHolder {
  /** Identity of the handle that has it. */
  readonly identity: string;
  /** It is a handle of the calling thread: blocking this thread for it would never end. */
  readonly isThisThread: boolean;
}

export interface SemaphoreDriver extends HoldDriver {
  /** Only who has a permit gives one back. */
  readonly bounded: boolean;
  /** Permits that are left. */
  readonly value: number;
  /** Permits that this handle has. */
  readonly held: number;
  /** Adds one that nobody had. @throws NARU_LIMIT */
  add(): void;
  /** Keeps one that this handle has for good: it never comes back. @throws NARU_NOT_HELD */
  spend(): void;
}

export interface EventDriver extends SyncDriver {
  readonly isSet: boolean;
  /** How often it was set. */
  readonly count: number;
  set(): void;
  clear(): void;
}

/** Where locks, semaphores and events live: the export `syncPlace` of a place's `sync.ts`. */
export interface SyncPlace {
  /** What it can do. The models refuse the calls that it does not declare. */
  readonly capabilities: SyncCapabilities;
  /** Names of URL parameters that only this place knows. */
  readonly parameters: readonly string[];
  /** The option `key` means something here; elsewhere it is refused. */
  readonly takesKey?: boolean;
  openLock(options: SyncOptions, hooks: SyncHooks): Promise<LockDriver>;
  openSemaphore(options: SyncOptions, hooks: SyncHooks): Promise<SemaphoreDriver>;
  openEvent(options: SyncOptions, hooks: SyncHooks): Promise<EventDriver>;
}
