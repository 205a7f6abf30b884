// The driver of an event in a mapped file.

import { EventWord } from '../ring/event-word.ts';
import { SYNC_WORDS } from '../ring/sync-memory.ts';
import type { EventDriver, SyncHooks } from '../sync/driver.ts';
import type { SyncPart } from './attach.ts';
import { MappedSync } from './handle.ts';

export class MappedEvent extends MappedSync implements EventDriver {
  readonly #word: EventWord;
  /** What the count was when those who wait here were told last. */
  #told: number;

  constructor(part: SyncPart, address: string, hooks: SyncHooks) {
    super(part, address, hooks);
    this.#word = new EventWord(part.memory.words, SYNC_WORDS.value, part.edges.failpoint);
    this.#told = this.#word.count;
  }

  get isSet(): boolean {
    this.check();
    return this.#word.isSet;
  }

  get count(): number {
    this.check();
    return this.#word.count;
  }

  set(): void {
    this.check();
    if (this.#word.set()) this.ringAll();
    this.part.edges.failpoint('event:rung');
  }

  clear(): void {
    this.check();
    this.#word.clear();
  }

  protected mayTake(): boolean {
    return this.#word.isSet || this.#word.count !== this.#told;
  }

  protected override telling(): void {
    this.#told = this.#word.count;
  }

  protected holders(): readonly number[] {
    return [];
  }

  protected letGo(): void {
    // Nobody has an event.
  }
}
