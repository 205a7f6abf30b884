// The one table of defaults that are the same in every place. What a place decides for itself (capacity, who creates,
// how long it lives) stands in that place's options.ts and is shown beside this table in the docs.

/** Defaults of open(). Milliseconds, bytes or counts, as the name says. */
export const DEFAULTS = {
  role: 'both',
  codec: 'json',
  full: 'wait',
  settle: 'auto',
  validate: 'both',
  maxWaiting: 10_000,
  prefetch: 256,
  flushMs: 2_000,
  openTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  retryAttempts: 5,
  retryDelayMs: 100,
  retryDelayMsMax: 30_000,
} as const;

/** Bounds that no URL and no option may exceed; hostile values meet an error before any allocation. */
export const BOUNDS = {
  nameLengthMax: 128,
  capacityBytesMax: 4_294_967_296,
  capacityMessagesMax: 2_147_483_648,
  maxMessageBytesMax: 1_073_741_824,
  prefetchMax: 65_536,
  maxWaitingMax: 10_000_000,
  retainMax: 1_000_000,
  prioritiesMax: 10,
  dedupMax: 10_000_000,
  durationMsMax: 2_147_483_647,
} as const;
