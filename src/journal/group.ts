// One group of consumers: what it has had of the log, a window of what comes next in memory, and who has what in flight. A queue has
// one group, a topic one for each name and for each consumer without one.

import type { LinkMessage } from '../link/item.ts';
import { Store } from '../store/store.ts';
import type { Clock, ItemMeta, Subscription } from '../store/types.ts';
import { GroupSeat } from './group-seat.ts';
import type { MessageIndex } from './message-index.ts';
import type { Batch } from './batch.ts';
import { Progress, type Run } from './progress.ts';

/** Messages that wait in memory at most, and their bytes. */
const WINDOW = 4096;
const WINDOW_BYTES = 32 << 20;
/** So far ahead it is noted what may be handed out: a killed host's successor marks these as redelivered. */
const HANDED_AHEAD = 8192;

/** What a group needs of its journal. */
export interface GroupHome {
  readonly index: MessageIndex;
  readonly leaseMs: number;
  readonly clock: Clock;
  /** Every message up to this one is in the hands of the system. */
  readonly placed: number;
  readonly isEnded: boolean;
  /** A message in memory; undefined: it is being fetched, and the group is fed again when it is there. */
  item(group: Group, number: number): LinkMessage | undefined;
  /** @param bytes  what it takes of the capacity; undefined: its share of its batch */
  settled(group: Group, number: number, bytes: number | undefined): void;
  dropped(reason: string, count: number): void;
  /** Notes the state of the group in the log. @returns the sequence of the note */
  note(group: Group): number;
  /** Whether a note is in the hands of the system. */
  isNoted(sequence: number): boolean;
  /** Now, in milliseconds since 1970. */
  time(): number;
}

/** What is noted of a group. */
export interface GroupState {
  readonly name: string;
  /** It belongs to one consumer and goes with it. */
  readonly isOwn: boolean;
  /** Everything before it is settled. */
  readonly low: number;
  /** Settled too. */
  readonly done: readonly Run[];
  /** Nothing beyond it was handed out. */
  readonly handed: number;
  /** Up to these some messages had been handed out when a host died. */
  readonly crashes: readonly number[];
  /** Messages that had been handed out when a host stopped, and how often. */
  readonly seen: readonly (readonly [number: number, times: number])[];
}

export class Group {
  readonly name: string;
  readonly isOwn: boolean;
  readonly progress: Progress;
  /** What the last message came from: the next is mostly there too. */
  batch: Batch | undefined;
  /** Number of the note in the log that tells of this group; 0 = none. */
  noted = 0;
  readonly #home: GroupHome;
  readonly #store: Store<LinkMessage>;
  readonly #seats = new Set<GroupSeat>();
  readonly #crashes: readonly number[];
  readonly #seen: Map<number, number>;
  #fed: number;
  /** feed() is under way. */
  #feeds = 0;
  readonly #ready = new Set<() => void>();
  #handed: number;
  /** A note of how far it may go, which counts once it is written. */
  #asked: { readonly handed: number; readonly note: number } | undefined;
  #noted: number;
  #isClosed = false;

  constructor(home: GroupHome, state: GroupState) {
    this.#home = home;
    this.name = state.name;
    this.isOwn = state.isOwn;
    this.progress = new Progress(state.low, state.done);
    this.#crashes = state.crashes;
    this.#seen = new Map(state.seen);
    this.#handed = state.handed;
    this.#noted = state.handed;
    this.#fed = state.low - 1;
    this.#store = new Store<LinkMessage>(
      {
        capacityMessages: Number.MAX_SAFE_INTEGER,
        capacityBytes: Number.MAX_SAFE_INTEGER,
        deliver: 'one',
        dropOldest: false,
        keepForNobody: false,
        retain: 0,
        dedup: 0,
        leaseMs: home.leaseMs,
        priorityMin: 0,
        priorityMax: 0,
      },
      home.clock,
      {
        room: () => undefined,
        drop: (reason, count) => home.dropped(reason, count),
        lost: (item, reason) => {
          if (reason !== 'closed') home.settled(this, item.at, item.meta.sizeBytes);
        },
      },
    );
  }

  get seats(): number {
    return this.#seats.size;
  }

  /** The last message that is in the window, or was. */
  get fed(): number {
    return this.#fed;
  }

  get flying(): number {
    let count = 0;
    for (const seat of this.#seats) count += seat.flying;
    return count;
  }

  get state(): GroupState {
    const { name, isOwn, progress } = this;
    const { low, done } = progress;
    const crashes = this.#crashes.filter((end) => end >= low);
    const seen = [...this.#seen];
    return { name, isOwn, low, done, handed: this.#noted, crashes, seen };
  }

  join(ready: () => void, left: () => void): Subscription<LinkMessage> {
    const inner = this.#store.subscribe(() => {
      if (this.#feeds > 0) this.#ready.add(ready);
      else ready();
    });
    const seat: GroupSeat = new GroupSeat(inner, this, () => {
      this.#seats.delete(seat);
      left();
    });
    this.#seats.add(seat);
    this.feed();
    return seat;
  }

  /** How often a message was handed out before this host had it. */
  earlier(number: number): number {
    if (this.#crashes.length === 0 && this.#seen.size === 0) return 0;
    let times = this.#seen.get(number) ?? 0;
    for (const end of this.#crashes) if (number <= end) times += 1;
    return times;
  }

  settled({ at, meta }: LinkMessage): void {
    if (this.#seen.size > 0) this.#seen.delete(at);
    this.#home.settled(this, at, meta.sizeBytes);
  }

  /** Notes that messages up to this one, and some behind it, may be handed out. */
  noteAhead(number: number): void {
    if (number + HANDED_AHEAD / 2 <= this.#handed || this.#asked !== undefined) return;
    this.#noted = number + HANDED_AHEAD;
    this.#asked = { handed: this.#noted, note: this.#home.note(this) };
  }

  /** Fills the window with what comes next. Called when there may be more, or more room. */
  feed(): void {
    this.#feeds += 1;
    this.#feedAll();
    this.#feeds -= 1;
    if (this.#feeds > 0 || this.#ready.size === 0) return;
    // All at once: consumers take batches.
    const ready = [...this.#ready];
    this.#ready.clear();
    for (const tell of ready) tell();
  }

  #feedAll(): void {
    const { index, placed, isEnded } = this.#home;
    const store = this.#store;
    // Nobody takes anything while the window is filled: who waits is told afterwards.
    const { flying } = this;
    while (!this.#isClosed && store.held - flying < WINDOW && store.heldBytes < WINDOW_BYTES) {
      const number = index.after(this.#fed);
      if (number === 0) break;
      if (number > placed || !this.#mayHandOut(number)) return;
      if (this.progress.has(number)) {
        this.#given(number);
        continue;
      }
      const item = this.#home.item(this, number);
      if (item === undefined) return;
      this.#given(number);
      const meta = this.#metaOf(item, number);
      if (meta === undefined) {
        this.#home.dropped('expired', 1);
        this.#home.settled(this, number, item.meta.sizeBytes);
      } else {
        store.offer(item, meta);
      }
    }
    if (isEnded && index.after(this.#fed) === 0) store.end();
  }

  /** Waiting messages in memory, oldest first. */
  peek(max: number): ReturnType<Store<LinkMessage>['peek']> {
    return this.#store.peek(max).map((entry) => {
      const earlier = this.earlier(entry.item.at);
      return earlier === 0 ? entry : { ...entry, deliveries: entry.deliveries + earlier };
    });
  }

  /** Settles everything that waits. @returns how many messages these were */
  purge(): number {
    let count = this.#store.purge();
    const { index } = this.#home;
    for (let number = index.after(this.#fed); number !== 0; number = index.after(this.#fed)) {
      this.#given(number);
      if (this.progress.has(number)) continue;
      count += 1;
      this.#home.settled(this, number, undefined);
    }
    return count;
  }

  stats(): ReturnType<Store<LinkMessage>['stats']> {
    return this.#store.stats();
  }

  /** Nothing more is handed out. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const before = new Map(this.#seen);
    const saw = (number: number, times: number): void => {
      this.#seen.set(number, times + (before.get(number) ?? 0));
    };
    for (const { item, deliveries } of this.#store.peek(Number.MAX_SAFE_INTEGER)) {
      if (deliveries > 1) saw(item.at, deliveries - 1);
    }
    for (const seat of this.#seats)
      for (const { item, deliveries } of seat.flights()) saw(item.at, deliveries);
    this.#store.dispose();
  }

  #given(number: number): void {
    // What lies between is gone: nobody can settle it any more.
    if (number > this.#fed + 1) this.progress.settleRun(this.#fed + 1, number);
    this.#fed = number;
  }

  /** Whether it is noted that this message may have been handed out; notes it ahead. */
  #mayHandOut(number: number): boolean {
    if (this.#asked !== undefined && this.#home.isNoted(this.#asked.note)) {
      this.#handed = this.#asked.handed;
      this.#asked = undefined;
    }
    this.noteAhead(number);
    return number <= this.#handed;
  }

  /** @returns undefined when its time is over */
  #metaOf(item: LinkMessage, number: number): ItemMeta | undefined {
    const { meta } = item;
    if (meta.isPlain === true) return meta;
    const { sizeBytes, key } = meta;
    let { ttlMs } = meta;
    if (ttlMs !== undefined) {
      const stamp = this.#home.index.timeOf(number) ?? 0;
      // A clock that was set back lengthens nothing.
      ttlMs -= Math.max(0, this.#home.time() - stamp);
      if (ttlMs <= 0) return undefined;
    }
    return { isPlain: false, sizeBytes, priority: undefined, ttlMs, delayMs: undefined, key, id: undefined };
  }
}
