// One life of a handle's way to its mailbox: over a connection (remote-session.ts) or straight to the host in the same
// process (local-session.ts). When it is lost, driver.ts gets another one. Types only.

import type { Delivery, DriverEvents, Outcome, Outgoing, PlaceStats } from '../mailbox/driver.ts';
import type { Confirm } from '../mailbox/capabilities.ts';
import type { NaruError } from '../errors/index.ts';
import type { MailboxSettings } from './settings.ts';

/** What a session tells its driver. */
export interface SessionEvents {
  readable(): void;
  writable(): void;
  peers(): void;
  reply(delivery: Delivery): void;
  event<K extends keyof DriverEvents>(type: K, detail: DriverEvents[K]): void;
  /** It is over, and everything of it with it. `final`: the mailbox is gone for good. Told at most once, never by close(). */
  lost(error: NaruError, final: boolean): void;
}

/** Numbers of attached producers and consumers. */
export interface Peers {
  readonly producers: number;
  readonly consumers: number;
}

/** The sending end of a session. When the session is lost, every `done` it holds is called with NARU_OUTCOME_UNKNOWN. */
export interface ProducerSeat {
  /** @see driver.ts R1 @throws NARU_CLOSED when the mailbox has ended */
  offer(batch: readonly Outgoing[], from: number): number;
  /** Resolves when offer() knows whether there is room for this message. */
  poll(message: Outgoing): Promise<void>;
  end(): Promise<void>;
  /** Resolves when everything offered is placed or known to be lost. */
  close(): Promise<void>;
}

/** The receiving end of a session. */
export interface ConsumerSeat {
  take(max: number, out: Delivery[]): number;
  want(count: number): void;
  poll(): Promise<void>;
  settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: (error?: Error) => void): void;
  ackAll(deliveries: readonly Delivery[]): void;
  received(delivery: Delivery): void;
  extend(delivery: Delivery, ms: number): void;
  readonly ended: boolean;
  close(): Promise<void>;
}

/** How a consumer joins a topic. */
export interface ConsumerOptions {
  readonly group: string | undefined;
  readonly from: 'now' | 'start' | undefined;
  /** Whose it is: contents that outlive their host know a consumer without a group by it. */
  readonly self?: string | undefined;
  /** Contents with a history: from this number on. */
  readonly offset?: number | undefined;
  /** Contents with a history: from this time on, in milliseconds since 1970. */
  readonly since?: number | undefined;
  /** It was there before its host was lost. */
  readonly isBack?: boolean | undefined;
}

/** Where answers to this handle arrive during the session. */
export interface SessionReplies {
  readonly address: string;
  send(replyTo: string, message: Outgoing): Promise<void>;
}

/** Why a session keeps the process alive. */
export const Hold = { want: 1, offer: 2, done: 4, request: 8 } as const;

export interface Session {
  readonly settings: MailboxSettings;
  /** A URL that reaches the mailbox from elsewhere. */
  readonly address: string;
  /** This session's opening made the mailbox. */
  readonly created: boolean;
  readonly offered: Confirm;
  /** Who hosts: the same after a reconnection to the same life of the mailbox. */
  readonly host: string;
  readonly peers: Peers;
  attachProducer(): Promise<ProducerSeat>;
  attachConsumer(options: ConsumerOptions): Promise<ConsumerSeat>;
  openReplies(): Promise<SessionReplies>;
  /** Keeps the process alive for a reason (Hold), or no longer. */
  hold(reason: number, on: boolean): void;
  stats(): Promise<PlaceStats>;
  peek(max: number): Promise<Delivery[]>;
  purge(): Promise<number>;
  unlink(): Promise<void>;
  /**
   * @param flushMs  how long a host may wait for others to take what it holds. Default: as it was opened.
   * @returns messages that nobody will receive, as far as this session knows
   */
  close(flushMs?: number): Promise<{ undelivered: number }>;
}
