// The shared state of a lane with competing consumers: holding it, moving its head over what is settled, giving messages back.
// For consumers, and for whoever recovers one that died.

import * as L from './layout.ts';
import { laneWord, type RingMemory } from './memory.ts';
import {
  distance,
  HEAD_IDENTITY,
  isIdentity,
  isMessage,
  LaneRecords,
  passIdentity,
  RecordWalk,
} from './record.ts';

/** The bits of a record's flags that say whose it is. */
export const OWNER_MASK: number = 0xff << L.RECORD_OWNER_SHIFT;
const COUNTED_MASK = L.RECORD_DELIVERIES_MAX << L.RECORD_DELIVERIES_SHIFT;

/** What the flags of a message hold that belongs to the participant in this slot. */
export function ownerBits(slot: number): number {
  return (slot + 1) << L.RECORD_OWNER_SHIFT;
}

/** The slot whose claim these flags are; -1 for nobody's, and for one that no table has. */
export function ownerSlot(flags: number): number {
  const slot = (flags >>> L.RECORD_OWNER_SHIFT) - 1;
  return slot < L.PARTICIPANTS ? slot : -1;
}

export class LaneState {
  readonly #memory: RingMemory;
  readonly #words: Int32Array;
  readonly #lane: number;
  readonly #records: LaneRecords;
  readonly #mark: number;
  readonly #failpoint: (name: string) => void;
  readonly #headWord: number;
  readonly #takenWord: number;
  readonly #holdWord: number;
  readonly #returnedWord: number;
  /** The record at the head makes no sense: whoever takes next puts the lane out of use. */
  #isDamaged = false;

  /** @param mark  what `hold` says while this one holds the lane */
  constructor(memory: RingMemory, lane: number, mark: number, failpoint: (name: string) => void) {
    this.#memory = memory;
    this.#words = memory.words;
    this.#lane = lane;
    this.#records = new LaneRecords(memory, lane);
    this.#mark = mark;
    this.#failpoint = failpoint;
    this.#headWord = laneWord(lane, L.LANE.head);
    this.#takenWord = laneWord(lane, L.LANE.taken);
    this.#holdWord = laneWord(lane, L.LANE.hold);
    this.#returnedWord = laneWord(lane, L.LANE.returned);
  }

  get head(): number {
    return Atomics.load(this.#words, this.#headWord);
  }

  /** Who holds the lane: a seat's mark, RECOVERER, or 0. */
  get holder(): number {
    return Atomics.load(this.#words, this.#holdWord);
  }

  isFree(): boolean {
    return this.holder === 0;
  }

  tryHold(): boolean {
    return Atomics.compareExchange(this.#words, this.#holdWord, 0, this.#mark) === 0;
  }

  /** Takes the lane from a holder that is proved dead. @returns false when it was not that one's any more */
  takeOver(holder: number): boolean {
    return Atomics.compareExchange(this.#words, this.#holdWord, holder, this.#mark) === holder;
  }

  /**
   * Ends holding. What others settled meanwhile and could not move the head over is done for them.
   * @returns true when the head moved
   */
  letGo(): boolean {
    Atomics.store(this.#words, this.#holdWord, 0);
    // SYNC: advance. Pairs with advance() of whoever found the lane held: it flagged its messages before it tried.
    return this.#isHeadSettled() && this.advance();
  }

  /** Moves the head over what is settled. @returns true when it moved; false too when a holder will do it */
  advance(): boolean {
    let isMoved = false;
    do {
      if (!this.tryHold()) return isMoved;
      isMoved = this.#moveHead() || isMoved;
      Atomics.store(this.#words, this.#holdWord, 0);
      this.#failpoint('settle:let-go');
    } while (!this.#isDamaged && this.#isHeadSettled());
    return isMoved;
  }

  /** One store: the message is nobody's, and whoever takes next takes it before all that was never taken. */
  giveBack(position: number, flags: number, isCounted: boolean): void {
    this.#records.setFlags(position, returnedFlags(flags, isCounted));
    this.#failpoint('return:flagged');
    Atomics.store(this.#words, this.#returnedWord, 1);
  }

  /** Gives back all that one participant has. While holding. @returns how many */
  returnAllOf(owner: number): number {
    const words = this.#words;
    // First, so that no death in between leaves a returned message unannounced.
    Atomics.store(words, this.#returnedWord, 1);
    const until = Atomics.load(words, this.#takenWord);
    const walk = new RecordWalk(this.#records, this.head, until);
    let count = 0;
    while (walk.next()) {
      if (!isClaimOf(owner, walk.flags)) continue;
      this.#records.setFlags(walk.position, returnedFlags(walk.flags, true));
      this.#failpoint('recover:claim-returned');
      count += 1;
    }
    return count;
  }

  /**
   * Gives back all that a living participant has, by itself and without holding the lane, which a stopped one may do for long:
   * nobody else writes the flags of its messages, and the head passes none of them. What lies before the first of them may be
   * written over while it is looked at: then the head has moved, and the walk goes on from there.
   */
  returnOwn(owner: number): void {
    const until = Atomics.load(this.#words, this.#takenWord);
    let walk = new RecordWalk(this.#records, this.head, until);
    for (;;) {
      const isRecord = walk.next();
      const { head } = this;
      if (distance(head, walk.position) > 0) {
        walk = new RecordWalk(this.#records, head, until);
        continue;
      }
      if (!isRecord) break;
      if (!isClaimOf(owner, walk.flags)) continue;
      this.#records.setFlags(walk.position, returnedFlags(walk.flags, true));
      this.#failpoint('return:flagged');
    }
    Atomics.store(this.#words, this.#returnedWord, 1);
  }

  /** Right after letting go. Where another holder has moved on meanwhile, what is seen here is that one's to look after. */
  #isHeadSettled(): boolean {
    const head = this.#words[this.#headWord] as number;
    if (head === this.#words[this.#takenWord]) return false;
    // Atomic, unlike the loads before it: this one must come after the store of `hold`.
    const flags = this.#records.flags(head);
    return !isMessage(flags) || (flags & L.RECORD_FLAG.settled) !== 0;
  }

  /** While holding. */
  #moveHead(): boolean {
    const words = this.#words;
    const records = this.#records;
    // Plain loads: only a holder writes these, and holding the lane ordered them after what the owners of messages wrote
    // before they tried to hold it.
    const before = words[this.#headWord] as number;
    const until = words[this.#takenWord] as number;
    let position = before;
    this.#isDamaged = !records.isSpan(before, until);
    while (!this.#isDamaged && position !== until) {
      const word = records.flagsWord(position);
      const flags = words[word] as number;
      if (isMessage(flags) && (flags & L.RECORD_FLAG.settled) === 0) break;
      const units = records.units(position, flags, distance(until, position));
      this.#isDamaged = units === 0;
      if (this.#isDamaged) break;
      if (isIdentity(flags))
        passIdentity(
          this.#memory,
          this.#lane,
          HEAD_IDENTITY,
          position,
          records.identityBytes(position),
          this.#failpoint,
        );
      position = (position + units) | 0;
    }
    if (position === before) return false;
    this.#failpoint('settle:before-head');
    // SYNC: room. Pairs with the load of the head in LaneWriter: everybody is done with all bytes before it.
    Atomics.store(words, this.#headWord, position);
    this.#failpoint('settle:after-head');
    return true;
  }
}

function isClaimOf(owner: number, flags: number): boolean {
  return (flags & OWNER_MASK) === owner && (flags & L.RECORD_FLAG.settled) === 0 && isMessage(flags);
}

function returnedFlags(flags: number, isCounted: boolean): number {
  const cleared = (flags & ~(OWNER_MASK | L.RECORD_FLAG.dropped)) | L.RECORD_FLAG.returned;
  const before = (flags & COUNTED_MASK) >>> L.RECORD_DELIVERIES_SHIFT;
  if (!isCounted || before >= L.RECORD_DELIVERIES_MAX) return cleared;
  return cleared + (1 << L.RECORD_DELIVERIES_SHIFT);
}
