// The groups of a mailbox in a log: one of a queue, of a topic one for each name and one for each consumer without a group. Who joins
// which, where a new one begins, and when one is forgotten.

import { NaruError } from '../errors/index.ts';
import type { ConsumerOptions } from '../link/session.ts';
import type { MailboxSettings } from '../link/settings.ts';
import type { LogClock } from '../log/index.ts';
import { Group, type GroupHome, type GroupState } from './group.ts';
import type { Notes } from './notes.ts';

/** The one group of a queue. */
const QUEUE = '';
/** Before the name of a consumer that has no group: no group's name may begin so. */
const OWN = '~';
const GROUPS_MAX = 4096;
/** How long a consumer without a group has to come back when its host was lost. */
const RETURN_MS = 10_000;

export class Groups implements Iterable<Group> {
  readonly #home: GroupHome;
  readonly #notes: Notes;
  readonly #settings: MailboxSettings;
  readonly #groups = new Map<string, Group>();

  constructor(home: GroupHome, notes: Notes, settings: MailboxSettings, clock: LogClock) {
    this.#home = home;
    this.#notes = notes;
    this.#settings = settings;
    for (const { state, noted } of notes.found) {
      if (settings.deliver === 'all' || state.name === QUEUE) this.#add(state).noted = noted;
    }
    if (settings.deliver === 'one') {
      const group = this.#groups.get(QUEUE) ?? this.#add(newState(QUEUE, 1));
      group.noteAhead(home.index.next);
    }
    if ([...this].some(({ isOwn }) => isOwn)) {
      clock.after(RETURN_MS, () => this.#forgetAbsent());
    }
  }

  [Symbol.iterator](): IterableIterator<Group> {
    return this.#groups.values();
  }

  get count(): number {
    return this.#groups.size;
  }

  /** Everything before it is settled by all. */
  get low(): number {
    let low = this.#home.index.next;
    for (const { progress } of this) low = Math.min(low, progress.low);
    return low;
  }

  /** Everything up to this number was given to all groups. */
  get fed(): number {
    let fed = Number.MAX_SAFE_INTEGER;
    for (const group of this) fed = Math.min(fed, group.fed);
    return fed;
  }

  get furthestBehind(): Group | undefined {
    let found: Group | undefined;
    for (const group of this) {
      if (found === undefined || group.progress.low < found.progress.low) found = group;
    }
    return found;
  }

  /** The group of a consumer; one that is new begins where the consumer wants. @throws NARU_LIMIT */
  join(options: ConsumerOptions): Group {
    if (this.#settings.deliver === 'one') return this.#groups.get(QUEUE) as Group;
    const isOwn = options.group === undefined;
    const name = options.group ?? `${OWN}${options.self ?? ''}`;
    const known = this.#groups.get(name);
    const seeks = options.offset !== undefined || options.since !== undefined;
    if (known !== undefined && (!seeks || options.isBack === true || known.seats > 0)) return known;
    if (known === undefined && this.#groups.size >= GROUPS_MAX) {
      const text = `a topic in a folder has at most ${GROUPS_MAX} groups: let consumers share one`;
      throw new NaruError('NARU_LIMIT', text, { place: 'file' });
    }
    known?.close();
    const group = this.#add({ ...newState(name, this.#startOf(options)), isOwn });
    if (known !== undefined) group.noted = known.noted;
    group.noteAhead(this.#home.index.next);
    return group;
  }

  /** A consumer has left. */
  left(group: Group): void {
    if (group.isOwn && group.seats === 0) this.#forget(group);
  }

  #add(state: GroupState): Group {
    const group = new Group(this.#home, state);
    this.#groups.set(state.name, group);
    return group;
  }

  #startOf({ from, offset, since }: ConsumerOptions): number {
    const { index } = this.#home;
    const { next } = index;
    if (offset !== undefined) return Math.min(Math.max(1, Math.floor(offset) || 1), next);
    if (since !== undefined) return index.since(since) || next;
    if (from === 'start') return index.first || next;
    const { retain } = this.#settings;
    return from === 'now' || retain === 0 ? next : index.last(retain) || next;
  }

  #forget(group: Group): void {
    group.close();
    this.#groups.delete(group.name);
    this.#notes.forget(group);
  }

  #forgetAbsent(): void {
    // A Map goes on when what it gave last is removed.
    for (const group of this) if (group.isOwn && group.seats === 0) this.#forget(group);
  }
}

function newState(name: string, low: number): GroupState {
  return { name, isOwn: false, low, done: [], handed: 0, crashes: [], seen: [] };
}
