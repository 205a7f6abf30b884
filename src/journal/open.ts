// Opens the journal in a folder: the log, what the mailbox is, what was noted, and where every message stands.

import { isNaruError, NaruError } from '../errors/index.ts';
import type { ContentsEvents } from '../link/contents.ts';
import type { MailboxSettings } from '../link/settings.ts';
import { Log, type LogOptions } from '../log/index.ts';
import { type BatchHead, batchCost, headOf, isBatch } from './batch.ts';
import { describe, type Expectation } from './description.ts';
import { Journal } from './journal.ts';
import { MessageIndex } from './message-index.ts';
import { type FoundNote, Notes } from './notes.ts';
import type { Outside } from './outside.ts';

export interface JournalOptions extends Expectation {
  readonly outside: Outside;
  readonly segmentBytes: number;
  /** A host comes back: what has ended stays so. */
  readonly isBack: boolean;
}

/** A journal that is open, for its host to take over. */
export interface OpenedJournal {
  readonly settings: MailboxSettings;
  readonly created: boolean;
  contents(events: ContentsEvents): Journal;
  /** Resolves when the contents can be looked at. */
  filled(): Promise<void>;
  /** Closes the log. A second call waits for the first. */
  close(): Promise<void>;
  /** Removes every file of the log but its lock, and closes it. */
  destroy(): Promise<void>;
}

/** A batch, as it was found when the log was opened. */
interface FoundBatch extends BatchHead {
  readonly sequence: number;
  readonly bodyBytes: number;
}

/**
 * @returns undefined when another process has the log open
 * @throws NARU_EXISTS  the mailbox is another than stated, or the folder holds the log of something else; NARU_CORRUPT  damage, with file
 *   and offset; NARU_STORAGE; NARU_DENIED; NARU_UNSUPPORTED  another version made it
 */
export async function openJournal(options: JournalOptions): Promise<OpenedJournal | undefined> {
  const { outside, mailbox, segmentBytes } = options;
  const { disk, clock, random, time } = outside;
  let journal: Journal | undefined;
  let events: ContentsEvents | undefined;
  let becameFull = (): void => undefined;
  const batches: FoundBatch[] = [];
  const notes: FoundNote[] = [];
  const log = await openUnlessHeld(outside, {
    clock,
    random,
    segmentBytes,
    live: (sequence, stream, note, stamp, bodyBytes) => {
      if (isBatch(stream)) batches.push({ ...headOf(stream, note, stamp), sequence, bodyBytes });
      else notes.push({ sequence, note });
    },
    progress: () => journal?.advanced(),
    full: (isFull) => {
      if (isFull) becameFull();
      else journal?.advanced();
    },
    failed: (error) => events?.failed(error),
    damaged: ({ file, offset, what }) => {
      events?.failed(
        new NaruError('NARU_CORRUPT', `${mailbox}: ${file} in ${disk.folder} at byte ${offset}: ${what}`),
      );
    },
  });
  if (log === undefined) return undefined;
  try {
    const isEmpty = batches.length === 0 && notes.length === 0;
    const { description, created } = await describe(log, disk.folder, options, isEmpty);
    const { settings, retainMs } = description;
    const last = batches.at(-1);
    const after = last === undefined ? 1 : last.first + last.count;
    const { notes: found, next, low } = await Notes.read(log, notes, after, outside);
    const index = indexOf(batches, next, settings.capacityBytes);
    if (found.isEnded && !options.isBack) found.end(false);
    const isEnded = found.isEnded && options.isBack;
    return {
      settings,
      created,
      contents(hostEvents) {
        events = hostEvents;
        journal = new Journal(
          { log, index, notes: found, settings, retainMs, mailbox, low, isEnded, time, clock },
          hostEvents,
        );
        return journal;
      },
      filled: async () => {
        await journal?.filled();
      },
      close: async () => {
        // What was noted last replaces something, which goes once that is written; a disk that is full is not waited for.
        const isFull = new Promise<void>((resolve) => {
          becameFull = resolve;
        });
        if (!log.isFull) await Promise.race([log.commit('os').catch(() => undefined), isFull]);
        found.close();
        await log.close();
      },
      destroy: () => destroy(log, outside),
    };
  } catch (error) {
    await log.close().catch(() => undefined);
    throw error;
  }
}

function indexOf(batches: readonly FoundBatch[], next: number, capacityBytes: number): MessageIndex {
  const index = new MessageIndex();
  for (const { first, count, sequence, bodyBytes, time } of batches) {
    index.add(first, count, sequence, batchCost(bodyBytes, count, capacityBytes), time);
  }
  index.goOnAt(next);
  return index;
}

/** While the lock is held: nobody may find half of it. */
async function destroy(log: Log, { disk }: Outside): Promise<void> {
  for (const name of await disk.list()) {
    if (/\.(seg|idx|snap|tmp)$/.test(name)) await disk.unlink(name).catch(() => undefined);
  }
  // It misses its files.
  await log.close().catch(() => undefined);
}

async function openUnlessHeld({ disk }: Outside, options: LogOptions): Promise<Log | undefined> {
  try {
    return await Log.open(disk, options);
  } catch (error) {
    if (isNaruError(error) && error.code === 'NARU_EXISTS') return undefined;
    throw error;
  }
}
