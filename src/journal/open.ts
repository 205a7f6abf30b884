// Opens the journal in a folder: the log, what the mailbox is, what was noted, and where every message stands.

import { readFileSync } from 'node:fs';
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { openLog, RealDisk } from '../disk/index.ts';
import { isNaruError, NaruError } from '../errors/index.ts';
import type { ContentsEvents } from '../link/contents.ts';
import {
  checkSettings,
  type MailboxSettings,
  newSettings,
  readSettings,
  type StatedSettings,
} from '../link/settings.ts';
import type { Log } from '../log/index.ts';
import { Journal } from './journal.ts';
import { MessageIndex } from './message-index.ts';
import { type FoundNote, Notes } from './notes.ts';
import { sizeOf, STREAM } from './record.ts';

/** What the mailbox is: a snapshot of the log, made before its first record and never changed. */
const SNAPSHOT = 'mailbox';
const SNAPSHOT_FILE = `${SNAPSHOT}.snap`;
const VERSION = 1;

/** Room of a mailbox whose maker says nothing: on a disk there is more of it. */
const USUAL = { capacityMessages: 4_194_304, capacityBytes: 1_073_741_824 } as const;

export interface JournalOptions {
  readonly folder: string;
  readonly mailbox: string;
  readonly stated: StatedSettings;
  /** Of a topic that is made now; of one that is there: must be the same. Undefined: whatever it is. */
  readonly retainMs: number | undefined;
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
  /** Removes every file of the log, and closes it; then removeRest(). */
  destroy(): Promise<void>;
}

/** What the mailbox is, as its folder tells. */
interface Description {
  readonly version: number;
  readonly settings: MailboxSettings;
  readonly retainMs: number;
}

/** Whether there is a mailbox in a folder. @throws what node:fs throws, but for a folder that is not there */
export async function isMailbox(folder: string): Promise<boolean> {
  try {
    return (await lstat(join(folder, SNAPSHOT_FILE))).isFile();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw error;
  }
}

/**
 * @returns undefined when another process has the log open
 * @throws NARU_EXISTS  the mailbox is another than stated, or the folder holds the log of something else; NARU_CORRUPT  damage, with file and offset; NARU_STORAGE; NARU_DENIED; NARU_UNSUPPORTED  a later version made it
 */
export async function openJournal(options: JournalOptions): Promise<OpenedJournal | undefined> {
  const { folder, mailbox, segmentBytes } = options;
  let journal: Journal | undefined;
  let events: ContentsEvents | undefined;
  const places: number[] = [];
  const notes: FoundNote[] = [];
  const log = await openUnlessHeld(folder, {
    segmentBytes,
    live: (sequence, stream, note, stamp, bodyBytes) => {
      if (stream === STREAM.messages) places.push(sequence, note, stamp, bodyBytes);
      else notes.push({ sequence, note });
    },
    progress: () => journal?.advanced(),
    full: (isFull) => {
      if (!isFull) journal?.advanced();
    },
    failed: (error) => events?.failed(error),
    damaged: ({ file, offset, what }) => {
      events?.failed(
        new NaruError('NARU_CORRUPT', `${mailbox}: ${file} in ${folder} at byte ${offset}: ${what}`),
      );
    },
  });
  if (log === undefined) return undefined;
  try {
    const isEmpty = places.length === 0 && notes.length === 0;
    const { description, created } = await describe(log, options, isEmpty);
    const { settings, retainMs } = description;
    const index = new MessageIndex();
    for (let at = 0; at < places.length; at += 4) {
      const [sequence, note, stamp, bodyBytes] = places.slice(at, at + 4) as [number, number, number, number];
      index.add(sequence, sizeOf(note, bodyBytes, settings.capacityBytes), stamp);
    }
    const found = await Notes.read(log, notes, bootId());
    if (found.isEnded && !options.isBack) found.end(false);
    const isEnded = found.isEnded && options.isBack;
    const time = Date.now;
    return {
      settings,
      created,
      contents(hostEvents) {
        events = hostEvents;
        journal = new Journal(
          { log, index, notes: found, settings, retainMs, mailbox, isEnded, time },
          hostEvents,
        );
        return journal;
      },
      filled: async () => {
        await journal?.filled();
      },
      close: () => log.close(),
      destroy: async () => {
        // While the lock is held: nobody may find half of it.
        await removeFiles(folder, /^(?!lock\.)/);
        // It misses its files.
        await log.close().catch(() => undefined);
      },
    };
  } catch (error) {
    await log.close().catch(() => undefined);
    throw error;
  }
}

async function openUnlessHeld(
  folder: string,
  options: Parameters<typeof openLog>[1],
): Promise<Log | undefined> {
  try {
    return await openLog(folder, options);
  } catch (error) {
    if (isNaruError(error) && error.code === 'NARU_EXISTS') return undefined;
    throw error;
  }
}

/** Removes what a log leaves when it is closed after destroy(), and the folder if nothing else is in it. */
export async function removeRest(folder: string): Promise<void> {
  let unlock: () => Promise<void>;
  try {
    unlock = await (await RealDisk.open(folder)).lock();
  } catch {
    // Somebody makes it anew.
    return;
  }
  await removeFiles(folder, /^(?!lock\.)/);
  await unlock();
  await removeFiles(folder, /^lock\./);
  await rmdir(folder).catch(() => undefined);
}

async function removeFiles(folder: string, which: RegExp): Promise<void> {
  // Somebody may have removed the whole folder meanwhile.
  for (const name of await readdir(folder).catch(() => [])) {
    const isOurs = /\.(seg|idx|snap|tmp)$|^lock\.|^host\.sock$/.test(name);
    if (isOurs && which.test(name)) await unlink(join(folder, name)).catch(() => undefined);
  }
}

/** What the mailbox is; makes it when the log is empty and nothing says so. */
async function describe(
  log: Log,
  { folder, mailbox, stated, retainMs }: JournalOptions,
  isEmpty: boolean,
): Promise<{ description: Description; created: boolean }> {
  const bytes = await log.readSnapshot(SNAPSHOT);
  if (bytes === undefined) {
    if (!isEmpty) {
      const text = `${mailbox}: ${folder} holds a log that is no mailbox: name another folder`;
      throw new NaruError('NARU_EXISTS', text, { place: 'file', mailbox });
    }
    const description = { version: VERSION, settings: newSettings(stated, USUAL), retainMs: retainMs ?? 0 };
    await log.writeSnapshot(SNAPSHOT, Buffer.from(JSON.stringify(description)));
    return { description, created: true };
  }
  const description = readDescription(bytes, folder, mailbox);
  checkSettings(stated, description.settings, mailbox);
  if (retainMs !== undefined && retainMs !== description.retainMs) {
    const text = `${mailbox}: the mailbox exists with other options (retainMs: asked ${retainMs}, is ${description.retainMs})`;
    throw new NaruError('NARU_EXISTS', `${text}; leave them out to adopt what is there`, {
      place: 'file',
      mailbox,
    });
  }
  return { description, created: false };
}

function readDescription(bytes: Uint8Array, folder: string, mailbox: string): Description {
  const context = { place: 'file', mailbox };
  let json: Partial<Record<keyof Description, unknown>>;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8')) as typeof json;
  } catch (cause) {
    const text = `${mailbox}: ${SNAPSHOT_FILE} in ${folder} is no description of a mailbox`;
    throw new NaruError('NARU_CORRUPT', text, { ...context, cause });
  }
  if (json.version !== VERSION) {
    const text = `${mailbox}: ${folder} has version ${String(json.version)} of the mailbox's format, this Naru reads ${VERSION}`;
    throw new NaruError('NARU_UNSUPPORTED', `${text}: use the version that made it`, context);
  }
  return { version: VERSION, settings: readSettings(json.settings), retainMs: Number(json.retainMs) || 0 };
}

/** A text that is another one after each start of the machine; where the system has none, one for each call: the safe side. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return `${process.pid}.${Date.now()}`;
  }
}
