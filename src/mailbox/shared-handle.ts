// How a live handle is handed over to another process or thread: as what it is, where it is, and how it was opened. spawn()
// asks for it; the other side opens it anew. The handle itself never travels.

import type { Shape } from './capabilities.ts';

/** Everything another process needs to open what a handle stands for. Plain data. The URL holds no password. */
export interface SharedHandle {
  readonly kind: 'mailbox' | 'map' | 'list' | 'value' | 'array' | 'lock' | 'semaphore' | 'event';
  readonly url: string;
  /** As the function that opens this kind takes them. May hold a Manager's key: it goes through the child's own channel, and is never shown. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Where it can be opened: what lives in one thread is of no use anywhere else. */
  readonly shapes: readonly Shape[];
  /** Why it cannot be handed over, if it cannot: what it was opened with is no plain data. */
  readonly refusal?: string | undefined;
}

/** A handle that can be handed over: every mailbox, map, value, array, lock, semaphore and event. */
export interface Shareable {
  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle;
}

/** Whether a value is such a handle. */
export function isShareable(value: unknown): value is Shareable {
  return typeof value === 'object' && value !== null && typeof (value as Shareable).toShared === 'function';
}
