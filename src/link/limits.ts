// Every bound and duration of the link in one table; docs/internals/link-protocol.md repeats it. A place may set those that
// its options.ts names.

export const LINK = {
  /** A peer that has not said hello by then is cut off. */
  helloTimeoutMs: 5_000,
  /** Longest frame before both sides agreed on the size of messages, and longest request. */
  helloBytesMax: 16_384,
  /** Silence of so many heartbeats means that the peer is dead. */
  heartbeatsToDeath: 2.5,
  /** Connections of one host; more are refused with NARU_LIMIT. */
  connectionsMax: 1_000,
  /** Connections beyond connectionsMax that may be told so at the same time; more are dropped without a word. */
  refusalsMax: 64,
  /** Unsent bytes on a connection at which messages stop being written to it. */
  congestedBytes: 1_048_576,
  /** Unsent bytes on a connection at which the host stops reading from it: it asks but does not listen. */
  stuffedBytes: 4_194_304,
  /** Unsent bytes on a connection at which answers to its requests are refused. */
  answersBytesMax: 16_777_216,
  /** Bytes that a consumer lets the host send ahead, beside the one message that may exceed it. */
  aheadBytes: 4_194_304,
  /** How long a consumer that wants nothing may keep what was fetched ahead: long enough for a loop to come back. */
  lingerMs: 2,
  /** A loop that keeps coming back in time may be sent so many times its prefetch ahead. */
  prefetchFactor: 4,
  /** How often it must have come back in time before it is sent more than it asks for. */
  returnsToPrefetch: 16,
  /** Senders whose names a connection remembers; beyond, numbers are used again. */
  sendersMax: 1_024,
  /** Messages one peek may return, and their bytes. */
  peekMax: 1_000,
  peekBytesMax: 16_777_216,
  /** How long a closed connection may take to write what is pending and to hear the peer's end; after an error: shorter. */
  byeMs: 1_000,
  cutMs: 50,
  /** First and longest wait between attempts to connect; doubled each time, halved or not by chance. */
  backoffMs: 20,
  backoffMsMax: 2_000,
  /** Shortest and longest key that both sides may share, in bytes. */
  keyBytesMin: 16,
  keyBytesMax: 1_024,
  /** Small messages are copied out of chunks many times their size, so that one does not keep 64 KiB in memory. */
  slabBytes: 65_536,
} as const;
