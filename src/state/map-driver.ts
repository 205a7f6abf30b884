// The contract between SharedMap and the places where maps live. A driver moves bytes; codec, schema, freezing, waiting,
// retrying and iteration are SharedMap's.
//
// M1  get() gives a value that some set() stored, whole; once a set() has come back, no handle anywhere gets an older one.
// M2  A conditional set() or delete() decides and acts in one step: of several with one version at most one succeeds.
// M3  Every set() gives the entry a version that no entry of this key ever had, equal bytes or not, deleted in between or not.
// M4  An entry is gone for every call from the moment it expires.
// M5  What does not fit changes nothing: NARU_FULL when the map is full, NARU_TOO_LARGE when key or value never could fit.
// M6  entries() gives each entry that is there from its start to its end exactly once, and no key twice. What changes
//     meanwhile may be given or not.
// M7  After a change by any handle, every watcher is called within a second; once too often is fine, once too few is a bug.
//     A driver that lost its connection calls with `undefined` when it is back.
// M8  A killed writer leaves the old value or the new one.
// M9  A driver never retries a condition, never times out, never logs. Reconnecting is the one exception. A write whose outcome
//     is not known rejects with NARU_OUTCOME_UNKNOWN.
// M10 close() may be called twice; an idle driver keeps no process alive, and neither does a watch: SharedMap does that.

import type { MapCapabilities } from './map-capabilities.ts';

/** A value, or the promise of one. Drivers whose capabilities say `sync` return no promise from get(), nor from set() and delete() unless they
 * have setSync() and deleteSync(). */
export type Maybe<T> = T | Promise<T>;

/** Which state of an entry it is. Opaque: only the driver that made it knows what it means; equal ones are `===`. */
export type MapVersion = string | number | bigint;

/** An entry as the place has it. */
export interface MapItem {
  readonly key: string;
  /** The caller's for ever: a copy, or memory that nobody writes again. */
  readonly value: Uint8Array;
  readonly version: MapVersion;
  /** When it expires, in milliseconds since the epoch; undefined: never, or the place cannot tell. */
  readonly expiresMs?: number | undefined;
}

/** How to set. */
export interface MapSetOptions {
  /** `absent`: only where there is no entry. A version: only while the entry has it. Undefined: in any case. */
  readonly only: MapCondition | undefined;
  /** Time to live from now in milliseconds, 1 or more; undefined: for ever. Every set() states it anew. */
  readonly ttlMs: number | undefined;
}

export type MapCondition = { readonly absent: true } | { readonly version: MapVersion };

/** What is fixed while a handle is open. */
export interface MapFacts {
  readonly capabilities: MapCapabilities;
  /** The URL as it may be shown. */
  readonly text: string;
  /** A URL by which others open this very map; it holds no password. */
  readonly address: string;
  /** Options that others need to open it, and that nobody may see: `spawn()` hands them over, nothing shows them. */
  readonly secrets?: Readonly<Record<string, unknown>>;
  readonly maxKeyBytes: number;
  readonly maxValueBytes: number;
  /** Whether this handle made the map. */
  readonly created: boolean;
}

/** One open handle of a map. Keys are well-formed and within `maxKeyBytes`, values within `maxValueBytes`: SharedMap checks. */
export interface MapDriver {
  readonly facts: MapFacts;
  /** @returns undefined when there is no such entry */
  get(key: string): Maybe<MapItem | undefined>;
  /** `value` may be kept only until the call has come back. @returns false when the condition did not hold */
  set(key: string, value: Uint8Array, options: MapSetOptions): Maybe<boolean>;
  /** @returns false when there was no entry, or it has another version */
  delete(key: string, version: MapVersion | undefined): Maybe<boolean>;
  /** Where set() may return a promise in spite of `sync` (a lock that is busy): the same, blocking the thread. @throws NARU_TIMEOUT */
  setSync?(key: string, value: Uint8Array, options: MapSetOptions): boolean;
  /** The same of delete(). */
  deleteSync?(key: string, version: MapVersion | undefined): boolean;
  /** All entries in batches of bounded size. Only with `iterate`. */
  entries(): AsyncIterable<readonly MapItem[]> | Iterable<readonly MapItem[]>;
  /** Only with `iterate`. */
  clear(): Maybe<void>;
  /** How many entries there are, expired ones not counted. Only with `iterate`. */
  size(): Maybe<number>;
  /**
   * Calls `changed` with the key of an entry that was set or deleted, or with undefined when any may have been. Only with `watch`.
   * @returns a function that ends it
   */
  watch(changed: (key: string | undefined) => void): Maybe<() => void>;
  close(): Maybe<void>;
  /** Removes the map itself: other handles get NARU_CLOSED. */
  unlink(): Maybe<void>;
}
