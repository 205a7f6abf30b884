// The driver of a lock in a mapped file.

import { partError } from '../mapped-ring/participation.ts';
import { formatIdentity, ownIdentity } from '../native/identity.ts';
import { FREE, LockWord, ORPHANED, TAKE } from '../ring/lock-word.ts';
import { identityOf, participantAt, seatMark, slotOf } from '../ring/participants.ts';
import { SYNC_WORDS } from '../ring/sync-memory.ts';
import type { LockDriver, SyncHolder, SyncHooks, Taken } from '../sync/driver.ts';
import type { SyncPart } from './attach.ts';
import { MappedSync } from './handle.ts';

export class MappedLock extends MappedSync implements LockDriver {
  readonly #word: LockWord;
  readonly #failpoint: (name: string) => void;

  constructor(part: SyncPart, address: string, hooks: SyncHooks) {
    super(part, address, hooks);
    this.#failpoint = part.edges.failpoint;
    this.#word = new LockWord(part.memory.words, SYNC_WORDS.value, part.mark, this.#failpoint);
  }

  tryTake(): Taken {
    this.check();
    const take = this.#word.tryTake();
    if (take === TAKE.busy) return undefined;
    return take === TAKE.taken ? 'taken' : 'recovered';
  }

  give(): void {
    if (!this.#word.unlock())
      throw partError(this.part, 'NARU_NOT_HELD', 'this handle does not have the lock, so it cannot let go');
    this.ringOne();
    this.#failpoint('lock:rung');
  }

  holder(): SyncHolder | undefined {
    this.check();
    const mark = this.#word.holder;
    if (mark === FREE || mark === ORPHANED) return undefined;
    const participant = participantAt(this.part.memory, slotOf(mark));
    if (seatMark(participant.slot, participant.generation) !== mark) return undefined;
    const isThisThread = formatIdentity(participant) === formatIdentity(ownIdentity());
    return { identity: identityOf(participant), isThisThread };
  }

  protected mayTake(): boolean {
    const { holder } = this.#word;
    return holder === FREE || holder === ORPHANED;
  }

  protected holders(): readonly number[] {
    const slot = slotOf(this.#word.holder);
    return slot < 0 ? [] : [slot];
  }

  protected letGo(): void {
    if (this.#word.isOwn) this.give();
  }
}
