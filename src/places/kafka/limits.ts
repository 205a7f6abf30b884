// The times and sizes of this place, in one table.

/** Of one fetch, in bytes and milliseconds. */
export const FETCH = {
  bytesMax: 4_194_304,
  partitionBytesMax: 1_048_576,
  /** How long a broker keeps a fetch that finds nothing. */
  waitMs: 500,
  /** The same while there is no room for some of its partitions. */
  blockedWaitMs: 50,
} as const;

/** Of membership in a group, in milliseconds. */
export const GROUP = {
  /** A consumer that was not heard of for so long is taken for dead; brokers allow no less unless they are told to. */
  sessionMs: 6_000,
  heartbeatMs: 500,
  rebalanceMs: 6_000,
  /**
   * A broker holds the answer to who joins until every member has joined again or its session is over, also that of a member that was killed.
   * Other programs ask for sessions of up to a minute.
   */
  joinMs: 70_000,
  /** After so long without that answer it is said that others hold it up. */
  lateMs: 3_000,
  /** A consumer that asks for nothing for so long leaves what it has to others. */
  idleMs: 2_000,
  /** So often the group is told what was settled while nobody waits to hear that it was. */
  commitMs: 50,
} as const;

/** Of requests, in milliseconds. */
export const REQUEST = {
  connectMs: 3_000,
  /** Also how long a half-open connection goes unseen. */
  answerMs: 8_000,
  /** How often and after how long a client tries again by itself what may be tried again. */
  retries: 2,
  retryMs: 150,
} as const;

/** What waits in this process. */
export const HELD = {
  /** Messages and bytes that were sent and not yet given to the broker. */
  sendingMax: 4_096,
  sendingBytesMax: 8_388_608,
  /** While a list is being sent, so many bytes go before its end has come. */
  sendingBytesEnough: 262_144,
  /** Messages and bytes read ahead of those that were asked for; one fetch more may come. */
  readAheadMax: 16_384,
  readAheadBytesMax: 4_194_304,
  /** Messages behind one that is not settled: then nothing more is read of the partition. */
  windowMax: 65_536,
} as const;
