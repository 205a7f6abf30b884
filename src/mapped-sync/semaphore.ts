// The driver of a semaphore in a mapped file.

import { partError } from '../mapped-ring/participation.ts';
import { TAKE } from '../ring/lock-word.ts';
import { listParticipants } from '../ring/participants.ts';
import {
  HELD_MAX,
  Permits,
  permitsHeld,
  permitsLeft,
  type PermitWords,
  PERMITS_MAX,
} from '../ring/permits.ts';
import { permitWords } from '../ring/sync-memory.ts';
import type { SemaphoreDriver, SyncHooks, Taken } from '../sync/driver.ts';
import type { SyncPart } from './attach.ts';
import { MappedSync } from './handle.ts';

export class MappedSemaphore extends MappedSync implements SemaphoreDriver {
  readonly bounded: boolean;
  readonly #at: PermitWords;
  readonly #permits: Permits;

  constructor(part: SyncPart, address: string, hooks: SyncHooks) {
    super(part, address, hooks);
    this.bounded = part.memory.geometry.bounded;
    this.#at = permitWords(part.memory);
    this.#permits = new Permits(this.#at, part.slot, part.edges.failpoint);
  }

  get value(): number {
    this.check();
    return permitsLeft(this.#at);
  }

  get held(): number {
    return this.#permits.held;
  }

  tryTake(): Taken {
    this.check();
    if (this.#permits.held === HELD_MAX)
      throw partError(this.part, 'NARU_LIMIT', `this handle has ${HELD_MAX} permits, the most there can be`);
    const take = this.#permits.tryTake();
    if (take === TAKE.busy) return undefined;
    // Who was rung for several passes it on.
    if (this.mayTake()) this.ringOne();
    return take === TAKE.taken ? 'taken' : 'recovered';
  }

  give(): void {
    this.check();
    if (!this.#permits.give()) throw this.#notHeld();
    this.ringOne();
    this.part.edges.failpoint('permits:rung');
  }

  add(): void {
    this.check();
    if (!this.#permits.add())
      throw partError(this.part, 'NARU_LIMIT', `it has ${PERMITS_MAX} permits, the most there can be`);
    this.ringOne();
  }

  spend(): void {
    this.check();
    if (!this.#permits.spend()) throw this.#notHeld();
  }

  protected mayTake(): boolean {
    return permitsLeft(this.#at) > 0;
  }

  protected holders(): readonly number[] {
    return listParticipants(this.part.memory)
      .map(({ slot }) => slot)
      .filter((slot) => permitsHeld(this.#at, slot) > 0);
  }

  protected letGo(): void {
    // All at once, with the seat.
  }

  #notHeld(): Error {
    return partError(
      this.part,
      'NARU_NOT_HELD',
      'this handle has no permit of this bounded semaphore, so it cannot give one back',
    );
  }
}
