// The contract between SharedValue and SharedArray and the places whose memory they look into: mapped bytes, a lock beside them, and
// whether they may be touched.

import type { SharedHandle } from '../mailbox/shared-handle.ts';
import type { LockDriver, SyncHooks } from '../sync/driver.ts';
import { codeOf, type Element } from './elements.ts';

/** What is fixed while a handle is open. */
export interface CellFacts {
  /** The URL as it may be shown. */
  readonly text: string;
  /** The URL by which others open it. */
  readonly address: string;
  readonly place: string;
  /** Whether this handle made it. */
  readonly created: boolean;
  readonly element: Element;
  /** Elements; 1 of a value. */
  readonly length: number;
}

/** One open handle of a value or an array. */
export interface CellDriver {
  readonly facts: CellFacts;
  /** The mapped memory, and where the elements begin in it. */
  readonly buffer: ArrayBufferLike;
  readonly offset: number;
  /** Asked before every operation: unless `isFresh`, look() says whether the memory may be touched. */
  readonly health: { readonly isFresh: boolean; look(): void };
  /** The lock beside the elements. Closing it gives it back. */
  openLock(hooks: SyncHooks): LockDriver;
  /** A copy of a text or bytes, whole. */
  readBlob(): Uint8Array;
  /** Stores a text or bytes, at most as long as `element.bytes`. @throws NARU_TIMEOUT  a stopped process is writing */
  writeBlob(bytes: Uint8Array): void;
  close(): Promise<void>;
  unlink(): Promise<void>;
}

/** How spawn() hands a value or an array over: mapped memory is within reach of every process of its user. */
export function sharedCells(kind: 'value' | 'array', { address, element }: CellFacts): SharedHandle {
  return { kind, url: address, options: { type: codeOf(element) }, shapes: ['worker', 'child'] };
}
