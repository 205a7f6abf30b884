// The last step of a handle before its driver closes: requests end, the dead letter's handle closes, seats are given back.

import type { DeadLetter } from './dead-letter.ts';
import type { Intake } from './intake.ts';
import type { Outbox } from './outbox.ts';
import { atMost } from './waiting.ts';

/** It may take so long even where nothing is left to flush, in milliseconds. */
const GIVE_BACK_MS = 1_000;

interface Ends {
  /** The requests that are ending. */
  readonly requests: Promise<void>;
  readonly deadLetter: DeadLetter | undefined;
  readonly intake: Intake;
  readonly outbox: Outbox;
}

/** Gives everything back, waiting no longer than that: a place out of reach gives no seat, its driver's close() ends the attempt. */
export function giveBack({ requests, deadLetter, intake, outbox }: Ends, leftMs: number): Promise<void> {
  const all = async (): Promise<void> => {
    await requests;
    await deadLetter?.close();
    await Promise.allSettled([intake.detach(), outbox.detach()]);
  };
  return atMost(all(), Math.max(GIVE_BACK_MS, leftMs));
}
