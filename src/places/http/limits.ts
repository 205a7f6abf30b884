// Every bound and duration of this place in one table; README.md repeats it.

export const HTTP = {
  /** Bytes of the head of a request, and how many headers it may have. */
  headBytesMax: 16_384,
  headersMax: 100,
  /** Time for the head of a request. */
  headTimeoutMs: 10_000,
  /** How long a connection may be idle between requests. */
  idleMs: 30_000,
  /** Bytes of all requests that are being read, beside the one that may exceed it. */
  readingBytesMax: 67_108_864,
  /** Bytes of a request that is no message: lists of ids. */
  smallBodyBytes: 1_048_576,
  /** Messages that one request may send, or take. */
  batchMax: 1_000,
  /** Bytes of messages in one answer, beside the one that may exceed it. */
  answerBytesMax: 4_194_304,
  /** Longest and usual wait of one request for a message. */
  waitMsMax: 300_000,
  waitMs: 20_000,
  /** Lease of a message that was taken: shortest, usual and longest. */
  leaseMsMin: 10,
  leaseMs: 30_000,
  leaseMsMax: 43_200_000,
  /** Messages that are taken and not settled; more are not handed out. */
  heldMax: 10_000,
  /** Usual and longest wait for an answer to a request. */
  requestMs: 30_000,
  /** Groups of a topic that are known; one that nobody asks for is forgotten after a while, when it holds nothing. */
  groupsMax: 1_000,
  groupIdleMs: 60_000,
  /** Keys of Idempotency-Key that are remembered, how long, and how long a key may be. */
  keysMax: 10_000,
  keysMs: 600_000,
  keyLengthMax: 255,
  /** A comment in a stream of events that has nothing to say. */
  eventBeatMs: 15_000,
} as const;
