// What a journal notes in its log beside messages, as records of their own in a second stream: how far each group is, whether the
// mailbox has ended, and on which boot of the machine it was opened. The newest note of a kind counts; older ones are removed.

import { NaruError } from '../errors/index.ts';
import type { Level, Log, LogClock, LogRecord } from '../log/index.ts';
import type { Group, GroupState } from './group.ts';
import { Deque } from '../store/deque.ts';
import { CONTROL_STREAM, streamOf } from './batch.ts';
import type { Emptied } from './message-index.ts';
import type { Outside } from './outside.ts';

/** How long it takes until it is noted what a group has settled, and how much longer for each byte of the last note. */
const LAZY_MS = 20;
const LAZY_MS_PER_BYTE = 1 / 1000;

/** What the `note` of such a record says it is. */
const NOTE = { group: 1, end: 2, boot: 3, bounds: 4 } as const;

/** In place of the boot: the host has closed the log, and noted all it knew. */
const CLOSED = 'closed';

/** A record of the second stream, as it was found when the log was opened. */
export interface FoundNote {
  readonly sequence: number;
  readonly note: number;
}

/** The numbers of messages. */
export interface Bounds {
  /** Of the next one. */
  readonly next: number;
  /** Everything before it is gone, also where its batch is still there. */
  readonly low: number;
}

export interface FoundGroup {
  readonly state: GroupState;
  readonly noted: number;
}

/** A record that another one replaces: removed once that is written, as a removal may be written before what was appended before it. */
interface Replaced {
  readonly by: number;
  readonly stream: number;
  readonly sequence: number;
}

export class Notes {
  readonly #log: Log;
  readonly #clock: LogClock;
  readonly #changed = new Set<Group>();
  #cancel: (() => void) | undefined;
  #endNote: number;
  #boundsNote: number;
  #groupBytes = 0;
  /** The newest batch, when nobody needs it any more: it tells the number of the next message, until something else does. */
  #last: Emptied | undefined;
  /** What is to be noted of the numbers. */
  #bounds: Bounds | undefined;
  readonly #replaced = new Deque<Replaced>();
  #isOver = false;
  #isClosed = false;
  readonly found: readonly FoundGroup[];
  readonly isEnded: boolean;

  private constructor(
    log: Log,
    clock: LogClock,
    found: readonly FoundGroup[],
    end: { readonly noted: number; readonly isEnded: boolean },
    boundsNote: number,
  ) {
    this.#log = log;
    this.#clock = clock;
    this.#boundsNote = boundsNote;
    this.found = found;
    this.#endNote = end.noted;
    this.isEnded = end.isEnded;
  }

  /**
   * Reads what was noted, and notes that the log is open.
   *
   * @param next  number of the next message, as far as the messages that are there tell
   * @throws NARU_CORRUPT, NARU_STORAGE
   */
  static async read(
    log: Log,
    notes: readonly FoundNote[],
    next: number,
    { clock, boot }: Pick<Outside, 'clock' | 'boot'>,
  ): Promise<Bounds & { readonly notes: Notes }> {
    const groups = new Map<string, FoundGroup>();
    const older: number[] = [];
    let end = { noted: 0, isEnded: false };
    let last = { noted: 0, boot: CLOSED };
    let known = { noted: 0, next, low: 1 };
    for (const { sequence, note } of notes) {
      const record = await log.read(sequence);
      if (record === undefined) continue;
      const text = Buffer.from(record.body).toString('utf8');
      if (note === NOTE.group) {
        const state = readState(text);
        older.push(groups.get(state.name)?.noted ?? 0);
        groups.set(state.name, { state, noted: sequence });
      } else if (note === NOTE.end) {
        older.push(end.noted);
        end = { noted: sequence, isEnded: text === 'true' };
      } else if (note === NOTE.boot) {
        older.push(last.noted);
        last = { noted: sequence, boot: text };
      } else if (note === NOTE.bounds) {
        older.push(known.noted);
        const bounds = JSON.parse(text) as Bounds;
        known = { noted: sequence, next: Math.max(next, bounds.next), low: bounds.low };
      }
    }
    for (const sequence of older) if (sequence > 0) log.remove(CONTROL_STREAM, sequence);
    const wasKilled = last.boot !== CLOSED;
    const handedUpTo = last.boot === boot ? undefined : known.next - 1;
    const found = [...groups.values()].map(({ state, noted }) => ({
      noted,
      state: wasKilled ? afterDeath(state, handedUpTo) : state,
    }));
    log.append([noteOfBoot(boot)], 'os');
    // Before anything is handed out: a successor must not take this host for one that closed.
    await log.commit('os');
    if (last.noted > 0) log.remove(CONTROL_STREAM, last.noted);
    const { low } = known;
    return { notes: new Notes(log, clock, found, end, known.noted), next: known.next, low };
  }

  /** Notes how a group is. @returns the number of the note */
  write(group: Group, level: Level): number {
    this.#changed.delete(group);
    const body = Buffer.from(JSON.stringify(group.state));
    this.#groupBytes = body.length;
    const before = group.noted;
    group.noted = this.#log.append([{ stream: CONTROL_STREAM, note: NOTE.group, body }], level);
    this.#replace(before, group.noted);
    return group.noted;
  }

  /** A group has settled something: noted soon. */
  changed(group: Group): void {
    if (this.#isOver) return;
    if (this.#changed.has(group)) return;
    this.#changed.add(group);
    this.#writeSoon();
  }

  /** The newest batch is needed no more: removed when the next one comes, or when it is noted what it tells. */
  removeLast(batch: Emptied, bounds: Bounds): void {
    this.#last = batch;
    this.moved(bounds);
  }

  /** What is kept begins later. */
  moved(bounds: Bounds): void {
    this.#bounds = bounds;
    if (this.#isOver) this.#noteBounds();
    else this.#writeSoon();
  }

  /** Something newer tells what the newest batch did. @param by  its sequence */
  isFollowed(by: number): void {
    if (this.#last === undefined) return;
    const { first, sequence } = this.#last;
    this.#replaced.push({ by, stream: streamOf(first), sequence });
    this.#last = undefined;
  }

  /** The log has written more: what was replaced can go. */
  advanced(): void {
    if (this.#isClosed || this.#log.failure !== undefined) return;
    const replaced = this.#replaced;
    for (
      let next = replaced.front();
      next !== undefined && next.by <= this.#log.written;
      next = replaced.front()
    ) {
      replaced.shift();
      this.#log.remove(next.stream, next.sequence);
    }
  }

  /** The log is about to be closed. */
  close(): void {
    this.advanced();
    this.#isClosed = true;
  }

  #replace(before: number, by: number): void {
    if (before > 0) this.#replaced.push({ by, stream: CONTROL_STREAM, sequence: before });
  }

  #writeSoon(): void {
    this.#cancel ??= this.#clock.after(LAZY_MS + this.#groupBytes * LAZY_MS_PER_BYTE, () => {
      this.#cancel = undefined;
      if (this.#isOver || this.#log.failure !== undefined) return;
      for (const group of this.#changed) this.write(group, 'memory');
      this.#noteBounds();
    });
  }

  #noteBounds(): void {
    if (this.#bounds === undefined) return;
    const before = this.#boundsNote;
    const body = Buffer.from(JSON.stringify(this.#bounds));
    this.#bounds = undefined;
    this.#boundsNote = this.#log.append([{ stream: CONTROL_STREAM, note: NOTE.bounds, body }], 'memory');
    this.#replace(before, this.#boundsNote);
    this.isFollowed(this.#boundsNote);
  }

  forget(group: Group): void {
    this.#changed.delete(group);
    // Behind what it replaced itself, which would tell of the group again.
    this.#replace(group.noted, group.noted);
    this.advanced();
  }

  end(isEnded: boolean): void {
    const before = this.#endNote;
    const body = Buffer.from(String(isEnded));
    this.#endNote = this.#log.append([{ stream: CONTROL_STREAM, note: NOTE.end, body }], 'os');
    this.#replace(before, this.#endNote);
  }

  /** The last notes before the log is closed. */
  last(groups: Iterable<Group>): void {
    this.#isOver = true;
    this.#cancel?.();
    for (const group of groups) this.write(group, 'memory');
    this.#noteBounds();
    // The next start removes what these replace.
    this.#log.append([noteOfBoot(CLOSED)], 'memory');
  }
}

function noteOfBoot(boot: string): LogRecord {
  return { stream: CONTROL_STREAM, note: NOTE.boot, body: Buffer.from(boot) };
}

/** @param handedUpTo  undefined: as noted, which a kill leaves true */
function afterDeath(state: GroupState, handedUpTo: number | undefined): GroupState {
  return { ...state, crashes: [...state.crashes, handedUpTo ?? state.handed] };
}

function readState(text: string): GroupState {
  try {
    return JSON.parse(text) as GroupState;
  } catch (cause) {
    throw new NaruError('NARU_CORRUPT', 'the log is whole, but what it notes of a group cannot be read', {
      cause,
    });
  }
}
