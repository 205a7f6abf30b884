// Every bound and duration of a Manager in one table; the README of this folder repeats it. Manager.start() may set those that its options
// name.

export const MANAGER = {
  /** Longest message of the handshake. */
  handshakeBytesMax: 256,
  /** Longest message with which a client says, after the handshake, what its connection is for, and longest answer. */
  purposeBytesMax: 4_096,
  /** Whoever has not proved to know the key by then is cut off. */
  handshakeMs: 5_000,
  /** Connections at a time that have not proved to know the key. */
  strangersMax: 64,
  /** Connections at a time that have. */
  connectionsMax: 1_000,
  /** Named objects. */
  objectsMax: 10_000,
  /** Handles that one connection has open. */
  handlesMax: 10_000,
  /** Iterations of maps that one connection has open. */
  iterationsMax: 64,
  /** Longest key of a map, in bytes. */
  maxKeyBytes: 1_024,
  /** Largest value of an entry or element, in bytes. */
  maxValueBytes: 1_048_576,
  /** Everything in all maps, lists, values and arrays together, in bytes. */
  memoryBytes: 1_073_741_824,
  /** Entries or elements in one answer of an iteration, and their bytes. */
  pageEntries: 256,
  pageBytes: 262_144,
  /** Changed keys that are told one by one to a watcher between two turns; more are told as "any of them". */
  changedKeysMax: 1_024,
  /** Unsent bytes on a connection at which its news wait, the newest standing for all before. */
  newsBytesMax: 262_144,
  /** Silence on tcp:// of 2.5 heartbeats means that the other side is dead. Unix sockets need none: the kernel tells. */
  heartbeatMs: 5_000,
} as const;
