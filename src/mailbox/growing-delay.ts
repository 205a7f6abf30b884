// How long to wait before something that failed is tried again.

/** What such a wait begins with and where it stops growing, in milliseconds. */
export interface GrowingDelay {
  readonly delayMs: number;
  readonly delayMsMax: number;
}

/**
 * Doubles from `delayMs` up to `delayMsMax`, give or take a half, so that many failures do not come back together.
 * @param attempt  1 after the first failure
 * @param random   a number from 0 to 1
 */
export function growingDelay(attempt: number, { delayMs, delayMsMax }: GrowingDelay, random: number): number {
  return Math.round(Math.min(delayMsMax, delayMs * 2 ** (attempt - 1)) * (0.5 + random));
}
