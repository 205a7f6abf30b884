// Bounds and defaults of the browser's side. What both sides must agree on is in link/limits.ts.

export const BROWSER = {
  /** Longest time open() may take, in milliseconds. */
  openMs: 10_000,
  heartbeatMs: 5_000,
  /** Messages that a loop fetches ahead; 1 = fetches when it asks. */
  prefetch: 32,
  /** Sends that may wait for room or for a connection. */
  maxWaiting: 1_000,
  /** How long close() waits for receipts, in milliseconds. */
  flushMs: 2_000,
  /** Bytes that the browser has not sent yet at which messages wait, and how often it is looked whether it has. */
  congestedBytes: 1_048_576,
  lookMs: 10,
} as const;
