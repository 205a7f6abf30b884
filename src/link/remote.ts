// What a session over a connection and its two seats share. Types only.

import type { SessionEvents } from './session.ts';
import type { MailboxSettings, StatedSettings } from './settings.ts';

/** What a place gives for a session over a stream. */
export interface RemoteInit {
  readonly mailbox: string;
  readonly place: string;
  readonly address: string;
  readonly identity: string;
  /** This session's opening made the mailbox, as far as was said before the link's hello. Default false. */
  readonly created?: boolean;
  readonly stated: StatedSettings;
  /** What the host asks for at the hello. */
  readonly key?: string | undefined;
  readonly heartbeatMs: number;
  /** Messages a consumer may have fetched ahead. */
  readonly prefetch: number;
  readonly events: SessionEvents;
}

/** What a seat needs of its session. */
export interface SeatHolder {
  readonly settings: MailboxSettings;
  /** Asks the host for something that has an answer. @param holds  the process stays alive until it comes; default true */
  request(operation: number, asked: object, holds?: boolean): Promise<Record<string, unknown>>;
  /** Keeps the process alive for a reason (Hold), or no longer. */
  hold(reason: number, on: boolean): void;
}
