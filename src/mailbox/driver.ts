// The contract between Mailbox (the concrete class every user holds) and a place (a driver and its two ends). A driver
// moves envelopes and knows the place; Mailbox does everything common: waiting, timeouts, abort, order among waiting
// calls, codecs, schemas, iteration, automatic settling, retry, metrics. No I/O and no place names here.
//
// The rules; each is a case of the conformance suite with the same number:
//  R1  offer() takes messages in order and never waits; it returns how many it took. What it took has reached at least
//      `facts.offered`. What it did not take is untouched.
//  R2  A full place takes nothing more and drops nothing, unless `full` is a drop policy; each drop is counted in stats
//      and told by an event `drop`.
//  R3  After offer() took less than it was given, hooks.writable() is called once room may be there again. Spurious calls
//      are allowed, missed ones are not — not even when a peer was killed by SIGKILL (safety: within 1 s of the proof).
//      An offer() of an empty batch says that nobody waits for room any more.
//  R4  take() never waits. After it returned less than asked while want(n > 0) stands, hooks.readable() is called once more
//      may be there or the mailbox has ended. Spurious calls allowed, missed ones not.
//  R5  A message that take() returned is the caller's until settled; a message that was not returned is still in the place:
//      an aborted wait consumes nothing. want(0) gives back what the driver had fetched ahead.
//  R6  First deliveries are FIFO per producer and priority. A redelivered message has deliveries > 1.
//  R7  Bytes in = bytes out: bodies of 0 bytes and of facts.maxMessageBytes, any header text.
//  R8  A body over facts.maxMessageBytes never reaches offer(); Mailbox refuses it (TOO_LARGE).
//  R9  close() is idempotent, wakes nothing by itself (Mailbox does), releases every descriptor, thread, timer and listener,
//      returns unsettled messages to the place, and reports what of this handle's sends can no longer be delivered.
//  R10 A driver never retries, never times out, never logs; it reports through hooks. Reconnecting is the one exception:
//      a place that lives behind a connection keeps trying and tells `disconnect` and `reconnect`.
//  R11 An idle driver keeps no process alive. want(n > 0), a waiting offer, an unfinished `done` and a listener do.
//  R12 relation and the limits on producers and consumers are enforced when an end is attached: NARU_LIMIT.
//  R13 claim() sets room aside for one body and never waits; undefined = no room now, and then R3 holds as after a refused
//      offer(). Nobody sees anything of it before commit(), which needs no more room, puts the message behind all that the
//      end sent before (R6) and reaches `facts.offered`. abort(), the close of the end and the death of the process leave
//      nothing of it and give its room back: whoever was refused for it is told (R3).
//  R14 At most one claim of an end is open. Until it ends, Mailbox offers nothing but empty batches and claims nothing more;
//      it calls commit() or abort() once, and not after close(). A driver may rely on all of this.
//  R15 takeView() is take(1) without the copy, and R4 to R6 hold. Nobody writes to the body's memory until the delivery is
//      settled or the end is closed; other deliveries come, go and are settled meanwhile. A mailbox that cannot promise it
//      (the producer may overwrite) throws NARU_UNSUPPORTED at every call.
//  R16 Where a place can only wait for room by sending, the message that offer() refused last may go in while its caller waits;
//      the next offer() that begins with it counts it as taken. When that caller gives up, Mailbox asks withdraw() first.

import type { Envelope, MessageFields } from '../wire/envelope-types.ts';
import type { Capabilities, Confirm } from './capabilities.ts';

/** A message on its way out. Mailbox owns it until offer() took it; the driver must not keep the body after `done`. */
export interface Outgoing {
  readonly body: Uint8Array;
  readonly sequence: number;
  readonly time: number;
  readonly fields: MessageFields | undefined;
  /** The level the sender waits for, when it is more than `facts.offered`; then the driver must call `done` once. */
  readonly confirm: Confirm | undefined;
  /** Called when `confirm` is reached (no argument) or never will be. Never called synchronously from offer(). */
  readonly done: ((error?: Error) => void) | undefined;
}

/** A message whose body is still to be written. */
export interface ClaimRequest extends Pick<Outgoing, 'sequence' | 'time' | 'fields'> {
  /** Room for the body in bytes; Mailbox has checked it against `facts.maxMessageBytes` (R8). */
  readonly sizeBytes: number;
}

/** Room for the body of one message, in the place. @see R13, R14 */
export interface DriverClaim {
  /** Exactly `sizeBytes` long. What lies in it is undefined. */
  readonly body: Uint8Array;
  /**
   * Makes a message of the first `usedBytes` bytes (0 to `sizeBytes`).
   * @throws NARU_CLOSED, NARU_PEER_GONE  the mailbox has ended or is gone; nothing was sent, and the claim is over
   */
  commit(usedBytes: number): void;
  /** Gives the room back. Never throws, also when the place is gone. */
  abort(): void;
}

/**
 * A message handed out by take(): `body` stays valid for ever (a copy, or memory that nobody rewrites). Handed out by
 * takeView(): `body` lies in the place's memory and is valid until it is settled.
 */
export interface Delivery extends Envelope {
  /** 1 for a first delivery. */
  readonly deliveries: number;
  /** The sender asked for `confirm: "received"`: Mailbox calls received() when it hands the message to the user. */
  readonly receipt: boolean;
  /** The driver's own mark for settle(). */
  readonly token: number;
}

/** ack: done. requeue: back to its place, deliveries + 1. reject: never again (dead letter or discard). release: back, as if never taken. */
export type Outcome = 'ack' | 'requeue' | 'reject' | 'release';

/** The sending end. */
export interface Sender {
  /** So many messages sendMany() had best offer at a time, where each offer has a price. Absent where it does not matter. */
  readonly batch?: number;
  /** @see R1 @returns how many of `batch[from…]` were taken */
  offer(batch: readonly Outgoing[], from: number): number;
  /**
   * Room to write one message in place. Only where `claim` is declared. @see R13, R14
   * @throws NARU_CLOSED  the mailbox has ended or is gone
   * @throws NARU_UNSUPPORTED  a mailbox of this kind sets no room aside
   */
  claim?(request: ClaimRequest): DriverClaim | undefined;
  /** Asks a remote place once: resolves when offer() knows whether there is room for this. Absent where offer() knows. */
  poll?(message: Outgoing): Promise<void>;
  /** Blocks the thread until offer() may take more. Only where `waitSync` is declared. */
  waitSync?(timeoutMs: number): 'ready' | 'timeout' | 'interrupted';
  /**
   * Whoever waits with the message that offer() refused last gives up. Absent where a refused message never goes in by itself.
   * @see R16 @returns true when it has gone in all the same: it counts as taken
   */
  withdraw?(): boolean;
  /** No more messages from anybody: consumers finish after what is there. Only where `end` is declared. */
  end?(): Promise<void>;
  /** Gives the producer's seat back; resolves when everything taken is placed or reported as lost. */
  close(): Promise<void>;
}

/** The receiving end. */
export interface Receiver {
  /** Pushes up to `max` deliveries to `out`. @see R4 @returns how many */
  take(max: number, out: Delivery[]): number;
  /**
   * The next message, its body where it lies. Only where `views` is declared. @see R15
   * @throws NARU_UNSUPPORTED  the mailbox may overwrite what a consumer reads
   */
  takeView?(): Delivery | undefined;
  /** How many more messages the caller would take now; 0 = none, and what was fetched ahead goes back. @see R5 */
  want(count: number): void;
  /** Asks a remote place once: resolves when everything it could give at once is ready for take(). Absent where take() knows. */
  poll?(): Promise<void>;
  /** Blocks the thread until take() may return something. Only where `waitSync` is declared. */
  waitSync?(timeoutMs: number): 'ready' | 'timeout' | 'interrupted';
  /** Settles one message. `done` is called when the place has it; omitted on the fast path. Only where `ack` is declared. */
  settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: (error?: Error) => void): void;
  /** Takes back a message that take() gave and nobody got: take() gives it again, in its order. Only where `ack` is not declared. */
  putBack?(delivery: Delivery): void;
  /** Settles many with `ack`, in the order they were taken: one update of the place where it can. */
  ackAll(deliveries: readonly Delivery[]): void;
  /** The user has the message now (only called when delivery.receipt). */
  received(delivery: Delivery): void;
  /** Prolongs the lease to `ms` from now. Only where `lease` is declared. */
  extend?(delivery: Delivery, ms: number): void;
  /** True once the mailbox was ended and everything was taken: take() will never return anything again. */
  readonly ended: boolean;
  /** Gives the consumer's seat back; unsettled messages return to the place. */
  close(): Promise<void>;
}

/** Where replies to this handle's requests arrive. */
export interface ReplyPort {
  /** What a request carries as `replyTo`. */
  readonly address: string;
  /** Sends an answer to a requester. @throws NARU_PEER_GONE when it is known to be gone */
  send(replyTo: string, message: Outgoing): Promise<void>;
  close(): Promise<void>;
}

/** What the place settled on when the mailbox was opened. */
export interface DriverFacts {
  readonly capabilities: Capabilities;
  /** The level every message taken by offer() has reached. */
  readonly offered: Confirm;
  readonly maxMessageBytes: number;
  /** What sets that limit, and how to get a higher one: for the error of a body that is longer. */
  readonly sizeLimit?: string | undefined;
  /** Prefix of `Envelope.sender` for this handle, and so of its message ids. */
  readonly identity: string;
  /** A URL that another thread or process of this user can open to reach the same mailbox. */
  readonly address: string;
  readonly deliver: 'one' | 'all';
  /** Options that others need to open it, and that nobody may see: `spawn()` hands them over, nothing shows them. */
  readonly secrets?: Readonly<Record<string, unknown>> | undefined;
  /** True when this open() created the mailbox. */
  readonly created: boolean;
}

/** Numbers of the place itself; -1 where the place cannot know. */
export interface PlaceStats {
  readonly depth: number;
  readonly depthBytes: number;
  readonly unsettled: number;
  readonly producers: number;
  readonly consumers: number;
  readonly capacityBytes: number;
  readonly capacityMessages: number;
  /** Drops by reason: `full`, `nobody`, `expired`, `duplicate`, `undecodable`, … */
  readonly dropped: Readonly<Record<string, number>>;
  /** Counters of the place's own, e.g. `wakeups`, `safetyWakeups`. */
  readonly extra: Readonly<Record<string, number>>;
  /**
   * Identities of the consumers that hold messages unsettled so that producers wait for room: stopped, stuck or slow ones.
   * Empty when nobody waits for a consumer; absent where the place cannot know.
   */
  readonly blockedBy?: readonly string[];
}

/** Things that happen beside the flow of messages. */
export interface DriverEvents {
  /** Messages were lost on purpose. */
  drop: { reason: string; count: number };
  /** A consumer of a topic missed messages. */
  gap: { count: number };
  disconnect: { reason: string };
  reconnect: { attempts: number };
  /** A peer died and was cleaned up. */
  orphan: { role: 'producer' | 'consumer'; identity: string };
  /** Something went wrong that no call could report. */
  error: { error: Error };
}

/** How a driver calls back. All are cheap, may be called from inside offer() and take(), and never throw. */
export interface DriverHooks {
  readable(): void;
  writable(): void;
  /** The number of producers or consumers changed (`driver.peers`). */
  peers(): void;
  /** An answer to a request of this handle. */
  reply(delivery: Delivery): void;
  event<K extends keyof DriverEvents>(type: K, detail: DriverEvents[K]): void;
  /** The place is gone for good: every waiting call rejects with this. */
  failed(error: Error): void;
}

/** The object behind one open mailbox. */
export interface Driver {
  readonly facts: DriverFacts;
  /** Last known numbers of producers and consumers attached by anybody. */
  readonly peers: { readonly producers: number; readonly consumers: number };
  /** @throws NARU_LIMIT when the relation or the place allows no further producer */
  attachSender(): Promise<Sender>;
  /** @throws NARU_LIMIT when the relation or the place allows no further consumer */
  attachReceiver(): Promise<Receiver>;
  /** Why an end that is being attached is not there yet, where the place knows: completes the error of an open() that took too long. */
  late?(): Error | undefined;
  /** Opens the way back for replies. Only where `reply` is declared. Called once per handle at most. */
  openReplies?(): Promise<ReplyPort>;
  stats(): Promise<PlaceStats>;
  /** Up to `max` waiting messages, oldest first, without taking them. Only where `peek` is declared. */
  peek?(max: number): Promise<Delivery[]>;
  /** Removes every waiting message. @returns how many */
  purge?(): Promise<number>;
  /**
   * @see R9
   * @param flushMs  how long it may wait for others to take what goes with this handle. Default: the `flushMs` it was opened with.
   * @returns messages of this handle that nobody will receive
   */
  close(flushMs?: number): Promise<{ undelivered: number }>;
  /** Destroys the mailbox for everybody. Others get NARU_CLOSED. */
  unlink(): Promise<void>;
}
