// What a journal notes in its log beside messages, as records of their own in a second stream: how far each group is, whether the
// mailbox has ended, and on which boot of the machine it was opened. The newest note of a kind counts; older ones are removed.

import { NaruError } from '../errors/index.ts';
import type { Level, Log, LogRecord } from '../log/index.ts';
import type { Group, GroupState } from './group.ts';
import { STREAM } from './record.ts';

/** Longest time until it is noted what a group of a topic has settled. */
const LAZY_MS = 20;

/** What the `note` of such a record says it is. */
const NOTE = { group: 1, end: 2, boot: 3 } as const;

/** In place of the boot: the host has closed the log, and noted all it knew. */
const CLOSED = 'closed';

/** A record of the second stream, as it was found when the log was opened. */
export interface FoundNote {
  readonly sequence: number;
  readonly note: number;
}

export interface FoundGroup {
  readonly state: GroupState;
  readonly noted: number;
}

export class Notes {
  readonly #log: Log;
  readonly #changed = new Set<Group>();
  #timer: NodeJS.Timeout | undefined;
  readonly #bootNote: number;
  #endNote: number;
  #isOver = false;
  readonly found: readonly FoundGroup[];
  readonly isEnded: boolean;

  private constructor(
    log: Log,
    found: readonly FoundGroup[],
    bootNote: number,
    endNote: number,
    isEnded: boolean,
  ) {
    this.#log = log;
    this.#bootNote = bootNote;
    this.found = found;
    this.#endNote = endNote;
    this.isEnded = isEnded;
  }

  /**
   * Reads what was noted, and notes that the log is open.
   *
   * @param boot  which boot of the machine this is: after a loss of power less is known of what was handed out
   * @throws NARU_CORRUPT, NARU_STORAGE
   */
  static async read(log: Log, notes: readonly FoundNote[], boot: string): Promise<Notes> {
    const groups = new Map<string, FoundGroup>();
    const older: number[] = [];
    let end = { noted: 0, isEnded: false };
    let last = { noted: 0, boot: CLOSED };
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
      }
    }
    for (const sequence of [...older, last.noted]) if (sequence > 0) log.remove(STREAM.control, sequence);
    const wasKilled = last.boot !== CLOSED;
    const handedUpTo = last.boot === boot ? undefined : log.next - 1;
    const found = [...groups.values()].map(({ state, noted }) => ({
      noted,
      state: wasKilled ? afterDeath(state, handedUpTo) : state,
    }));
    const bootNote = log.append([noteOfBoot(boot)], 'os');
    // Before anything is handed out: a successor must not take this host for one that closed.
    await log.commit('os');
    return new Notes(log, found, bootNote, end.noted, end.isEnded);
  }

  /** Notes how a group is. @returns the number of the note */
  write(group: Group, level: Level): number {
    this.#changed.delete(group);
    const body = Buffer.from(JSON.stringify(group.state));
    const before = group.noted;
    group.noted = this.#log.append([{ stream: STREAM.control, note: NOTE.group, body }], level);
    if (before > 0) this.#log.remove(STREAM.control, before);
    return group.noted;
  }

  /** A group has settled something: noted soon. */
  changed(group: Group): void {
    if (this.#isOver) return;
    this.#changed.add(group);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#writeChanged();
    }, LAZY_MS).unref();
  }

  forget(group: Group): void {
    this.#changed.delete(group);
    if (group.noted > 0) this.#log.remove(STREAM.control, group.noted);
  }

  end(isEnded: boolean): void {
    const before = this.#endNote;
    const body = Buffer.from(String(isEnded));
    this.#endNote = this.#log.append([{ stream: STREAM.control, note: NOTE.end, body }], 'os');
    if (before > 0) this.#log.remove(STREAM.control, before);
  }

  /** The last notes before the log is closed. */
  last(groups: Iterable<Group>): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const group of groups) this.write(group, 'memory');
    this.#log.append([noteOfBoot(CLOSED)], 'memory');
    this.#log.remove(STREAM.control, this.#bootNote);
  }

  #writeChanged(): void {
    if (this.#isOver || this.#log.failure !== undefined) return;
    for (const group of this.#changed) this.write(group, 'memory');
  }
}

function noteOfBoot(boot: string): LogRecord {
  return { stream: STREAM.control, note: NOTE.boot, body: Buffer.from(boot) };
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
