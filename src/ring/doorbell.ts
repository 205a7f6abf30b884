// The doorbell: how a participant that sleeps is woken, and how nobody pays for it while it is awake. Only the word's
// protocol; the bell itself (a FIFO's byte, a futex) is injected.
//
// Word = epoch·4 + state. The sleeper: drain · store (epoch + 1, parked) · LOOK AGAIN · sleep · store awake · drain.
// The ringer:  store its news (tail, head, …) · load the word · when parked: ring first, then CAS (same epoch) to rung.
// Ring first: a ringer that dies in between leaves the word parked, so that survivors still ring. Same epoch: a slow ringer's
// late mark cannot silence a later sleep. Checked exhaustively in doorbell.test.ts.

import { BELL, PARTICIPANT } from './layout.ts';
import { participantWord } from './memory.ts';

const STATE_MASK = 3;

/** How a sleeper sleeps: in its event loop (a byte in its FIFO wakes it) or as a blocked thread (futex). */
export type Parking = typeof BELL.parkedLoop | typeof BELL.parkedThread;

/** A participant's own bell: only its owner parks and wakes. */
export class Doorbell {
  readonly #words: Int32Array;
  readonly #bellWord: number;
  readonly #threadWord: number;
  readonly #wantsWord: number;
  #epoch: number;
  #parked = false;
  #wants: number;

  constructor(words: Int32Array, slot: number) {
    this.#words = words;
    this.#bellWord = participantWord(slot, PARTICIPANT.bell);
    this.#threadWord = participantWord(slot, PARTICIPANT.threadBell);
    this.#wantsWord = participantWord(slot, PARTICIPANT.wants);
    // The seat's last owner may have rung-marks of slow ringers under way: its epochs are never used again.
    this.#epoch = Atomics.load(words, this.#bellWord) >>> 2;
    this.#wants = -1;
    this.#setWants(0);
    this.wake();
  }

  /** True between park() and wake(). */
  get isParked(): boolean {
    return this.#parked;
  }

  /** Counts the sleeps. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Byte offset of the word that a blocked thread sleeps on. */
  get threadOffset(): number {
    return this.#threadWord * 4;
  }

  /** Value of that word; read it before park(): a ring for this sleep changes it after that. */
  get threadValue(): number {
    return Atomics.load(this.#words, this.#threadWord);
  }

  /** Says that this participant is about to sleep. The caller must look again for news before it does. */
  park(parking: Parking, wants: number): void {
    this.#setWants(wants);
    this.#epoch = (this.#epoch + 1) & 0x3fffffff;
    this.#parked = true;
    // SYNC: park/ring. Pairs with the load in ring(): news stored before that load are seen by the look after this store.
    Atomics.store(this.#words, this.#bellWord, (this.#epoch << 2) | parking);
  }

  /** Says that it is awake again: nobody rings. */
  wake(): void {
    this.#parked = false;
    Atomics.store(this.#words, this.#bellWord, (this.#epoch << 2) | BELL.awake);
  }

  #setWants(wants: number): void {
    if (wants === this.#wants) return;
    this.#wants = wants;
    Atomics.store(this.#words, this.#wantsWord, wants);
  }
}

/** Whether a participant sleeps and wants this news: two loads, nothing written. */
export function sleepsFor(words: Int32Array, slot: number, want: number): boolean {
  if ((Atomics.load(words, participantWord(slot, PARTICIPANT.wants)) & want) === 0) return false;
  const state = Atomics.load(words, participantWord(slot, PARTICIPANT.bell)) & STATE_MASK;
  return state === BELL.parkedLoop || state === BELL.parkedThread;
}

/** The two ways to make a sleeper get up. */
export interface Bells {
  /** Puts a byte into the participant's FIFO. @returns false when that could not be done */
  ringLoop(slot: number): boolean;
  /** futex wake on the participant's thread word, at this byte offset. */
  ringThread(byteOffset: number): void;
  readonly failpoint: (name: string) => void;
}

/**
 * Wakes a participant if it sleeps and wants this. Call it after the news was stored.
 *
 * @param want  WANT bit of the news; 0 = control, which everybody wants
 * @returns true when a bell was rung
 */
export function ring(words: Int32Array, slot: number, want: number, bells: Bells): boolean {
  const bellWord = participantWord(slot, PARTICIPANT.bell);
  const word = Atomics.load(words, bellWord);
  const state = word & STATE_MASK;
  if (state === BELL.awake || state === BELL.rung) return false;
  // Stored before the bell: who is seen to sleep has said what for.
  if (want !== 0 && (Atomics.load(words, participantWord(slot, PARTICIPANT.wants)) & want) === 0)
    return false;
  if (state === BELL.parkedLoop) {
    // Not marked when it did not ring: somebody else may be able to.
    if (!bells.ringLoop(slot)) return false;
  } else {
    // The sleeper compares this word when it goes to sleep: a ring between its last look and its sleep counts.
    const threadWord = participantWord(slot, PARTICIPANT.threadBell);
    Atomics.add(words, threadWord, 1);
    bells.ringThread(threadWord * 4);
  }
  bells.failpoint('ring:before-mark');
  Atomics.compareExchange(words, bellWord, word, (word & ~STATE_MASK) | BELL.rung);
  return true;
}
