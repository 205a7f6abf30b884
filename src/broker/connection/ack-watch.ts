// Closes a channel whose consumer does not settle what it was given: off unless a limit, an argument or a policy sets a time. It
// looks a few times within that time and remembers the last tag of each look, so that no delivery needs a time of its own.

import type { Clock } from '../clock.ts';
import type { Queue } from '../queue/queue.ts';

/** A delivery that was not settled in time. */
export interface Overdue {
  readonly queue: Queue;
  readonly timeoutMs: number;
}

/** The channel, as its watch sees it. */
export interface Watched {
  readonly clock: Clock;
  /** Tag of the last delivery. */
  readonly lastTag: number;
  /** How long messages of a queue may stay unsettled; undefined: for ever. */
  timeoutOf(queue: Queue): number | undefined;
  /** Calls `fn` with what is not settled, oldest first. */
  eachUnsettled(fn: (tag: number, queue: Queue) => void): void;
  overdue(overdue: Overdue): void;
}

/** Looks within the shortest time: late by a fourth of it at most, never early. */
const LOOKS = 4;
const LOOK_MS_MAX = 60_000;
const LOOK_MS_MIN = 50;

export class AckWatch {
  readonly #channel: Watched;
  /** What was given at each look, oldest first: a tag up to one of these is at least so old. */
  #marks: { readonly tag: number; readonly at: number }[] = [];
  #cancel: (() => void) | undefined;

  constructor(channel: Watched) {
    this.#channel = channel;
  }

  /** A message of this queue is given out. */
  note(queue: Queue): void {
    if (this.#cancel !== undefined) return;
    const timeoutMs = this.#channel.timeoutOf(queue);
    if (timeoutMs !== undefined) this.#lookIn(timeoutMs);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#marks = [];
  }

  #lookIn(timeoutMs: number): void {
    const { clock } = this.#channel;
    const ms = Math.min(LOOK_MS_MAX, Math.max(LOOK_MS_MIN, Math.ceil(timeoutMs / LOOKS)));
    this.#cancel = clock.schedule(clock.now() + ms, () => this.#look());
  }

  #look(): void {
    const channel = this.#channel;
    const now = channel.clock.now();
    this.#marks.push({ tag: channel.lastTag, at: now });
    let shortest = Infinity;
    let found: Overdue | undefined;
    let at = 0;
    let oldest: number | undefined;
    channel.eachUnsettled((tag, queue) => {
      oldest ??= tag;
      const timeoutMs = channel.timeoutOf(queue);
      if (timeoutMs === undefined) return;
      shortest = Math.min(shortest, timeoutMs);
      while ((this.#marks[at]?.tag ?? Infinity) < tag) at += 1;
      const since = this.#marks[at]?.at ?? now;
      if (now - since >= timeoutMs) found ??= { queue, timeoutMs };
    });
    if (found !== undefined) {
      this.stop();
      channel.overdue(found);
      return;
    }
    // Marks that nothing unsettled is older than say nothing any more.
    while ((this.#marks[0]?.tag ?? Infinity) < (oldest ?? Infinity) && this.#marks.length > 0)
      this.#marks.shift();
    if (shortest === Infinity) this.stop();
    else this.#lookIn(shortest);
  }
}
