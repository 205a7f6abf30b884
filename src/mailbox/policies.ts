// What a handle does when there is no room (`full`) or nobody to receive (`nobody`), and the account of what it dropped.

import { NaruError } from '../errors/index.ts';
import type { Driver } from './driver.ts';
import type { EventHub } from './events.ts';
import type { FullPolicy, NobodyPolicy } from './options.ts';

export interface PolicySettings {
  readonly mailbox: string;
  readonly full: FullPolicy;
  readonly nobody: NobodyPolicy;
}

export class Policies {
  readonly #driver: Driver;
  readonly #events: EventHub;
  readonly #settings: PolicySettings;
  readonly #dropped: Record<string, number> = {};
  #toldFull = false;

  constructor(driver: Driver, events: EventHub, settings: PolicySettings) {
    this.#driver = driver;
    this.#events = events;
    this.#settings = settings;
  }

  get full(): FullPolicy {
    return this.#settings.full;
  }

  /** What was dropped, by reason. */
  get dropped(): Readonly<Record<string, number>> {
    return this.#dropped;
  }

  /** Whether somebody is there, and what becomes of a message if not. @throws NARU_NO_CONSUMER */
  presence(): 'present' | 'wait' | 'drop' {
    const { nobody, mailbox } = this.#settings;
    if (nobody === 'keep' || this.#driver.peers.consumers > 0) return 'present';
    if (nobody === 'wait') return 'wait';
    if (nobody === 'fail') {
      throw new NaruError('NARU_NO_CONSUMER', `${mailbox}: nobody is there to receive (nobody: "fail")`, {
        mailbox,
      });
    }
    // A topic drops by itself, and knows what to keep for late consumers.
    return this.#driver.facts.deliver === 'all' ? 'present' : 'drop';
  }

  /** @throws NARU_NO_CONSUMER */
  mustWaitForSomebody(): boolean {
    return this.#settings.nobody !== 'keep' && this.presence() === 'wait';
  }

  /** A message found no room. @throws NARU_FULL */
  noRoom(waitingSends: number): 'full' | 'dropped' {
    this.failIfFull(waitingSends);
    return this.full === 'drop-newest' ? this.drop('full') : 'full';
  }

  /** There is no room. @throws NARU_FULL where that is an error */
  failIfFull(waitingSends: number): void {
    if (this.full !== 'fail') return;
    const { mailbox } = this.#settings;
    this.tellFull(waitingSends);
    throw new NaruError('NARU_FULL', `${mailbox}: the mailbox is full (full: "fail")`, { mailbox });
  }

  drop(reason: string): 'dropped' {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
    this.#events.emit('drop', { reason, count: 1 });
    return 'dropped';
  }

  /** Told once, until there was room again. */
  tellFull(waitingSends: number): void {
    if (this.#toldFull) return;
    this.#toldFull = true;
    this.#events.emit('full', { waitingSends });
  }

  roomAgain(): void {
    this.#toldFull = false;
  }
}
