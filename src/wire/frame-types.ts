// The numbers of the link protocol: its version, its frames and their flags. Runs in browsers, too.

/** Version of the protocol: another major version is refused, a higher minor one only adds. */
export const PROTOCOL = { major: 1, minor: 0 } as const;

/** Numbers of the frames. */
export const FrameType = {
  // Both ways.
  hello: 0x01,
  bye: 0x02,
  ping: 0x03,
  pong: 0x04,
  // To the host.
  send: 0x10,
  need: 0x11,
  return: 0x12,
  want: 0x13,
  ack: 0x14,
  settle: 0x15,
  received: 0x16,
  extend: 0x17,
  request: 0x18,
  reply: 0x19,
  // From the host.
  placed: 0x20,
  refused: 0x21,
  confirmed: 0x22,
  credit: 0x23,
  recall: 0x24,
  sender: 0x25,
  deliver: 0x26,
  ended: 0x27,
  response: 0x28,
  answer: 0x29,
  peeked: 0x2a,
  peers: 0x2b,
  dropped: 0x2c,
  synced: 0x2d,
} as const;

/** Bytes of a frame beside the message it carries: what the frame limit adds to the largest message. */
export const FRAME_OVERHEAD_BYTES = 1024;

/** deliver: flags, index of the sender, deliveries, token; then the envelope. */
export const DELIVER_PREFIX_BYTES = 15;

/** Bit 0 of the flags of send and deliver: the sender waits until the message was received. */
export const WANTS_RECEIPT = 1;
/** Bit 1 of the flags of send: the sender waits until the message is on the disk. */
export const WANTS_SYNC = 2;
