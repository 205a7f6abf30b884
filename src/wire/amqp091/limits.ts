// Bounds on what one AMQP frame may hold, so that hostile bytes cost nothing. What the broker sets per connection is not here.

export const CODEC_LIMITS = {
  /** Tables and arrays inside each other. Client libraries recurse; what is deeper is never passed on to them. */
  nestingMax: 64,
  /** Fields of one table and all tables and arrays in it together. */
  fieldsMax: 4096,
  /** Bytes of a frame's payload before the peers have agreed on a size. */
  handshakeFrameBytesMax: 8192,
} as const;

/** Bytes of a frame around its payload: type, channel, size in front; the end mark behind. */
export const FRAME_OVERHEAD = 8;
