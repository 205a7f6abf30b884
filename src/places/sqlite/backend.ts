// What a file of SQLite gives to a mailbox in it: transactions, a watch on the file, and locks by which the dead are known.

import { NaruError } from '../../errors/index.ts';
import type { Maybe } from '../../state/map-driver.ts';
import type { NewRows } from '../../engine-queue/backend.ts';
import { orderOf } from '../../sql-queue/order.ts';
import type { Dialect, SqlBackend, SqlListener, SqlRow, Statement, Step } from '../../sql-queue/backend.ts';
import type { Connection } from './connection.ts';
import {
  type Change,
  type Database,
  type ListQuery,
  type Query,
  SQLITE,
  sqliteCode,
  type SqlValue,
} from './database.ts';
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
  takingAtOnce: undefined,
  now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
  forUpdate: '',
};

/** Messages that are inserted by one statement: fewer gain nothing, and what is long has other costs, and would stay in memory with the statement. */
const TOGETHER_MIN = 4;
const TOGETHER_BYTES_MAX = 1_048_576;
/** Where a message begins and how long it is, as one number. */
const LENGTHS: number = 2 ** 21;

export class SqliteBackend implements SqlBackend {
  readonly waitsForPut = true;
  readonly #connection: Connection;
  readonly #id: number;
  readonly #listener: SqlListener;
  readonly #life: LifeLock;
  readonly #watch: FileWatch;
  readonly #queries = new Map<string, ListQuery>();
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
    const [first] = steps;
    const isReading = first !== undefined && steps.length === 1 && isQuery(first.statement);
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

  #insert(db: Database, messages: NewRows): void {
    const { length } = messages.rows;
    const [next] =
      this.#query(db, { name: 'next', text: nextOf(this.#id), returns: true }).all(length)[0] ?? [];
    const sequence = Number(next) - length;
    if (arePlain(messages)) this.#insertTogether(db, messages, sequence);
    else this.#insertEach(db, messages, sequence);
  }

  /** One call of the driver for all of them, which costs as much as three rows. */
  #insertTogether(db: Database, { rows, bytes }: NewRows, sequence: number): void {
    const text = `INSERT INTO ${tableOf(this.#id)} (id, deliveries, size, message)
      SELECT ?1 + key, 0, value % ${LENGTHS}, substr(?2, value / ${LENGTHS} + 1, value % ${LENGTHS}) FROM json_each(?3)`;
    const places = rows.map(({ from, to }) => from * LENGTHS + (to - from));
    const first = orderOf(rows[0]?.priority ?? 0, sequence);
    this.#change(db, { name: 'put_all', text, returns: false }).run(first, bytes, JSON.stringify(places));
  }

  #insertEach(db: Database, { rows, bytes }: NewRows, first: number): void {
    const insert = this.#change(db, {
      name: 'put',
      text: `INSERT INTO ${tableOf(this.#id)} (id, due, expires, deliveries, size, message) VALUES (?1, ?2, ?3, 0, ?4, ?5)`,
      returns: false,
    });
    // The clock of the database is this machine's.
    const now = Date.now();
    const later = (ms: number | undefined): number | null => (ms === undefined ? null : now + Math.round(ms));
    let sequence = first;
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
      const isOver = ([lock]: SqlRow): boolean => lock !== this.lock && isDead(path, String(lock));
      const dead = locks.filter(isOver);
      if (dead.length === 0) return 0;
      return db.write(() => {
        const remove = this.#change(db, {
          name: 'remove_dead',
          text: `DELETE FROM naru_seats WHERE lock = ?1 AND ${ofBox}`,
          returns: false,
        });
        return dead.reduce((sum, [lock]) => sum + remove.run(String(lock)), 0);
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
    const { mark, returns } = statement;
    if (mark !== undefined) return this.#take(db, statement, mark, bound);
    if (returns) return this.#query(db, statement).all(...bound);
    this.#change(db, statement).run(...bound);
    return [];
  }

  #take(db: Database, statement: Statement, mark: Statement, bound: readonly SqlValue[]): SqlRow[] {
    const now = Date.now();
    const rows = this.#query(db, statement).all(...bound, now);
    const first = rows[0]?.[0];
    const last = rows.at(-1)?.[0];
    if (rows.length > 0) this.#change(db, mark).run(...bound, now, Number(first), Number(last));
    return rows;
  }

  #query(db: Database, { name, text }: Statement): ListQuery {
    const known = this.#queries.get(name) ?? db.list(text);
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

/** Whether it changes nothing, and so needs no lock for writing. */
function isQuery({ text, mark }: Statement): boolean {
  return mark === undefined && /^\s*SELECT/.test(text);
}

/** Whether nothing is to be said of any of them but its number, size and bytes. */
function arePlain({ rows, bytes }: NewRows): boolean {
  if (rows.length < TOGETHER_MIN || bytes.length > TOGETHER_BYTES_MAX) return false;
  const urgency = rows[0]?.priority;
  return rows.every(
    ({ priority, delayMs, ttlMs, size, from, to }) =>
      priority === urgency && delayMs === undefined && ttlMs === undefined && size === to - from,
  );
}

function readVersion(version: Query): number | undefined {
  try {
    return Number(version.all()[0]?.['data_version']);
  } catch {
    return undefined;
  }
}
