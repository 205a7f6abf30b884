// The lock beside a value or an array, as a driver of sync/lock.ts: a word of the object's header. Who waits sleeps on another word, and
// asks every PROBE_MS whether the holder lives.

import { performance } from 'node:perf_hooks';
import { NaruError } from '../errors/index.ts';
import { ownIdentity } from '../native/identity.ts';
import { FREE, LockWord, ORPHANED, TAKE } from '../ring/lock-word.ts';
import { headerWord } from '../ring/memory.ts';
import { identityOf, participantAt, slotOf } from '../ring/participants.ts';
import type { BlockEnd, LockDriver, SyncFacts, SyncHolder, SyncHooks, Taken } from '../sync/driver.ts';
import type { StatePart } from './attach.ts';
import type { Health } from './health.ts';
import { STATE_HEADER } from './layout.ts';
import { probeLock } from './probe.ts';
import { announceWait, PROBE_MS, sleepOn, sleepOnAsync, wakeTurn } from './turn.ts';

const LOCK_AT: number = headerWord(STATE_HEADER.lock);
/** Attempts while a holder is expected to let go at once. */
const YIELDS = 10;

export class ObjectLock implements LockDriver {
  readonly facts: SyncFacts;
  readonly #part: StatePart;
  readonly #health: Health;
  readonly #hooks: SyncHooks;
  readonly #word: LockWord;
  #wanted = 0;
  #waiting: Promise<void> | undefined;

  constructor(part: StatePart, health: Health, hooks: SyncHooks) {
    const { request, site, identity, created, object, mark, edges } = part;
    this.#part = part;
    this.#health = health;
    this.#hooks = hooks;
    this.#word = new LockWord(object.memory.words, LOCK_AT, mark, edges.failpoint);
    this.facts = { text: request.text, place: site.place, address: request.address, identity, created };
  }

  tryTake(): Taken {
    if (!this.#health.isFresh) this.#health.look();
    const taken = this.#word.tryTake();
    if (taken === TAKE.busy) return undefined;
    return taken === TAKE.recovered ? 'recovered' : 'taken';
  }

  give(): void {
    if (!this.#word.unlock())
      throw new NaruError('NARU_NOT_HELD', `${this.facts.text}: this handle does not have the lock`, {
        place: this.facts.place,
        mailbox: this.facts.text,
      });
    wakeTurn(this.#part.object, this.#part.edges);
  }

  holder(): SyncHolder | undefined {
    this.#health.look();
    const mark = this.#word.holder;
    const slot = mark === FREE || mark === ORPHANED ? -1 : slotOf(mark);
    if (slot < 0) return undefined;
    const holder = participantAt(this.#part.object.memory, slot);
    const { pid, start, thread } = ownIdentity();
    return {
      identity: identityOf(holder),
      isThisThread: holder.pid === pid && holder.start === start && holder.thread === thread,
    };
  }

  want(count: number): void {
    this.#wanted = count;
    if (count > 0)
      this.#waiting ??= this.#wait().finally(() => {
        this.#waiting = undefined;
      });
  }

  block(attempt: () => boolean, timeoutMs: number): BlockEnd {
    const { object, edges } = this.#part;
    const deadline = performance.now() + timeoutMs;
    for (let tries = 0; tries < YIELDS; tries += 1) {
      if (attempt()) return 'ready';
      edges.native.yieldThread();
    }
    for (;;) {
      const turn = announceWait(object);
      if (attempt()) return 'ready';
      const left = deadline - performance.now();
      if (left <= 0) return 'timeout';
      if (sleepOn(object, turn, Math.min(left, PROBE_MS), edges) === 'interrupted') return 'interrupted';
      this.#health.isFresh = false;
      this.#health.look();
      this.#probe();
    }
  }

  async close(): Promise<void> {
    this.#wanted = 0;
    if (this.#health.isLost) return;
    if (this.#word.isOwn) this.give();
    wakeTurn(this.#part.object, this.#part.edges);
    await this.#waiting;
  }

  unlink(): Promise<void> {
    const { text, place } = this.facts;
    return Promise.reject(
      new NaruError(
        'NARU_UNSUPPORTED',
        `${text}: its lock goes with it; use unlink() of the value or array`,
        {
          place,
          mailbox: text,
        },
      ),
    );
  }

  async #wait(): Promise<void> {
    const { object, edges } = this.#part;
    while (this.#wanted > 0) {
      try {
        this.#health.look();
      } catch (error) {
        this.#wanted = 0;
        this.#hooks.failed(error as Error);
        return;
      }
      const turn = announceWait(object);
      this.#hooks.ready();
      if (this.#wanted === 0) return;
      await sleepOnAsync(object, turn, PROBE_MS, edges);
      if (!this.#health.isLost) this.#probe();
    }
  }

  #probe(): void {
    probeLock(this.#part, LOCK_AT);
  }
}
