// Whether a handle is open, closed, or has lost its place, and the error that each of its calls meets then. How it ends is in closing.ts.

import { NaruError } from '../errors/index.ts';
import type { CloseResult } from './setup.ts';

export class Life {
  readonly #mailbox: string;
  #isClosed = false;
  #closing: Promise<CloseResult> | undefined;
  #failure: Error | undefined;

  constructor(mailbox: string) {
    this.#mailbox = mailbox;
  }

  /** The place is gone for good. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Why nothing can be done any more; undefined while the handle is open. */
  get end(): Error | undefined {
    return this.#failure ?? (this.#isClosed ? this.closedError() : undefined);
  }

  /** @throws the error of a handle that is closed or whose place is gone */
  checkOpen(): void {
    if (this.#failure !== undefined || this.#isClosed) throw this.end as Error;
  }

  /** @returns false when it was over before */
  fail(error: Error): boolean {
    if (this.#failure !== undefined || this.#isClosed) return false;
    this.#failure = error;
    return true;
  }

  /** Closes once, however often it is asked. */
  close(act: () => Promise<CloseResult>): Promise<CloseResult> {
    this.#isClosed = true;
    this.#closing ??= act();
    return this.#closing;
  }

  closedError(): NaruError {
    return new NaruError('NARU_CLOSED', `${this.#mailbox}: this handle is closed`, {
      mailbox: this.#mailbox,
    });
  }

  /** The error of a receive that can get nothing any more: closed, or ended. */
  nothingMore(): NaruError {
    if (this.#isClosed) return this.closedError();
    return new NaruError('NARU_CLOSED', `${this.#mailbox}: the mailbox has ended and is empty`, {
      mailbox: this.#mailbox,
    });
  }
}
