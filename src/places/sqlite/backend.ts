// What a file of SQLite gives to a mailbox in it: transactions, a watch on the file, and locks by which the dead are known.

import { NaruError } from '../../errors/index.ts';
import type { Maybe } from '../../state/map-driver.ts';
import type { NewRows } from '../../engine-queue/backend.ts';
import { orderOf } from '../../sql-queue/order.ts';
import type { Dialect, SqlBackend, SqlListener, SqlRow, Statement, Step } from '../../sql-queue/backend.ts';
import type { Connection } from './connection.ts';
import { type Change, type Database, type Query, SQLITE, sqliteCode, type SqlValue } from './database.ts';
import { FileWatch } from './file-watch.ts';
import { isDead, LifeLock } from './life-lock.ts';
import { nextOf, removeBox, tableOf } from './mailbox-tables.ts';

export const SQLITE_DIALECT: Dialect = {
  boxes: 'naru_boxes',
  seats: 'naru_seats',
  answers: 'naru_answers',
  // The file itself tells.
  telling: (insert) => insert,
  messages: tableOf,
  parameter: (n) => `?${n}`,
  text: (n) => `?${n}`,
  bytes: (n) => `?${n}`,
  lock: (n) => `?${n}`,
  among: (column, n) => `${column} IN (SELECT value FROM json_each(?${n}))`,
  row: 'id',
  isIn: (column, subquery) => `${column} IN (${subquery})`,
  acksInTaking: false,
  now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
  skipLocked: '',
  forUpdate: '',
};

export class SqliteBackend implements SqlBackend {
  readonly #connection: Connection;
  readonly #id: number;
  readonly #listener: SqlListener;
  readonly #life: LifeLock;
  readonly #watch: FileWatch;
  readonly #queries = new Map<string, Query>();
  readonly #changes = new Map<string, Change>();
  #isClosed = false;

  constructor(connection: Connection, id: number, listener: SqlListener) {
    const { path } = connection.settings;
    this.#connection = connection;
    this.#id = id;
    this.#listener = listener;
    this.#life = new LifeLock(path);
    const version = connection.database.query('PRAGMA data_version');
    this.#watch = new FileWatch(
      path,
      () => readVersion(version),
      () => this.#changed(),
    );
  }

  get lock(): string {
    return this.#life.name;
  }

  async run(steps: readonly Step[]): Promise<readonly (readonly SqlRow[])[]> {
    const isReading = steps.length === 1 && /^\s*SELECT/.test(steps[0]?.statement.text ?? '');
    return this.#run((db) => {
      const act = (): SqlRow[][] => steps.map((step) => this.#step(db, step));
      if (steps.every((step) => this.#isIdle(db, step.statement))) return steps.map(() => []);
      return isReading ? act() : db.write(act);
    });
  }

  async put(messages: NewRows, isDurable: boolean): Promise<void> {
    await this.#run((db) => {
      const mustSync = isDurable && !this.#connection.settings.isDurable;
      if (mustSync) db.exec('PRAGMA synchronous = FULL');
      try {
        db.write(() => this.#insert(db, messages));
      } finally {
        if (mustSync) db.exec('PRAGMA synchronous = NORMAL');
      }
    });
  }

  #insert(db: Database, { rows, bytes }: NewRows): void {
    const [counted] = this.#query(db, { name: 'next', text: nextOf(this.#id), returns: true }).all(
      rows.length,
    );
    const insert = this.#change(db, {
      name: 'put',
      text: `INSERT INTO ${tableOf(this.#id)} (id, due, expires, deliveries, size, message) VALUES (?1, ?2, ?3, 0, ?4, ?5)`,
      returns: false,
    });
    // The clock of the database is this machine's.
    const now = Date.now();
    const later = (ms: number | undefined): number | null => (ms === undefined ? null : now + Math.round(ms));
    let sequence = Number(counted?.['next']) - rows.length;
    for (const { priority, delayMs, ttlMs, size, from, to } of rows) {
      const id = orderOf(priority, sequence);
      insert.run(id, later(delayMs), later(ttlMs), size, bytes.subarray(from, to));
      sequence += 1;
    }
  }

  /** The file itself tells. */
  async tell(): Promise<void> {}

  async sleeps(): Promise<void> {}

  async reap(): Promise<number> {
    const ofBox = `box = ${this.#id}`;
    const select = `SELECT DISTINCT lock FROM naru_seats WHERE ${ofBox}`;
    return this.#run((db) => {
      const locks = this.#query(db, { name: 'locks', text: select, returns: true }).all();
      const { path } = this.#connection.settings;
      const isOver = ({ lock }: { readonly lock?: unknown }): boolean =>
        lock !== this.lock && isDead(path, String(lock));
      const dead = locks.filter(isOver);
      if (dead.length === 0) return 0;
      return db.write(() => {
        const remove = this.#change(db, {
          name: 'remove_dead',
          text: `DELETE FROM naru_seats WHERE lock = ?1 AND ${ofBox}`,
          returns: false,
        });
        return dead.reduce((sum, { lock }) => sum + remove.run(String(lock)), 0);
      });
    });
  }

  async remove(): Promise<void> {
    // With the seats of the dead go the files that they lived by: nobody would look for those later.
    await this.reap();
    await this.#run((db) => removeBox(db, this.#id));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch.close();
    this.#connection.close();
    this.#life.close();
  }

  #changed(): void {
    this.#listener.changed();
    this.#listener.seatsChanged();
    this.#listener.answered(undefined);
  }

  /** Whether a statement would change nothing. */
  #isIdle(db: Database, { name, guard }: Statement): boolean {
    if (guard === undefined) return false;
    return this.#query(db, { name: `${name}_guard`, text: guard, returns: true }).all().length === 0;
  }

  #step(db: Database, { statement, values }: Step): SqlRow[] {
    const bound = values.map((value) => (Array.isArray(value) ? JSON.stringify(value) : value) as SqlValue);
    if (statement.returns)
      return this.#query(db, statement)
        .all(...bound)
        .map((row) => Object.values(row));
    this.#change(db, statement).run(...bound);
    return [];
  }

  #query(db: Database, { name, text }: Statement): Query {
    const known = this.#queries.get(name) ?? db.query(text);
    this.#queries.set(name, known);
    return known;
  }

  #change(db: Database, { name, text }: Statement): Change {
    const known = this.#changes.get(name) ?? db.change(text);
    this.#changes.set(name, known);
    return known;
  }

  /** A table that is not there any more is a mailbox that was removed. */
  #run<T>(act: (database: Database) => T): Maybe<T> {
    const { text } = this.#connection.settings;
    if (this.#isClosed)
      throw new NaruError('NARU_CLOSED', `${text}: this handle was closed`, { mailbox: text });
    return this.#connection.run((db) => {
      try {
        return act(db);
      } catch (error) {
        if (sqliteCode(error) !== SQLITE.error || !/no such table/.test((error as Error).message))
          throw error;
        throw new NaruError('NARU_CLOSED', `${text}: the mailbox was removed`, {
          place: 'sqlite',
          mailbox: text,
          cause: error,
        });
      }
    });
  }
}

function readVersion(version: Query): number | undefined {
  try {
    return Number(version.all()[0]?.['data_version']);
  } catch {
    return undefined;
  }
}
