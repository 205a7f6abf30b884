// What an engine gives to a mailbox that lies in it: storing and taking messages, telling of changes, knowing who is dead. Each place on a
// database or a store has one; everything else of such a mailbox is in this folder.

import type { Outgoing } from '../mailbox/driver.ts';

/** `p`: a producer, `c`: a consumer, `r`: one that waits for answers to its requests. */
export type SeatRole = 'p' | 'c' | 'r';

/** A message that is to be stored. */
export interface NewRow {
  readonly message: Outgoing;
  /** Where it lies in the bytes of its parcel, and where it ends. */
  readonly from: number;
  readonly to: number;
  /** What it counts for against capacityBytes. */
  readonly size: number;
  readonly priority: number;
  /** From the moment of insertion; undefined: at once. */
  readonly delayMs: number | undefined;
  /** From the moment of insertion; undefined: never. */
  readonly ttlMs: number | undefined;
}

/** Messages that are stored together: their bytes lie one behind the other. */
export interface NewRows {
  readonly rows: readonly NewRow[];
  readonly bytes: Buffer;
}

/** A message that was taken, or looked at. */
export interface TakenRow {
  /** Its number in the mailbox, which stays its own when it goes back. */
  readonly id: number;
  /** This delivery counted. */
  readonly deliveries: number;
  readonly message: Uint8Array;
}

/** What is to be settled at once: ids by outcome. */
export interface Settling {
  /** Done with for good. */
  readonly gone: readonly number[];
  /** Back as if never taken. */
  readonly released: readonly number[];
  /** Back, counted as delivered: ids by delay in milliseconds. */
  readonly requeued: ReadonlyMap<number, readonly number[]>;
}

/** One taking. */
export interface Taking {
  readonly seat: number;
  readonly max: number;
  /** 0: none. */
  readonly leaseMs: number;
  /** Comes first, in the same transaction. */
  readonly settling: Settling;
  /** An earlier taking broke off: what the seat has but these goes back, because its consumer never heard of it. */
  readonly known: readonly number[] | undefined;
  /** When there is nothing, the seat sleeps until it is told. */
  readonly sleeps: boolean;
}

/** What a taking brought. */
export interface Taken {
  readonly rows: readonly TakenRow[];
  /** Messages that were met and had outlived their time. */
  readonly expired: number;
  /** There is nothing, and the seat sleeps: first it has said so, then it was looked once more. */
  readonly outlook: Outlook | undefined;
}

/** When a consumer that sleeps has to look again by itself. */
export interface Outlook {
  /** Until a delay or a lease is over, in milliseconds; undefined: there is none. */
  readonly dueMs: number | undefined;
  /** Others have unsettled messages, which their death would bring back. */
  readonly othersHold: boolean;
}

/** Room in messages and bytes. */
export interface Room {
  readonly messages: number;
  readonly bytes: number;
}

/** What became of a put. */
export interface Stored {
  /** How many were stored: the others found no room, and are still the sender's. */
  readonly placed: number;
  /** How many older messages were thrown out for them. */
  readonly dropped: number;
}

/** What may have changed. */
export interface ChangeListener {
  /** Messages may be there, or room. */
  changed(): void;
  /** Who is attached has changed. */
  seatsChanged(): void;
  disconnected(reason: string): void;
  /** The connection is there again, and this handle's seats with it. */
  reconnected(attempts: number): void;
  /** The seats of this handle: a new connection has to take them again. */
  seats(): readonly { readonly id: number; readonly role: SeatRole }[];
  /** The mailbox was removed. */
  gone(error: Error): void;
}

/** How answers to requests travel. */
export interface Replies {
  /** @returns this handle's address, by which others find it */
  open(heard: (message: Uint8Array) => void): Promise<string>;
  /** Hands an answer to a requester. @returns false: there is nobody at that address */
  answer(address: string, message: Buffer): Promise<boolean>;
  /** Nobody waits for answers any more. Absent where the way back goes with the handle. */
  close?(): Promise<void>;
}

/** Every call rejects with NARU_CLOSED when the mailbox was removed, and with what the engine's connection says otherwise. */
export interface Backend {
  /** The caller's thread waits for each put: lists are sent in as few of them as may be. */
  readonly waitsForPut?: boolean;
  /**
   * Takes a seat, unless there are `most` of its role.
   * @returns its number; undefined: there are as many already
   */
  enter(role: SeatRole, identity: string, most: number): Promise<number | undefined>;
  /** Gives it back with what it has. */
  leave(seat: number): Promise<void>;
  peers(): Promise<{ readonly producers: number; readonly consumers: number }>;
  /** Removes the seats of those whose death is proved; what they had is free. @returns how many */
  reap(): Promise<number>;
  /**
   * Stores messages in order in one transaction, as many from the first as there is room for, and tells those who sleep. `isDurable`: it has
   * come back when a power cut cannot undo it.
   */
  put(messages: NewRows, isDurable: boolean): Promise<Stored>;
  /** Negative when there is less than none. */
  room(): Promise<Room>;
  take(taking: Taking): Promise<Taken>;
  settle(seat: number, settling: Settling): Promise<void>;
  extend(seat: number, id: number, ms: number): Promise<void>;
  /** Gives back what leases and delays have kept, removes what has expired. @returns how many have expired */
  tend(): Promise<number>;
  /** Says that this producer sleeps until there is room. */
  sleeps(seat: number): Promise<void>;
  /** Tells the others: `message` there may be something to take, `room` room came free, `seats` who is attached changed. */
  tell(what: 'message' | 'room' | 'seats'): Promise<void>;
  /** Messages that wait, bytes of all, messages that somebody has. */
  stats(): Promise<{ readonly depth: number; readonly depthBytes: number; readonly unsettled: number }>;
  /** The first of those that wait; `deliveries` as the next delivery would say. */
  peek(max: number): Promise<readonly TakenRow[]>;
  /** Removes what waits. @returns how many */
  purge(): Promise<number>;
  /** Destroys the mailbox. */
  remove(): Promise<void>;
  /** The way back for answers to requests. Absent where there is none. */
  readonly replies?: Replies;
  close(): void;
}

/** Fixed when a mailbox is made. */
export interface BoxSettings {
  readonly name: string;
  readonly relation: string;
  readonly capacityBytes: number | undefined;
  readonly capacityMessages: number | undefined;
  readonly maxMessageBytes: number;
  /** 0: messages belong to their consumer while it lives. */
  readonly leaseMs: number;
}
