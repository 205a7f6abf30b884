// What every driver of a lock, semaphore or event in a mapped file does: waiting on its seat's doorbell, ringing others, looking every 50 ms
// whether a holder is dead, noticing that the object has gone, and leaving. What is waited for is the subclass's.

import { atExit } from '../mapped-ring/exit.ts';
import { isDead } from '../mapped-ring/fifo.ts';
import { isWhole, objectState, releaseObject } from '../mapped-ring/object-file.ts';
import { closedError, partError } from '../mapped-ring/participation.ts';
import { type Pace, SAFETY_MS, type WaitingEnd } from '../mapped-ring/waiter.ts';
import { ring } from '../ring/doorbell.ts';
import { HEADER, SEAT } from '../ring/layout.ts';
import { headerWord } from '../ring/memory.ts';
import { listParticipants, participantAt, stateOf } from '../ring/participants.ts';
import { WANT_TURN } from '../ring/sync-layout.ts';
import { SYNC_WORDS } from '../ring/sync-memory.ts';
import { WaitList } from '../ring/wait-list.ts';
import type { BlockEnd, SyncDriver, SyncFacts, SyncHooks } from '../sync/driver.ts';
import type { SyncPart } from './attach.ts';
import { destroy, leave, leaveNow, recoverNow } from './leaving.ts';

/** How often a waiter looks whether a holder is dead. */
const PROBE_MS = 50;
const CLOSED_WORD = headerWord(HEADER.closed);

export abstract class MappedSync implements SyncDriver {
  readonly facts: SyncFacts;
  protected readonly part: SyncPart;
  readonly #hooks: SyncHooks;
  readonly #waiting: WaitList;
  readonly #end: WaitingEnd;
  readonly #words: Int32Array;
  readonly #ring: (slot: number) => boolean;
  readonly #pace: Pace;
  readonly #timer: NodeJS.Timeout;
  readonly #forgetExit: () => void;
  #probes: NodeJS.Timeout | undefined;
  #count = 0;
  #isBlocked = false;
  /** Once it is set the mapped memory must not be touched any more: it may be gone (SIGBUS). */
  #error: Error | undefined;
  #closing: Promise<void> | undefined;

  /** @param address  the URL by which others reach it */
  constructor(part: SyncPart, address: string, hooks: SyncHooks) {
    const { text, site, identity, created, memory, waiter, bells, slot, edges } = part;
    this.part = part;
    this.#hooks = hooks;
    this.facts = { text, place: site.place, address, identity, created };
    this.#words = memory.words;
    this.#waiting = new WaitList(memory.words, SYNC_WORDS.waiting, slot);
    this.#ring = (other) => ring(memory.words, other, WANT_TURN, bells);
    this.#pace = { lookMs: PROBE_MS, graceMs: 0, parking: () => this.#waiting.join() };
    this.#end = {
      wants: () => (this.#count > 0 ? WANT_TURN : 0),
      holdsProcess: () => this.#count > 0,
      isReady: () => this.#isOver() || (this.#count > 0 && this.mayTake()),
      wake: () => this.#wake(),
      rung: () => this.#passOn(),
    };
    waiter.guard(() => isWhole(part.object, edges) || this.#checkObject());
    waiter.add(this.#end);
    waiter.arm();
    this.#timer = setInterval(() => this.#lookAround(), SAFETY_MS);
    this.#timer.unref();
    this.#forgetExit = atExit(() => {
      if (this.#error === undefined) leaveNow(part);
    });
  }

  /** Whether trying again may help: one load. */
  protected abstract mayTake(): boolean;

  /** Those who wait here are about to be told that trying again may help. */
  protected telling(): void {
    // Who has to remember what was told says so.
  }

  /** Slots of those who have what others wait for. */
  protected abstract holders(): readonly number[];

  /** Gives back at once what others can have without the folder's lock. */
  protected abstract letGo(): void;

  /** @throws why it cannot be used any more; nothing of it may be touched then */
  protected check(): void {
    if (this.#error !== undefined) throw this.#error;
    // A plain load: it is on the way of every call, and to see it a little later does no harm.
    if (this.#words[CLOSED_WORD] !== 0) throw closedError(this.part) as Error;
  }

  /** Rings one of those who wait, after something was given back. */
  protected ringOne(): void {
    if (!this.#waiting.isEmpty) this.#waiting.ringOne(this.#ring);
  }

  /** Rings all who wait. */
  protected ringAll(): void {
    if (!this.#waiting.isEmpty) this.#waiting.ringAll(this.#ring);
  }

  want(count: number): void {
    if (this.#error !== undefined) return;
    const before = this.#count;
    this.#count = count;
    if (count > 0 && before === 0) {
      this.#waiting.join();
      // The socket holds the process.
      this.#probes = setInterval(() => this.#probe(), PROBE_MS);
      this.#probes.unref();
      this.part.waiter.arm();
    } else if (count === 0 && before > 0) this.#stopWaiting();
  }

  block(attempt: () => boolean, timeoutMs: number): BlockEnd {
    this.check();
    let isDone = false;
    const isReady = (): boolean => {
      // Ends the wait: the next attempt throws.
      if (this.#isOver()) return true;
      isDone ||= this.mayTake() && attempt();
      return isDone;
    };
    this.#isBlocked = true;
    let end: BlockEnd;
    try {
      end = this.part.waiter.block(WANT_TURN, isReady, timeoutMs, () => this.#probe(), this.#pace);
    } finally {
      this.#isBlocked = false;
      if (this.#count === 0 && this.#error === undefined) this.#waiting.leave();
    }
    if (!isDone) this.check();
    if (!isDone) this.#passOn();
    return end;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async unlink(): Promise<void> {
    this.check();
    // Our own handle is about to close: it need not be told that the object has gone.
    this.part.waiter.remove(this.#end);
    clearInterval(this.#timer);
    await destroy(this.part);
  }

  async #close(): Promise<void> {
    const { part } = this;
    clearInterval(this.#timer);
    clearInterval(this.#probes);
    if (this.#checkObject()) {
      if (this.#count > 0) this.want(0);
      this.letGo();
      await leave(part);
    }
    this.#forgetExit();
    part.waiter.close();
    part.bells.close();
    this.#error ??= partError(part, 'NARU_CLOSED', 'this handle is closed');
    releaseObject(part.object, part.edges);
  }

  #isOver(): boolean {
    return this.#error !== undefined || Atomics.load(this.#words, CLOSED_WORD) !== 0;
  }

  #wake(): void {
    if (this.#error === undefined && this.#isOver()) this.#fail(closedError(this.part) as Error, false);
    else if (this.#count > 0) this.#tell();
  }

  #tell(): void {
    this.telling();
    this.#hooks.ready();
  }

  #stopWaiting(): void {
    clearInterval(this.#probes);
    this.#probes = undefined;
    this.part.waiter.disarm();
    if (!this.#isBlocked) this.#waiting.leave();
    this.#passOn();
  }

  /** Whoever stops waiting may have been rung, and somebody else waits. */
  #passOn(): void {
    if (this.#error !== undefined || this.#count > 0) return;
    if (!this.#waiting.isEmpty && this.mayTake()) this.#waiting.ringOne(this.#ring);
  }

  /** While anything here waits: is a holder dead? And was a ring lost with somebody who died? */
  #probe(): void {
    if (!this.#checkObject()) return;
    const { part } = this;
    if (this.holders().some((slot) => slot !== part.slot && this.#isGone(slot))) this.#recover();
    if (this.#count > 0 && this.mayTake()) this.#tell();
  }

  #isGone(slot: number): boolean {
    const { memory, site, edges } = this.part;
    // Leaving takes an instant: who is seen at it died there.
    if (stateOf(memory, slot) === SEAT.leaving) return true;
    return isDead(site.folder, participantAt(memory, slot), edges);
  }

  /** What no bell tells: deaths of others, and the object's removal. */
  #lookAround(): void {
    if (this.#error !== undefined || this.#closing !== undefined || !this.#checkObject()) return;
    const others = listParticipants(this.part.memory).filter(({ slot }) => slot !== this.part.slot);
    if (others.some(({ slot }) => this.#isGone(slot))) this.#recover();
    this.part.waiter.lookForSafety();
  }

  #recover(): void {
    try {
      recoverNow(this.part);
    } catch {
      // Another process is at the folder: whoever looks next does it.
    }
  }

  /** @returns false when the object is gone or truncated: its memory must not be touched */
  #checkObject(): boolean {
    const { part } = this;
    if (this.#error !== undefined) return false;
    const state = objectState(part.object, part.edges);
    if (state === 'ok') return true;
    if (state === 'removed' && Atomics.load(this.#words, CLOSED_WORD) !== 0) return true;
    this.#fail(
      state === 'truncated'
        ? partError(part, 'NARU_CORRUPT', `${part.object.path} was truncated by somebody`)
        : partError(part, 'NARU_CLOSED', `${part.object.path} was removed by somebody`),
      state === 'truncated',
    );
    return false;
  }

  #fail(error: Error, isLost: boolean): void {
    this.#error = error;
    const { waiter } = this.part;
    clearInterval(this.#timer);
    clearInterval(this.#probes);
    this.#count = 0;
    waiter.remove(this.#end);
    if (isLost) waiter.abandon();
    this.#hooks.failed(error);
  }
}
