// A mailbox that lives in this process: its contents, the room lent to producers, who takes part, and where answers go.
// Takes no part in how others reach it: connections are in host-connection.ts, the handle of this process in
// local-session.ts.

import { setTimeout } from 'node:timers/promises';
import { NaruError } from '../errors/index.ts';
import type { Outgoing, PlaceStats } from '../mailbox/driver.ts';
import { newHandleIdentity } from '../native/identity.ts';
import { Store } from '../store/store.ts';
import type { Entry, OfferResult, Subscription } from '../store/types.ts';
import { systemClock } from './clock.ts';
import type { Contents, ContentsEvents, Stage, Stages } from './contents.ts';
import { type Account, Ledger } from './credit.ts';
import type { LinkMessage, Origin } from './item.ts';
import type { ConsumerOptions, Peers } from './session.ts';
import { type MailboxSettings, seatsOf } from './settings.ts';

/** A handle that uses the mailbox, here or at the other end of a connection. */
export interface Participant {
  readonly identity: string;
  /** The number of producers or consumers changed (`host.peers`). */
  peersChanged(): void;
  dropped(reason: string, count: number): void;
  /** A participant died: its connection broke. */
  orphaned?(role: 'producer' | 'consumer', identity: string): void;
  /** The host stops. `final`: the mailbox is gone, nobody shall make it anew. */
  stopped(error: NaruError, final: boolean): void;
}

/** Holds messages back that were sent on credit and found no room. */
export interface Parked {
  /** There may be room now. */
  unpark(): void;
}

/** Takes an answer to a request: an encoded message. @throws NARU_LIMIT when it has too much to take already */
export type Answers = (item: LinkMessage) => void;

export interface HostInit {
  readonly settings: MailboxSettings;
  /** What holds the messages. Default: the memory of this process. */
  readonly contents?: ((events: ContentsEvents) => Contents) | undefined;
  readonly mailbox: string;
  readonly place: string;
}

/** How long a question for room waits for those who were lent some, in milliseconds. */
const ASK_MS = 100;

export class Host {
  readonly settings: MailboxSettings;
  readonly mailbox: string;
  readonly place: string;
  readonly identity: string = newHandleIdentity();
  readonly ledger: Ledger;
  /** Producers that hold messages back. */
  readonly parked: Set<Parked> = new Set();
  /** Where messages are not placed at once. */
  readonly stages: Stages | undefined;
  /** Called when more messages have reached a stage. */
  readonly advanced: Set<() => void> = new Set();
  readonly #store: Contents;
  readonly #participants = new Set<Participant>();
  readonly #answers = new Map<string, Answers>();
  readonly #counters = { connections: 0, refusedConnections: 0, brokenConnections: 0 };
  #seats = { producers: 0, consumers: 0 };
  #replies = 0;
  #balancing = false;
  #short = false;
  #telling = false;
  #peersChanged = false;
  #drops: Map<string, number> | undefined;
  #stopped = false;

  constructor(init: HostInit) {
    const { settings } = init;
    this.settings = settings;
    this.mailbox = init.mailbox;
    this.place = init.place;
    const events: ContentsEvents = {
      room: () => this.balanceSoon(),
      drop: (reason, count) => this.#onDrop(reason, count),
      advanced: () => {
        for (const advanced of this.advanced) advanced();
      },
      failed: (error) => this.stop(error, true),
    };
    const inMemory = (): Contents =>
      new Store<LinkMessage>({ ...settings, priorityMin: 0, priorityMax: 255 }, systemClock, events);
    const store = init.contents?.(events) ?? inMemory();
    this.#store = store;
    this.stages = store.stages;
    const { capacityMessages, capacityBytes, dropOldest } = settings;
    const everything = { messages: capacityMessages, bytes: capacityBytes };
    this.ledger = new Ledger(() =>
      dropOldest
        ? everything
        : (store.stages?.room() ?? {
            messages: capacityMessages - store.held,
            bytes: capacityBytes - store.heldBytes,
          }),
    );
  }

  get peers(): Peers {
    return this.#seats;
  }

  /** Messages that nobody has settled. */
  get held(): number {
    return this.#store.held;
  }

  get isEnded(): boolean {
    return this.#store.isEnded;
  }

  /** Resolves when everything that was offered has reached a stage. */
  async flush(stage: Stage): Promise<void> {
    await this.#store.stages?.flush(stage);
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Counters of connections, for stats(). */
  get counters(): { connections: number; refusedConnections: number; brokenConnections: number } {
    return this.#counters;
  }

  join(participant: Participant): void {
    this.#participants.add(participant);
  }

  leave(participant: Participant): void {
    this.#participants.delete(participant);
  }

  /** @throws NARU_LIMIT  the relation leaves no seat */
  takeSeat(role: 'producers' | 'consumers'): void {
    const { relation } = this.settings;
    if (this.#seats[role] >= seatsOf(relation)[role]) {
      throw new NaruError(
        'NARU_LIMIT',
        `${this.mailbox}: relation ${relation} allows one ${role.slice(0, -1)}, and it is there already`,
        { place: this.place, mailbox: this.mailbox },
      );
    }
    this.#seats = { ...this.#seats, [role]: this.#seats[role] + 1 };
    this.#tellPeers();
  }

  giveSeat(role: 'producers' | 'consumers'): void {
    this.#seats = { ...this.#seats, [role]: this.#seats[role] - 1 };
    this.#tellPeers();
  }

  /** @throws NARU_INVALID_ARGUMENT  a priority out of range */
  offer(item: LinkMessage): OfferResult {
    return this.#store.offer(item, item.meta);
  }

  /** @see Stages.take */
  take(
    message: Outgoing,
    length: number,
    sizeBytes: number,
    sender: string,
    origin: Origin | undefined,
    index: number,
  ): OfferResult {
    if (this.stages === undefined) throw new TypeError('these contents have no stages');
    return this.stages.take(message, length, sizeBytes, sender, origin, index);
  }

  subscribe(ready: () => void, options: ConsumerOptions): Subscription<LinkMessage> {
    return this.#store.subscribe(ready, options);
  }

  end(): void {
    this.#store.end();
  }

  /** Something may have left the mailbox: those who wait for room are told, once a turn. */
  freed(): void {
    if (this.#short) this.balanceSoon();
  }

  balanceSoon(): void {
    if (this.#balancing || this.#stopped) return;
    this.#balancing = true;
    process.nextTick(() => {
      this.#balancing = false;
      this.balance();
    });
  }

  /** Divides what room there is. */
  balance(): void {
    if (this.#stopped) return;
    for (const parked of this.parked) parked.unpark();
    this.ledger.balance();
    this.#short = this.ledger.isShort;
  }

  /** Finds out whether there is room for a message, calling back what others were lent; at most for ASK_MS. */
  async ask(account: Account, bytes: number): Promise<void> {
    const { ledger } = this;
    const waitsFor = account.need;
    ledger.needs(account, bytes);
    this.balance();
    if (account.need >= 0) {
      await Promise.race([ledger.whenReturned(), setTimeout(ASK_MS, undefined, { ref: false })]);
      this.balance();
    }
    if (account.need < 0) return;
    // It may have been waiting for another message before it asked: that it goes on doing.
    if (waitsFor < 0) ledger.forgets(account);
    else ledger.needs(account, waitsFor);
  }

  /** Opens a way for answers. @returns its address */
  openReplies(answers: Answers): string {
    this.#replies += 1;
    const address = `${this.identity}~${this.#replies}`;
    this.#answers.set(address, answers);
    return address;
  }

  closeReplies(address: string): void {
    this.#answers.delete(address);
  }

  /** @throws NARU_PEER_GONE  nobody has this address any more; NARU_LIMIT */
  answer(address: string, item: LinkMessage): void {
    const answers = this.#answers.get(address);
    if (answers === undefined) {
      throw new NaruError('NARU_PEER_GONE', `${this.mailbox}: whoever asked is gone`, {
        place: this.place,
        mailbox: this.mailbox,
      });
    }
    answers(item);
  }

  /** A participant was lost while it had a seat. */
  orphaned(role: 'producer' | 'consumer', identity: string): void {
    for (const participant of this.#participants) participant.orphaned?.(role, identity);
  }

  stats(): PlaceStats {
    const { depth, depthBytes, unsettled, dropped, oldestAgeMs } = this.#store.stats();
    const { capacityBytes, capacityMessages } = this.settings;
    // Whoever rejects a message counts it itself.
    const { rejected = 0, ...lost } = dropped;
    const own = this.#store.stages?.figures() ?? {};
    return {
      depth,
      depthBytes,
      unsettled,
      ...this.#seats,
      capacityBytes,
      capacityMessages,
      dropped: lost,
      extra: { ...this.#counters, rejected, oldestAgeMs: Math.round(oldestAgeMs), ...own },
    };
  }

  peek(max: number): Entry<LinkMessage>[] {
    return this.#store.peek(max);
  }

  purge(): number {
    const count = this.#store.purge();
    this.freed();
    return count;
  }

  /** Tells everybody that the host stops, and forgets everything. Idempotent. */
  stop(error: NaruError, final: boolean): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#store.stages?.stopping();
    for (const participant of this.#participants) participant.stopped(error, final);
    this.#participants.clear();
    this.#answers.clear();
    this.#store.dispose();
  }

  #onDrop(reason: string, count: number): void {
    this.freed();
    if (reason === 'rejected') return;
    this.#drops ??= new Map<string, number>();
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + count);
    this.#tellSoon();
  }

  #tellPeers(): void {
    this.#peersChanged = true;
    this.#tellSoon();
  }

  #tellSoon(): void {
    if (this.#telling || this.#stopped) return;
    this.#telling = true;
    process.nextTick(() => this.#tell());
  }

  #tell(): void {
    this.#telling = false;
    const drops = this.#drops;
    const peers = this.#peersChanged;
    this.#drops = undefined;
    this.#peersChanged = false;
    for (const participant of this.#participants) {
      if (peers) participant.peersChanged();
      if (drops !== undefined) for (const [reason, count] of drops) participant.dropped(reason, count);
    }
  }
}
