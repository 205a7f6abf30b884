// The contents of a mailbox in a log: messages are gathered into batches, each a record; settling moves the cursor of a group, and a
// batch that nobody needs any more is removed. What a host needs of them is link/contents.ts; how a group is fed is group.ts.

import { NaruError } from '../errors/index.ts';
import type { Contents, ContentsEvents, Stage, Stages } from '../link/contents.ts';
import type { Room } from '../link/credit.ts';
import type { LinkMessage, Origin } from '../link/item.ts';
import type { ConsumerOptions } from '../link/session.ts';
import type { MailboxSettings } from '../link/settings.ts';
import type { Log } from '../log/index.ts';
import type { Outgoing } from '../mailbox/driver.ts';
import type { Clock, Entry, ItemMeta, OfferResult, StoreStats, Subscription } from '../store/types.ts';
import { encodeEnvelope } from '../wire/envelope.ts';
import { recordOf, streamOf } from './batch.ts';
import { BatchWriter } from './batch-writer.ts';
import { Batches } from './batches.ts';
import type { Group, GroupHome } from './group.ts';
import { Groups } from './groups.ts';
import type { Emptied, MessageIndex } from './message-index.ts';
import type { Notes } from './notes.ts';
import type { JournalClock } from './outside.ts';
import { Retention } from './retention.ts';
import { Written } from './written.ts';

/** Groups whose lag is shown. */
const LAGS_MAX = 100;
/** Bytes that may wait to be written. */
const PENDING_BYTES_MAX = 32 << 20;

export interface JournalInit {
  readonly log: Log;
  readonly index: MessageIndex;
  readonly notes: Notes;
  readonly settings: MailboxSettings;
  /** Of a topic: how long a message is kept that every group has had. 0 = as long as there is room. */
  readonly retainMs: number;
  readonly mailbox: string;
  /** Every message before it is gone. */
  readonly low: number;
  readonly isEnded: boolean;
  /** Milliseconds since 1970. */
  readonly time: () => number;
  readonly clock: JournalClock;
}

export class Journal implements Contents, Stages, GroupHome {
  readonly index: MessageIndex;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly #init: JournalInit;
  readonly #log: Log;
  readonly #events: ContentsEvents;
  readonly #groups: Groups;
  readonly #retention: Retention | undefined;
  /** Those who wait until a message is received, by its number. */
  readonly #origins = new Map<number, { readonly origin: Origin; readonly index: number }>();
  readonly #writer = new BatchWriter();
  /** What the messages in the writer take of the capacity. */
  #openBytes = 0;
  #isOpenUrgent = false;
  #isSealSoon = false;
  readonly #written: Written;
  readonly #batches: Batches;
  readonly #dropped: Record<string, number> = {};
  #isRefused = false;
  #isEnded: boolean;
  #isStopping = false;
  #taken: number;

  constructor(init: JournalInit, events: ContentsEvents) {
    const { log, index, settings, notes, clock } = init;
    this.#init = init;
    this.#log = log;
    this.#events = events;
    this.index = index;
    this.leaseMs = settings.leaseMs;
    this.clock = storeClock(clock);
    this.#isEnded = init.isEnded;
    this.#taken = index.next - 1;
    this.#written = new Written(log, this.#taken);
    this.#batches = new Batches(log, index, (error) => {
      if (!this.#isStopping) events.failed(error);
    });
    this.#groups = new Groups(this, notes, settings, clock);
    if (settings.deliver === 'all') {
      while (index.first !== 0 && index.first < init.low) this.#emptied(index.shift());
      this.#retention = new Retention(index, init, () => this.#shift());
      this.#retention.look(this.#groups.low);
    } else this.#forgetSettled();
  }

  get stages(): Stages {
    return this;
  }

  get taken(): number {
    return this.#taken;
  }

  get placed(): number {
    return this.#written.placed;
  }

  get durable(): number {
    return this.#written.durable;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get held(): number {
    return this.index.count + this.#writer.count - (this.#retention?.spare.count ?? 0);
  }

  get heldBytes(): number {
    return this.index.bytes + this.#openBytes - (this.#retention?.spare.bytes ?? 0);
  }

  time(): number {
    return this.#init.time();
  }

  room(): Room {
    const { capacityMessages, capacityBytes } = this.#init.settings;
    const waiting = this.#log.pendingBytes + this.#openBytes;
    const pending = PENDING_BYTES_MAX - waiting;
    if (this.#log.isFull || pending <= 0) {
      // Whoever is told so offers nothing, and must hear of it when there is room.
      this.#isRefused = true;
      return { messages: 0, bytes: 0 };
    }
    // A message larger than what may wait goes alone.
    const waits = waiting === 0 ? capacityBytes : pending;
    return {
      messages: capacityMessages - this.held,
      bytes: Math.min(capacityBytes - this.heldBytes, waits),
    };
  }

  flush(stage: Stage): Promise<void> {
    this.#seal();
    return this.#log.commit(stage === 'placed' ? 'os' : 'disk');
  }

  stopping(): void {
    this.#isStopping = true;
  }

  figures(): Readonly<Record<string, number>> {
    const { segments, usedBytes, rewrites } = this.#log.stats;
    const kept = this.#retention?.spare.count ?? 0;
    const { fetches } = this.#batches;
    const figures = { segments, usedBytes, rewrites, kept, groups: this.#groups.count, fetches };
    return this.#retention === undefined ? figures : { ...figures, ...this.#lags() };
  }

  /** How much each named group has yet to settle. */
  #lags(): Record<string, number> {
    const lags: Record<string, number> = {};
    for (const { name, isOwn, progress } of this.#groups) {
      if (isOwn) continue;
      lags[`lag.${name}`] = this.index.from(progress.low, (from, to) => progress.count(from, to)).count;
      if (Object.keys(lags).length === LAGS_MAX) break;
    }
    return lags;
  }

  offer(item: LinkMessage, meta: ItemMeta): OfferResult {
    const { chunk, offset, length, sender } = item;
    const result = this.#admit(meta.sizeBytes);
    if (result !== 'taken') return result;
    const at = this.#add(sender, length, meta.sizeBytes, item.isUrgent, item.origin, item.index);
    this.#writer.chunk.bytes.set(new Uint8Array(chunk.buffer, chunk.byteOffset + offset, length), at);
    return 'taken';
  }

  take(
    message: Outgoing,
    length: number,
    sizeBytes: number,
    sender: string,
    origin: Origin | undefined,
    index: number,
  ): OfferResult {
    const result = this.#admit(sizeBytes);
    if (result !== 'taken') return result;
    const at = this.#add(sender, length, sizeBytes, message.confirm === 'durable', origin, index);
    const { bytes, view } = this.#writer.chunk;
    encodeEnvelope(message, bytes, view, at);
    return 'taken';
  }

  /** The log has written or synced more. */
  advanced(): void {
    this.#written.look();
    this.#init.notes.advanced();
    // What came meanwhile is the next batch.
    this.#seal();
    for (const group of this.#groups) group.feed();
    this.#batches.forget(this.#groups.fed, this.placed);
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
    // A group that is new begins behind what was sent before.
    this.#seal();
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
    this.#seal();
    this.#isEnded = true;
    this.#init.notes.end(true);
    for (const group of this.#groups) group.feed();
  }

  item(group: Group, number: number): LinkMessage | undefined {
    let { batch } = group;
    if (batch === undefined || !batch.has(number)) {
      batch = this.#batches.get(group, number);
      group.batch = batch;
    }
    const origin = this.#origins.size === 0 ? undefined : this.#origins.get(number);
    return batch?.item(number, this.#init.settings.capacityBytes, origin);
  }

  settled(group: Group, number: number, bytes: number | undefined): void {
    if (group.progress.has(number)) return;
    if (this.#origins.size > 0) this.#origins.delete(number);
    this.#init.notes.changed(group);
    const hasMoved = group.progress.settle(number);
    if (this.#retention === undefined) this.#emptied(this.index.settle(number, bytes));
    else if (hasMoved) this.#retention.look(this.#groups.low);
    this.#tellRoom();
  }

  dropped(reason: string, count: number): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#events.drop(reason, count);
  }

  note(group: Group): number {
    return this.#init.notes.write(group, 'os');
  }

  isNoted(sequence: number): boolean {
    return sequence <= this.#log.written;
  }

  /** Of a topic: what the group that is furthest behind has waiting, or, without groups, what is kept. */
  peek(max: number): Entry<LinkMessage>[] {
    return this.#groups.furthestBehind?.peek(max) ?? [];
  }

  purge(): number {
    this.#seal();
    let count = 0;
    for (const group of this.#groups) count = Math.max(count, group.purge());
    if (this.#retention !== undefined) count = Math.max(count, this.#retention.clear());
    return count;
  }

  stats(): StoreStats {
    let [depth, depthBytes, unsettled, consumers, oldestAgeMs] = [0, 0, 0, 0, 0];
    for (const group of this.#groups) {
      const stats = group.stats();
      const behind = this.index.from(group.fed + 1, (from, to) => group.progress.count(from, to));
      depth = Math.max(depth, stats.depth + behind.count + this.#writer.count);
      depthBytes = Math.max(depthBytes, stats.depthBytes + behind.bytes + this.#openBytes);
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
    this.#seal();
    if (this.#log.failure === undefined) this.#init.notes.last(this.#groups);
  }

  /** Resolves when what comes next is in memory, as far as it goes there: whoever looks at a mailbox just opened sees it. */
  async filled(): Promise<void> {
    await this.#log.commit('os');
    for (const group of this.#groups) group.feed();
    await this.#batches.fetched();
  }

  /** @throws NARU_STORAGE, NARU_CORRUPT  the log has stopped */
  #admit(sizeBytes: number): OfferResult {
    if (this.#isEnded) return 'ended';
    if (this.#log.failure !== undefined) throw this.#log.failure;
    const { messages, bytes } = this.room();
    if (messages >= 1 && bytes >= sizeBytes) return 'taken';
    this.#isRefused = true;
    return 'full';
  }

  /** @returns where the message must be written now */
  #add(
    sender: string,
    length: number,
    sizeBytes: number,
    isUrgent: boolean,
    origin: Origin | undefined,
    index: number,
  ): number {
    if (!this.#writer.hasRoomFor(length)) this.#seal();
    if (this.#retention !== undefined && this.#retention.spare.count > 0) {
      const { capacityMessages, capacityBytes } = this.#init.settings;
      const messages = capacityMessages - 1 - this.#writer.count;
      this.#retention.makeRoom(messages, capacityBytes - sizeBytes - this.#openBytes);
    }
    this.#taken += 1;
    this.#openBytes += sizeBytes;
    this.#isOpenUrgent ||= isUrgent;
    if (origin !== undefined) this.#origins.set(this.#taken, { origin, index });
    this.#sealSoon();
    return this.#writer.add(sender, length);
  }

  /** At the end of this turn, or, while a batch is being written, when that has ended. */
  #sealSoon(): void {
    if (this.#isSealSoon || this.#written.isUnderWay) return;
    this.#isSealSoon = true;
    process.nextTick(() => {
      this.#isSealSoon = false;
      this.#seal();
    });
  }

  /** What was gathered goes to the log. */
  #seal(): void {
    const { count } = this.#writer;
    if (count === 0) return;
    const first = this.#taken - count + 1;
    const { batch, body } = this.#writer.take(first);
    const bytes = this.#openBytes;
    const level = this.#isOpenUrgent ? 'disk' : 'os';
    this.#openBytes = 0;
    this.#isOpenUrgent = false;
    // Its owner has been told.
    if (this.#log.failure !== undefined) return;
    const time = this.#init.time();
    const sequence = this.#log.append([recordOf({ first, count, time }, body)], level);
    this.#init.notes.isFollowed(sequence);
    this.#written.add(sequence, batch.last);
    this.index.add(first, count, sequence, bytes, time);
    this.#batches.add(batch);
    if (this.#groups.count > 0 || this.#retention === undefined) return;
    // Nobody has to have it: it may go again when there is need of room.
    this.#retention.look(this.#groups.low);
    this.#events.room();
  }

  /** The oldest message that a topic keeps goes. */
  #shift(): void {
    this.#emptied(this.index.shift());
    const { next, low } = this.index;
    this.#init.notes.moved({ next, low });
  }

  #emptied(batch: Emptied | undefined): void {
    if (batch === undefined) return;
    const isNewest = batch.sequence === this.index.newest;
    this.index.remove(batch);
    const { next, low } = this.index;
    if (isNewest) this.#init.notes.removeLast(batch, { next, low });
    else this.#log.remove(streamOf(batch.first), batch.sequence);
  }

  /** What a queue had settled before it was opened, of batches that are still in the log. */
  #forgetSettled(): void {
    for (const group of this.#groups) {
      for (const { first, count } of this.index.batches()) {
        if (group.progress.count(first, first + count) === 0) continue;
        for (let number = first; number < first + count; number += 1) {
          if (group.progress.has(number)) this.#emptied(this.index.settle(number, undefined));
        }
      }
    }
  }

  #tellRoom(): void {
    if (!this.#isRefused) return;
    const { messages, bytes } = this.room();
    if (messages < 1 || bytes < 1) return;
    this.#isRefused = false;
    this.#events.room();
  }
}

/** A log's clock, as the store wants it. */
function storeClock(clock: JournalClock): Clock {
  const recent = clock.recent?.bind(clock);
  return {
    now: () => clock.now(),
    ...(recent === undefined ? {} : { recent }),
    schedule: (atMs, fn) => clock.after(Math.max(0, atMs - clock.now()), fn),
  };
}
