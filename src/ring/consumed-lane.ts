// What a receiver needs of a lane, whichever way the lane is consumed: exclusive-lane.ts, competing-lane.ts, topic-lane.ts.

import type { LaneReader } from './lane-reader.ts';

/** A lane as one consumer sees it. Messages come in batches: begin(), next() until enough, finish(). */
export interface ConsumedLane {
  /** The present message after next(); its position and memory. */
  readonly reader: LaneReader;
  /** 1, or more when a consumer before us, or this one, had the present message already. */
  readonly deliveries: number;
  /** Names the present message in the calls below. */
  readonly token: number;
  /** Messages this consumer has and has not settled. */
  readonly unsettled: number;
  /** Position before which this consumer holds up nobody. */
  readonly head: number;

  /** Whether a batch would find something. Cheap. */
  hasMore(): boolean;
  /** Whether somebody else is taking from the lane at this moment. */
  isHeld(): boolean;
  /**
   * Starts a batch of up to `max` messages.
   *
   * @param isInPlace  leave them where they lie, instead of copying them
   * @returns false when nothing can be taken now
   */
  begin(max: number, isInPlace: boolean): boolean;
  /** Moves on to the next message. @returns false when there is none (yet) */
  next(): boolean;
  /**
   * Ends a batch: everything handed out in it is on record. Before the user sees any of it.
   * @returns true when the producer has got room by it
   */
  finish(): boolean;

  /** Marks one message as settled; others learn it at commit(). */
  settle(token: number): void;
  /** Tells the others what was settled. @returns true when the producer has got room by it */
  commit(): boolean;
  /**
   * A message goes back: not done, or never seen.
   *
   * @param isCounted  whether its next delivery counts as one more
   * @returns true when it lies in the lane for any consumer; false when this one keeps it and calls handOutAgain() later
   */
  giveBack(token: number, isCounted: boolean): boolean;
  /** Records that a message which was given back is now being delivered for the n-th time. */
  handOutAgain(token: number, deliveries: number): void;
  /** Records that nobody will ever receive this message, for its producer's receipt. settle() follows. */
  drop(token: number): void;
  /** The user has this message. @returns true when its producer does not know yet */
  received(token: number): boolean;
  /** True when at least half of the lane is free for its producer, as far as this consumer is concerned. */
  isHalfFree(): boolean;
  /** True when nothing is left in the lane, not even in other consumers' hands. */
  isEmptied(): boolean;
  /** Gives back everything that was taken and not settled. */
  leave(): void;
}
