// A mailbox that lives in a Manager: the host of unix:// and tcp:// mailboxes, under a name. How connections come to it: join-mailbox.ts.

import { NaruError } from '../errors/index.ts';
import { Host } from '../link/host.ts';
import { newSettings, readStated } from '../link/settings.ts';
import { type Held, managerError, type Seat } from './held.ts';
import type { Asked } from './protocol.ts';

export class HeldMailbox implements Held {
  readonly settings: Readonly<Record<string, unknown>> = {};
  readonly host: Host;
  readonly #text: string;

  constructor(asked: Asked, text: string) {
    this.#text = text;
    const settings = newSettings(readStated(asked.settings));
    this.host = new Host({ settings, mailbox: text, place: 'manager' });
  }

  check(): void {
    // The link's hello compares what is stated.
  }

  attach(): Seat {
    throw managerError('NARU_UNSUPPORTED', this.#text, 'a mailbox has connections of its own');
  }

  dispose(): void {
    this.host.stop(new NaruError('NARU_CLOSED', `${this.#text}: the mailbox was removed`, this.host), true);
  }
}
