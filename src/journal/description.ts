// What the mailbox in a folder is: a snapshot of the log, made before its first record and never changed.

import { NaruError } from '../errors/index.ts';
import {
  checkSettings,
  type MailboxSettings,
  newSettings,
  readSettings,
  type StatedSettings,
} from '../link/settings.ts';
import type { Log } from '../log/index.ts';

const SNAPSHOT = 'mailbox';
export const SNAPSHOT_FILE: string = `${SNAPSHOT}.snap`;
/** 2: messages lie in batches. 1 had a record for each, and was never released. */
const VERSION = 2;

/** Room of a mailbox whose maker says nothing: on a disk there is more of it. */
const USUAL = { capacityMessages: 4_194_304, capacityBytes: 1_073_741_824 } as const;

export interface Description {
  readonly version: number;
  readonly settings: MailboxSettings;
  readonly retainMs: number;
}

/** What somebody who opens it says. */
export interface Expectation {
  readonly mailbox: string;
  readonly stated: StatedSettings;
  /** Of a topic that is made now; of one that is there: must be the same. Undefined: whatever it is. */
  readonly retainMs: number | undefined;
}

/**
 * What the mailbox is; makes it when the log is empty and nothing says so.
 * @throws NARU_EXISTS  it is another, or no mailbox; NARU_CORRUPT; NARU_UNSUPPORTED  another version made it; NARU_STORAGE
 */
export async function describe(
  log: Log,
  folder: string,
  { mailbox, stated, retainMs }: Expectation,
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
