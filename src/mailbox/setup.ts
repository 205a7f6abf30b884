// What a mailbox is built from, and how it ends: the types around the class.

import type { DeadLetterTarget } from './dead-letter.ts';
import type { Driver } from './driver.ts';
import type { HookRelay } from './hooks.ts';
import type { Stated } from './parse-url.ts';

/** What open() builds a mailbox from. */
export interface MailboxSetup {
  readonly driver: Driver;
  readonly hooks: HookRelay;
  /** URL and options, merged. */
  readonly stated: Stated;
  /** The URL as it may be shown. */
  readonly text: string;
  /** Opens the dead-letter mailbox. */
  readonly openDeadLetter: (url: string) => Promise<DeadLetterTarget>;
}

/** How close() and drain() end. */
export interface CloseOptions {
  /** How long sends that wait for room may still take, in milliseconds. Default: the mailbox's `flushMs` (2,000). */
  readonly flushMs?: number;
}

/** What was left when a handle closed. */
export interface CloseResult {
  /** Messages this handle was given and that nobody will receive. */
  readonly undelivered: number;
}
