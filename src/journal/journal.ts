// The contents of a mailbox in a log: messages are records, settling removes them (a queue) or moves a cursor (a topic). What a host
// needs of them is link/contents.ts; how a group is fed is group.ts.

import { NaruError } from '../errors/index.ts';
import type { Contents, ContentsEvents, Stage, Stages } from '../link/contents.ts';
import type { Room } from '../link/credit.ts';
import type { LinkMessage, Origin } from '../link/item.ts';
import type { ConsumerOptions } from '../link/session.ts';
import type { MailboxSettings } from '../link/settings.ts';
import type { Log } from '../log/index.ts';
import { Deque } from '../store/deque.ts';
import type { Entry, ItemMeta, OfferResult, StoreStats, Subscription } from '../store/types.ts';
import type { Group, GroupHome } from './group.ts';
import { Groups } from './groups.ts';
import type { MessageIndex } from './message-index.ts';
import type { Notes } from './notes.ts';
import { itemFrom, recordOf, STREAM } from './record.ts';
import { Retention } from './retention.ts';

/** Bytes that may wait to be written. */
const PENDING_BYTES_MAX = 32 << 20;
/** Messages that came in and are kept in memory until every group has had them. */
const FRESH_BYTES_MAX = 16 << 20;
const FRESH_MAX = 65_536;

export interface JournalInit {
  readonly log: Log;
  readonly index: MessageIndex;
  readonly notes: Notes;
  readonly settings: MailboxSettings;
  /** Of a topic: how long a message is kept that every group has had. 0 = as long as there is room. */
  readonly retainMs: number;
  readonly mailbox: string;
  readonly isEnded: boolean;
  /** Milliseconds since 1970. */
  readonly time: () => number;
}

export class Journal implements Contents, Stages, GroupHome {
  readonly index: MessageIndex;
  readonly leaseMs: number;
  readonly #init: JournalInit;
  readonly #log: Log;
  readonly #events: ContentsEvents;
  readonly #groups: Groups;
  readonly #retention: Retention | undefined;
  /** Those who wait until a message is received, by its number. */
  readonly #origins = new Map<number, { readonly origin: Origin; readonly index: number }>();
  readonly #fresh = new Deque<LinkMessage>();
  #freshBytes = 0;
  /** Numbers that are no message's, between the first fresh one and that which was found last. */
  #notesBetween = 0;
  readonly #fetching = new Map<number, { readonly groups: Set<Group>; readonly done: Promise<void> }>();
  readonly #dropped: Record<string, number> = {};
  #isRefused = false;
  #isEnded: boolean;
  #isStopping = false;
  #taken = 0;
  #fetches = 0;

  constructor(init: JournalInit, events: ContentsEvents) {
    const { log, index, settings, notes } = init;
    this.#init = init;
    this.#log = log;
    this.#events = events;
    this.index = index;
    this.leaseMs = settings.leaseMs;
    this.#isEnded = init.isEnded;
    this.#taken = log.next - 1;
    this.#groups = new Groups(this, notes, settings, () => this.#log.next);
    if (settings.deliver === 'all') {
      this.#retention = new Retention(index, init, (number) => this.#remove(number));
      this.#retention.look(this.#groups.low);
    }
  }

  get stages(): Stages {
    return this;
  }

  get taken(): number {
    return this.#taken;
  }

  get placed(): number {
    return this.#log.written;
  }

  get durable(): number {
    return this.#log.synced;
  }

  get written(): number {
    return this.#log.written;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get held(): number {
    return this.index.count - (this.#retention?.spare.count ?? 0);
  }

  get heldBytes(): number {
    return this.index.bytes - (this.#retention?.spare.bytes ?? 0);
  }

  time(): number {
    return this.#init.time();
  }

  room(): Room {
    const { capacityMessages, capacityBytes } = this.#init.settings;
    const pending = PENDING_BYTES_MAX - this.#log.pendingBytes;
    if (this.#log.isFull || pending <= 0) {
      // Whoever is told so offers nothing, and must hear of it when there is room.
      this.#isRefused = true;
      return { messages: 0, bytes: 0 };
    }
    // A message larger than what may wait goes alone.
    const waits = this.#log.pendingBytes === 0 ? capacityBytes : pending;
    return {
      messages: capacityMessages - this.held,
      bytes: Math.min(capacityBytes - this.heldBytes, waits),
    };
  }

  flush(stage: Stage): Promise<void> {
    return this.#log.commit(stage === 'placed' ? 'os' : 'disk');
  }

  stopping(): void {
    this.#isStopping = true;
  }

  figures(): Readonly<Record<string, number>> {
    const { segments, usedBytes, rewrites } = this.#log.stats;
    const kept = this.#retention?.spare.count ?? 0;
    return { segments, usedBytes, rewrites, kept, groups: this.#groups.count, fetches: this.#fetches };
  }

  offer(item: LinkMessage, meta: ItemMeta): OfferResult {
    if (this.#isEnded) return 'ended';
    const { capacityMessages, capacityBytes } = this.#init.settings;
    const { messages, bytes } = this.room();
    if (messages < 1 || bytes < meta.sizeBytes) {
      this.#isRefused = true;
      return 'full';
    }
    this.#retention?.makeRoom(capacityMessages - 1, capacityBytes - meta.sizeBytes);
    const stamp = this.#init.time();
    const number = this.#log.append([recordOf(item, stamp)], item.isUrgent ? 'disk' : 'os');
    item.at = number;
    this.#taken = number;
    this.index.add(number, meta.sizeBytes, stamp);
    if (item.origin !== undefined) this.#origins.set(number, { origin: item.origin, index: item.index });
    this.#fresh.push(item);
    this.#freshBytes += item.length;
    if (this.#groups.count === 0) this.#retention?.look(this.#groups.low);
    return 'taken';
  }

  /** The log has written or synced more. */
  advanced(): void {
    for (const group of this.#groups) group.feed();
    this.#forgetFresh();
    this.#events.advanced();
    this.#tellRoom();
  }

  /** @throws NARU_UNSUPPORTED  a place in the history of a queue */
  subscribe(ready: () => void, options: ConsumerOptions): Subscription<LinkMessage> {
    const { settings, mailbox } = this.#init;
    const isAt = options.offset !== undefined || options.since !== undefined;
    if (isAt && settings.deliver === 'one') {
      const text = `${mailbox}: a queue has no history: offset and since are for topics (deliver: "all")`;
      throw new NaruError('NARU_UNSUPPORTED', text, { place: 'file', mailbox });
    }
    const group = this.#groups.join(options);
    this.#retention?.look(this.#groups.low);
    return group.join(ready, () => {
      if (this.#isStopping) return;
      this.#groups.left(group);
      this.#retention?.look(this.#groups.low);
      this.#tellRoom();
    });
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#init.notes.end(true);
    for (const group of this.#groups) group.feed();
  }

  item(group: Group, number: number): LinkMessage | undefined {
    const fresh = this.#freshItem(number);
    if (fresh !== undefined) return fresh;
    try {
      const record = this.#log.peek(number);
      if (record !== undefined) {
        return itemFrom(record, number, this.#init.settings.capacityBytes, this.#origins.get(number));
      }
    } catch (error) {
      this.#events.failed(error as NaruError);
      return undefined;
    }
    this.#fetch(group, number);
    return undefined;
  }

  settled(group: Group, number: number): void {
    this.#origins.delete(number);
    if (group.progress === undefined) {
      this.#remove(number);
    } else {
      this.#init.notes.changed(group);
      if (group.progress.settle(number)) this.#retention?.look(this.#groups.low);
    }
    this.#tellRoom();
  }

  dropped(reason: string, count: number): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#events.drop(reason, count);
  }

  note(group: Group): number {
    return this.#init.notes.write(group, 'os');
  }

  /** Of a topic: what the group that is furthest behind has waiting, or, without groups, what is kept. */
  peek(max: number): Entry<LinkMessage>[] {
    return this.#groups.furthestBehind?.peek(max) ?? [];
  }

  purge(): number {
    let count = 0;
    for (const group of this.#groups) count = Math.max(count, group.purge());
    if (this.#retention !== undefined) count = Math.max(count, this.#retention.clear());
    return count;
  }

  stats(): StoreStats {
    let [depth, depthBytes, unsettled, consumers, oldestAgeMs] = [0, 0, 0, 0, 0];
    for (const group of this.#groups) {
      const stats = group.stats();
      const behind = this.index.from(group.fed + 1);
      depth = Math.max(depth, stats.depth + behind.count);
      depthBytes = Math.max(depthBytes, stats.depthBytes + behind.bytes);
      unsettled += stats.unsettled;
      consumers += group.seats;
      oldestAgeMs = Math.max(oldestAgeMs, stats.oldestAgeMs);
    }
    return { depth, depthBytes, unsettled, consumers, dropped: { ...this.#dropped }, oldestAgeMs };
  }

  /** Nothing is handed out any more; what has to outlive this host is noted. */
  dispose(): void {
    this.#isStopping = true;
    this.#retention?.stop();
    for (const group of this.#groups) group.close();
    if (this.#log.failure === undefined) this.#init.notes.last(this.#groups);
  }

  /** Resolves when what comes next is in memory, as far as it goes there: whoever looks at a mailbox just opened sees it. */
  async filled(): Promise<void> {
    await this.#log.commit('os');
    for (const group of this.#groups) group.feed();
    while (this.#fetching.size > 0) {
      await Promise.all(Array.from(this.#fetching.values(), ({ done }) => done));
    }
  }

  #remove(number: number): void {
    if (this.index.remove(number)) this.#log.remove(STREAM.messages, number);
  }

  #tellRoom(): void {
    if (!this.#isRefused) return;
    const { messages, bytes } = this.room();
    if (messages < 1 || bytes < 1) return;
    this.#isRefused = false;
    this.#events.room();
  }

  /** Numbers go up, by ones but for the notes between: the first guess is mostly right. */
  #freshItem(number: number): LinkMessage | undefined {
    const fresh = this.#fresh;
    const first = fresh.front()?.at ?? Infinity;
    if (number < first) return undefined;
    let low = 0;
    let high = Math.min(fresh.size - 1, number - first);
    let place = Math.max(0, high - this.#notesBetween);
    while (low <= high) {
      const item = fresh.at(place) as LinkMessage;
      if (item.at === number) {
        this.#notesBetween = number - first - place;
        return item;
      }
      if (item.at < number) low = place + 1;
      else high = place - 1;
      place = (low + high) >>> 1;
    }
    return undefined;
  }

  /** What every group has had, and what is too much to keep, as far as it is in the log. */
  #forgetFresh(): void {
    const { fed } = this.#groups;
    const fresh = this.#fresh;
    for (let item = fresh.front(); item !== undefined && item.at <= this.written; item = fresh.front()) {
      if (item.at > fed && fresh.size <= FRESH_MAX && this.#freshBytes <= FRESH_BYTES_MAX) return;
      fresh.shift();
      this.#freshBytes -= item.length;
    }
  }

  /** Reads what a group wants next; one read for all who want the same. */
  #fetch(group: Group, number: number): void {
    const waiting = this.#fetching.get(number);
    if (waiting !== undefined) {
      waiting.groups.add(group);
      return;
    }
    const groups = new Set([group]);
    this.#fetches += 1;
    const done = this.#log.fetch(number).then(
      () => {
        this.#fetching.delete(number);
        for (const each of groups) each.feed();
        return undefined;
      },
      (error: unknown) => {
        this.#fetching.delete(number);
        if (!this.#isStopping) this.#events.failed(error as NaruError);
      },
    );
    this.#fetching.set(number, { groups, done });
  }
}
