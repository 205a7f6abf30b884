// A lane whose messages several consumers share. Who works on the shared state holds the lane (`hold`) for the length of a
// batch; each message in [head, taken) says in its own flags whose it is, so that after a death everybody can see what comes back.
//
//   hold      0, or who works on head, taken and the records between them. Never waited for: whoever finds it taken leaves,
//             and whoever lets go looks again for what the other came for.
//   taken     everything before it has been claimed by somebody; the claims are written first.
//   head      everything before it is settled.
//   returned  some record in [head, taken) is nobody's and comes before all that was never taken.
// The rules of a dead holder and of a dead owner are recovery.ts's. Model: models/claims.pml.

import type { ConsumedLane } from './consumed-lane.ts';
import { LaneReader, type ReaderEdges } from './lane-reader.ts';
import * as L from './layout.ts';
import { headerWord, laneWord, participantWord, type RingMemory } from './memory.ts';
import {
  distance,
  identityAt,
  identityText,
  isIdentity,
  LaneRecords,
  passIdentity,
  RecordWalk,
  TAKEN_IDENTITY,
} from './record.ts';
import { LaneState, OWNER_MASK, ownerBits } from './lane-state.ts';
import { SLAB_BYTES, type Slabs } from './slab.ts';

/** What a competing consumer takes at once in bytes, for each message it may take, until it knows how long they are. */
const FIRST_GUESS_BYTES = 256;

export class CompetingLane implements ConsumedLane {
  readonly #fresh: LaneReader;
  readonly #again: LaneReader;
  readonly #memory: RingMemory;
  readonly #words: Int32Array;
  readonly #lane: number;
  readonly #records: LaneRecords;
  readonly #state: LaneState;
  readonly #owner: number;
  readonly #units: number;
  readonly #failpoint: (name: string) => void;
  readonly #tailWord: number;
  readonly #takenWord: number;
  readonly #returnedWord: number;
  readonly #versionWord: number;
  readonly #fenceWord: number;
  #reader: LaneReader;
  /** Where the search for returned messages is; undefined when this batch has none or has them all. */
  #search: ReturnedSearch | undefined;
  #identityVersion: number;
  #typicalBytes = FIRST_GUESS_BYTES;
  #taken = 0;
  #unsettled = 0;
  #deliveries = 1;
  #token = 0;

  /** @param mark  of this consumer's seat; @param slot  of the participant, which its claims carry */
  constructor(
    memory: RingMemory,
    lane: number,
    mark: number,
    slot: number,
    slabs: Slabs,
    edges: ReaderEdges,
  ) {
    this.#memory = memory;
    this.#words = memory.words;
    this.#lane = lane;
    this.#records = new LaneRecords(memory, lane);
    this.#state = new LaneState(memory, lane, mark, edges.failpoint);
    this.#owner = ownerBits(slot);
    this.#units = memory.geometry.laneBytes / L.UNIT_BYTES;
    this.#failpoint = edges.failpoint;
    this.#tailWord = laneWord(lane, L.LANE.tail);
    this.#takenWord = laneWord(lane, L.LANE.taken);
    this.#returnedWord = laneWord(lane, L.LANE.returned);
    this.#versionWord = laneWord(lane, L.LANE.takenIdentityVersion);
    this.#fenceWord = participantWord(slot, L.PARTICIPANT.fence);
    // Before anybody holds the lane nothing of it is read: begin() seeks.
    this.#identityVersion = Atomics.load(this.#words, this.#versionWord) - 1;
    this.#fresh = new LaneReader(memory, lane, 0, '', slabs, edges, {
      identity: (position, text) => this.#passTaken(position, text),
    });
    this.#again = new LaneReader(memory, lane, 0, '', slabs, edges, { identity: () => undefined });
    this.#reader = this.#fresh;
  }

  get reader(): LaneReader {
    return this.#reader;
  }

  get deliveries(): number {
    return this.#deliveries;
  }

  get token(): number {
    return this.#token;
  }

  get unsettled(): number {
    return this.#unsettled;
  }

  get head(): number {
    return this.#state.head;
  }

  /** Not while somebody holds the lane, who will ring when there is more: a stopped holder must not make others spin. */
  hasMore(): boolean {
    if (this.#fresh.isFaulted) return false;
    const words = this.#words;
    // The plain loads are only ever behind, and begin() finds out; an atomic one costs as much as reading a message does.
    if (words[this.#tailWord] === words[this.#takenWord] && words[this.#returnedWord] === 0) {
      const taken = Atomics.load(words, this.#takenWord);
      if (Atomics.load(words, this.#tailWord) === taken && Atomics.load(words, this.#returnedWord) === 0)
        return false;
    }
    return this.#state.isFree();
  }

  isHeld(): boolean {
    return !this.#fresh.isFaulted && !this.#state.isFree();
  }

  begin(max: number, isInPlace: boolean): boolean {
    const words = this.#words;
    if (this.#fresh.isFaulted || !this.#state.tryHold()) return false;
    this.#failpoint('claim:held');
    // Plain: only a holder writes these.
    this.#taken = words[this.#takenWord] as number;
    const version = words[this.#versionWord] as number;
    if (this.#fresh.position !== this.#taken || version !== this.#identityVersion) {
      this.#identityVersion = version;
      this.#fresh.seek(this.#taken, identityAt(this.#memory, this.#lane, TAKEN_IDENTITY));
    }
    this.#fresh.limitCopy(this.#isAlone() ? SLAB_BYTES : max * this.#typicalBytes);
    this.#fresh.readInPlace(isInPlace);
    this.#again.readInPlace(isInPlace);
    if (Atomics.load(words, this.#returnedWord) !== 0) {
      Atomics.store(words, this.#returnedWord, 0);
      this.#search = new ReturnedSearch(
        this.#memory,
        this.#lane,
        this.#records,
        this.#state.head,
        this.#taken,
      );
    }
    return true;
  }

  next(): boolean {
    if (this.#search !== undefined && this.#nextReturned(this.#search)) return true;
    this.#reader = this.#fresh;
    if (!this.#fresh.next()) return false;
    const { start, flags, payloadBytes } = this.#fresh;
    this.#typicalBytes = (this.#typicalBytes * 7 + payloadBytes + L.RECORD.payload + 7) >>> 3;
    this.#deliveries = 1;
    this.#claim(start, flags & PRODUCER_BITS);
    return true;
  }

  #nextReturned(search: ReturnedSearch): boolean {
    const flags = search.next();
    if (flags === 0) {
      this.#search = undefined;
      if (search.isDamaged) this.#fresh.quarantine('the records before it make no sense');
      return false;
    }
    this.#reader = this.#again;
    this.#again.limitCopy(0);
    this.#again.seek(search.position, search.sender);
    if (!this.#again.next() || this.#again.start !== search.position) {
      if (this.#again.isFaulted) this.#fresh.giveUp();
      else this.#fresh.quarantine('a message that was given back is none any more');
      return false;
    }
    this.#deliveries = ((flags >>> L.RECORD_DELIVERIES_SHIFT) & L.RECORD_DELIVERIES_MAX) + 1;
    this.#claim(search.position, flags & ~(OWNER_MASK | L.RECORD_FLAG.returned));
    return true;
  }

  #claim(position: number, flags: number): void {
    this.#token = position;
    this.#unsettled += 1;
    // Plain: the store of `taken`, or of `hold`, comes after it and makes it seen.
    this.#words[this.#records.flagsWord(position)] = flags | this.#owner;
  }

  finish(): boolean {
    const words = this.#words;
    this.#failpoint('claim:claimed');
    const { position } = this.#fresh;
    if (position !== this.#taken) Atomics.store(words, this.#takenWord, position);
    if (this.#search !== undefined) {
      Atomics.store(words, this.#returnedWord, 1);
      this.#search = undefined;
    }
    this.#failpoint('claim:taken');
    const isMoved = this.#state.letGo();
    this.#failpoint('claim:let-go');
    return isMoved;
  }

  settle(token: number): void {
    const word = this.#records.flagsWord(token);
    const flags = this.#words[word] as number;
    if ((flags & OWNER_MASK) !== this.#owner || (flags & L.RECORD_FLAG.settled) !== 0) return;
    this.#unsettled -= 1;
    // Plain: commit() puts the fence behind it.
    this.#words[word] = flags | L.RECORD_FLAG.settled;
  }

  commit(): boolean {
    // SYNC: advance. What was flagged is seen by whoever holds the lane now and lets go after this.
    Atomics.store(this.#words, this.#fenceWord, 0);
    return this.#state.advance();
  }

  giveBack(token: number, isCounted: boolean): true {
    const flags = this.#records.flags(token);
    if ((flags & OWNER_MASK) !== this.#owner || (flags & L.RECORD_FLAG.settled) !== 0) return true;
    this.#unsettled -= 1;
    this.#state.giveBack(token, flags, isCounted);
    return true;
  }

  /** Never called: what goes back is anybody's. */
  handOutAgain(): void {}

  drop(token: number): void {
    Atomics.or(this.#words, this.#records.flagsWord(token), L.RECORD_FLAG.dropped);
  }

  received(token: number): boolean {
    const before = Atomics.or(this.#words, this.#records.flagsWord(token), L.RECORD_FLAG.received);
    return (before & L.RECORD_FLAG.received) === 0;
  }

  isEmptied(): boolean {
    return Atomics.load(this.#words, this.#tailWord) === this.head;
  }

  isHalfFree(): boolean {
    return distance(Atomics.load(this.#words, this.#tailWord), this.head) <= this.#units >>> 1;
  }

  leave(): void {
    if (this.#unsettled > 0) this.#state.returnOwn(this.#owner);
    this.#unsettled = 0;
  }

  /** No other consumer has a seat: what is copied now need not be copied again. */
  #isAlone(): boolean {
    const mask = this.#words[headerWord(L.HEADER.consumerMask)] as number;
    return (mask & (mask - 1)) === 0;
  }

  #passTaken(position: number, text: Uint8Array): void {
    // The new version first: who comes after a death in between reads the text anew, and then meets the record.
    this.#identityVersion = (this.#identityVersion + 1) | 0;
    Atomics.store(this.#words, this.#versionWord, this.#identityVersion);
    passIdentity(this.#memory, this.#lane, TAKEN_IDENTITY, position, text, this.#failpoint);
    this.#taken = position;
  }
}

/** What only the producer writes into a record's flags. */
const PRODUCER_BITS = L.RECORD_KIND_MASK | L.RECORD_FLAG.receipt | L.RECORD_FLAG.ttl;

/** Goes through [head, taken) of a held lane for messages that were given back, and keeps track of who sent them. */
class ReturnedSearch {
  readonly #records: LaneRecords;
  readonly #walk: RecordWalk;
  sender: string;

  constructor(memory: RingMemory, lane: number, records: LaneRecords, from: number, until: number) {
    this.#records = records;
    this.#walk = new RecordWalk(records, from, until);
    this.sender = identityAt(memory, lane);
  }

  get position(): number {
    return this.#walk.position;
  }

  get isDamaged(): boolean {
    return this.#walk.isDamaged;
  }

  /** @returns the flags of the next one, which lies at `position`; 0 when there is none */
  next(): number {
    const walk = this.#walk;
    while (walk.next()) {
      const { flags } = walk;
      if (isIdentity(flags)) this.sender = identityText(this.#records.identityBytes(walk.position));
      else if ((flags & L.RECORD_FLAG.returned) !== 0) return flags;
    }
    return 0;
  }
}
