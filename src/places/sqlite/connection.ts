// A file of SQLite as one handle uses it: set up for several processes at once, its calls one after the other, each tried
// again without blocking the event loop while somebody else holds the file, for a bounded time.

import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { NaruError, type NaruErrorCode } from '../../errors/index.ts';
import type { Maybe } from '../../state/map-driver.ts';
import { Database, SQLITE, sqliteCode } from './database.ts';

/** How long a call waits for others to let go of the file, in milliseconds, unless `busyTimeoutMs` says otherwise. */
export const BUSY_TIMEOUT_MS = 5_000;
/** Attempts that only let the event loop turn in between: most transactions are over by then. */
const EAGER_ATTEMPTS = 3;
const PAUSE_MS_MAX = 25;

export interface ConnectionSettings {
  readonly path: string;
  readonly text: string;
  readonly busyTimeoutMs: number;
  /** Whether a commit waits for the disk. */
  readonly isDurable: boolean;
}

/** Code and advice for what SQLite says. */
const MEANINGS: Readonly<Record<number, readonly [NaruErrorCode, string]>> = {
  [SQLITE.readonly]: ['NARU_DENIED', 'the file or its folder may not be written; check owner and mode'],
  [SQLITE.ioError]: ['NARU_LIMIT', 'the disk failed or its quota is used up'],
  [SQLITE.corrupt]: ['NARU_CORRUPT', 'the file is damaged; restore a backup'],
  [SQLITE.full]: ['NARU_FULL', 'the disk or the database is full'],
  [SQLITE.cannotOpen]: ['NARU_DENIED', 'the file cannot be opened; check owner and mode of file and folder'],
  [SQLITE.tooBig]: ['NARU_TOO_LARGE', 'the value is larger than SQLite takes'],
  [SQLITE.notADatabase]: ['NARU_CORRUPT', 'the file is no SQLite database; choose another'],
};

export class Connection {
  readonly settings: ConnectionSettings;
  readonly #database: Database;
  #last: Promise<unknown> | undefined;
  #isClosed = false;

  private constructor(database: Database, settings: ConnectionSettings) {
    this.#database = database;
    this.settings = settings;
  }

  /**
   * Opens the file and makes it fit for several processes: a write-ahead log, in which readers hold up no writer.
   * @throws NARU_DENIED, NARU_CORRUPT, NARU_TIMEOUT, NARU_PACKAGE_MISSING, NARU_UNSUPPORTED
   */
  static async open(settings: ConnectionSettings): Promise<Connection> {
    let database: Database;
    try {
      database = await Database.open(settings.path);
    } catch (error) {
      throw translate(error, settings.text);
    }
    const connection = new Connection(database, settings);
    try {
      await connection.run((db) => {
        db.exec('PRAGMA busy_timeout = 0');
        const [row] = db.query('PRAGMA journal_mode = WAL').all();
        if (row?.['journal_mode'] !== 'wal') throw noLog(settings.text);
        db.exec(`PRAGMA synchronous = ${settings.isDurable ? 'FULL' : 'NORMAL'}`);
      });
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** The database itself, for compiling statements inside of `run()`. */
  get database(): Database {
    return this.#database;
  }

  /**
   * Runs one step. Its outcome comes at once unless the file is held by somebody, or a step before it still waits for that.
   * @throws NARU_TIMEOUT  the file was held for too long; nothing was changed
   * @throws NARU_CORRUPT, NARU_DENIED, NARU_FULL, NARU_LIMIT, NARU_TOO_LARGE
   */
  run<T>(act: (database: Database) => T): Maybe<T> {
    if (this.#last === undefined) {
      try {
        return act(this.#database);
      } catch (error) {
        if (!isBusy(error)) throw translate(error, this.settings.text);
      }
    }
    const mine = (this.#last ?? Promise.resolve()).then(() => this.#retry(act));
    const forget = (): void => {
      if (this.#last === settled) this.#last = undefined;
    };
    const settled = mine.then(forget, forget);
    this.#last = settled;
    return mine;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#database.close();
  }

  async #retry<T>(act: (database: Database) => T): Promise<T> {
    const { text, busyTimeoutMs } = this.settings;
    const end = performance.now() + busyTimeoutMs;
    for (let attempt = 1; ; attempt += 1) {
      if (this.#isClosed)
        throw new NaruError('NARU_CLOSED', `${text}: it was closed meanwhile`, { mailbox: text });
      try {
        return act(this.#database);
      } catch (error) {
        if (!isBusy(error)) throw translate(error, text);
        if (performance.now() >= end) throw this.#timeout(error);
      }
      if (attempt < EAGER_ATTEMPTS) await turn();
      else await pause(Math.random() * Math.min(2 ** (attempt - EAGER_ATTEMPTS), PAUSE_MS_MAX));
    }
  }

  #timeout(cause: unknown): NaruError {
    const { text, busyTimeoutMs } = this.settings;
    return new NaruError(
      'NARU_TIMEOUT',
      `${text}: others held the file for more than ${busyTimeoutMs} ms; nothing was changed. Look for a long transaction, or set busyTimeoutMs`,
      { place: 'sqlite', mailbox: text, cause },
    );
  }
}

function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE.busy || code === SQLITE.locked;
}

function noLog(text: string): NaruError {
  return new NaruError(
    'NARU_UNSUPPORTED',
    `${text}: SQLite cannot keep a write-ahead log here, which needs shared memory; use a local disk`,
    { place: 'sqlite', mailbox: text },
  );
}

/** SQLite's errors as ours; others as they are. */
function translate(error: unknown, text: string): unknown {
  const code = sqliteCode(error);
  if (code === undefined) return error;
  const [name, advice] = MEANINGS[code] ?? ['NARU_LIMIT', 'SQLite refused it'];
  return new NaruError(name, `${text}: ${advice} (${(error as Error).message})`, {
    place: 'sqlite',
    mailbox: text,
    cause: error,
  });
}
