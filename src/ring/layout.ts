// Where everything lies in a mailbox's shared object: every offset, mark and flag, and nothing else. The same tables stand
// in docs/internals/shm-layout.md, and layout.test.ts compares the two. All numbers are little-endian; "word" = 32 bits.

/** The unit of positions and of alignment. */
export const UNIT_BYTES = 8;
/** Two cache lines: what one side writes often stays apart from what the other side writes (adjacent-line prefetch). */
export const LINE_BYTES = 128;
export const PAGE_BYTES = 4096;

/** "NARU" and "RING" as they stand in the file. */
export const MAGIC = 0x5552414e;
export const KIND = 0x474e4952;
/** What else of Naru's a file of this form can be, by its kind. */
export const OTHER_KINDS: ReadonlyMap<number, string> = new Map([
  [0x434e5953, 'a lock, semaphore or event'],
  [0x54415453, 'a value, array or map'],
]);
/** Reads as another number on a machine of the other byte order. */
export const BYTE_ORDER = 0x01020304;
/** A reader of another major version must refuse; a greater minor version only added what may be ignored. */
export const VERSION_MAJOR = 2;
export const VERSION_MINOR = 0;
/** Feature bits a reader must know to take part. None yet. */
export const REQUIRED_FEATURES_KNOWN = 0;

/** Byte offsets in the header page. Fixed at creation up to and with `creator`; the rest changes while the mailbox lives. */
export const HEADER = {
  magic: 0,
  kind: 4,
  byteOrder: 8,
  versionMajor: 12,
  versionMinor: 16,
  requiredFeatures: 20,
  optionalFeatures: 24,
  fileBytes: 28,
  participantsOffset: 32,
  participantStride: 36,
  participantCount: 40,
  lanesOffset: 44,
  laneStride: 48,
  laneCount: 52,
  dataOffset: 56,
  laneBytes: 60,
  slotBytes: 64,
  maxMessageBytes: 68,
  relation: 72,
  owner: 76,
  maxProducers: 80,
  maxConsumers: 84,
  createdMs: 88,
  creator: 96,
  deliver: 100,
  lossy: 104,
  levels: 108,
  retain: 112,
  cursorsOffset: 116,
  cursorStride: 120,
  ready: 256,
  closed: 384,
  ended: 388,
  membership: 392,
  consumerMask: 512,
  levelLanes: 516,
  consumers: 640,
} as const;

/** Byte offsets in one entry of the participants table: who it is (first line), and its doorbell (second line). */
export const PARTICIPANT = {
  state: 0,
  generation: 4,
  pid: 8,
  thread: 12,
  startLow: 16,
  startHigh: 20,
  handle: 24,
  fence: 64,
  bell: 128,
  threadBell: 132,
  wants: 136,
} as const;

/** Byte offsets in one entry of the lane table: seat (first line), the producer's line, the consumers' two lines. */
export const LANE = {
  owner: 0,
  fault: 4,
  tail: 128,
  floorNext: 132,
  ordinal: 136,
  ordinalDone: 140,
  head: 256,
  taken: 260,
  identityBytes: 268,
  identity: 272,
  hold: 384,
  returned: 388,
  takenIdentityVersion: 392,
  takenIdentityBytes: 396,
  takenIdentity: 400,
} as const;

/** Byte offsets in a record's header; the payload follows at once. */
export const RECORD = {
  length: 0,
  flags: 4,
  payload: 8,
} as const;

/** Values of the low 8 bits of a record's flags. */
export const RECORD_KIND = { message: 1, padding: 2, identity: 3 } as const;
export const RECORD_KIND_MASK = 0xff;

/** Bits of a record's flags. `receipt` and `ttl` are the producer's; the others are written by consumers between head and taken. */
export const RECORD_FLAG = {
  receipt: 0x100,
  ttl: 0x200,
  settled: 0x400,
  released: 0x800,
  dropped: 0x1000,
  received: 0x2000,
  returned: 0x4000,
} as const;
/** Bits 16–23: how many deliveries before the present one; stays at 255. */
export const RECORD_DELIVERIES_SHIFT = 16;
export const RECORD_DELIVERIES_MAX = 255;
/** Bits 24–31: slot + 1 of the competing consumer that has it; 0 = nobody. */
export const RECORD_OWNER_SHIFT = 24;

/** Value of `HEADER.ready` once everything else is written. */
export const READY = 0x59444552;
/** Values of `HEADER.closed`. */
export const CLOSED = { open: 0, closed: 1, ownerGone: 2 } as const;
/** Values of `PARTICIPANT.state`. A leaving one needs no further proof of death. */
export const SEAT = { free: 0, taken: 1, leaving: 2 } as const;
/** The two low bits of `PARTICIPANT.bell`; above them counts the epoch. */
export const BELL = { awake: 0, parkedLoop: 1, rung: 2, parkedThread: 3 } as const;
/** Bits of `PARTICIPANT.wants`: what a parked participant wants to be rung for, beside control, which always rings. */
export const WANT = { messages: 1, room: 2, receipts: 4 } as const;

/** Longest identity text: `<pid>.<start>.<thread>/<n>`. */
export const IDENTITY_BYTES_MAX = 96;
/** Seats of all kinds; a handle takes one for as long as it is open. */
export const PARTICIPANTS = 64;
export const PARTICIPANT_STRIDE = 256;
export const LANE_STRIDE = 512;
/** One consumer's cursors: a word for each producer's seat. */
export const CURSOR_STRIDE = 128;
/** Seats unless more are asked for at creation, and the most there can be: a bit of a word each. */
export const PRODUCERS_DEFAULT = 16;
export const PRODUCERS_MAX = 32;
export const CONSUMERS_MAX = 32;
/** Priorities, and with them lanes of each producer. */
export const LEVELS_MAX = 10;
/** Messages of a topic that can be kept for late consumers. */
export const RETAIN_MAX = 65_536;
/** `LANE.hold` while a recoverer works on the lane: it has the mailbox's lock, which proves any other recoverer dead. */
export const RECOVERER = 255;

export const LANE_BYTES_DEFAULT: number = 1024 * 1024;
export const LANE_BYTES_MIN = 4096;
/** Byte offsets stay within 31 bits, so that they are small integers everywhere. */
export const FILE_BYTES_MAX: number = 2 ** 31 - PAGE_BYTES;
/** The longest record is a quarter of a lane: with its padding it always fits into an empty one. */
export const RECORD_SHARE = 4;
/** The longest body is an eighth of a lane, which leaves the other eighth for headers. */
export const MESSAGE_SHARE = 8;
