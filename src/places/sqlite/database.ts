// One connection to a file of SQLite, through node:sqlite where Node has it and through the package libsql where it has not.
// Only what maps and mailboxes need: rows of a query, a transaction that writes, and what went wrong as a number.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { importPackage } from '../../client/optional-package.ts';

export type SqlValue = string | number | Uint8Array | null;
export type Row = Readonly<Record<string, unknown>>;

/** A query, compiled once. */
export interface Query {
  all(...values: SqlValue[]): Row[];
}

/** A query whose rows come as lists of values in the order of its columns, which costs less than objects. */
export interface ListQuery {
  all(...values: SqlValue[]): unknown[][];
}

/** A statement that changes something, compiled once. Only inside of `write()`. */
export interface Change {
  /** @returns how many rows it changed */
  run(...values: SqlValue[]): number;
}

interface RawStatement {
  all(values?: unknown, ...more: unknown[]): Row[];
  run(values?: unknown, ...more: unknown[]): { readonly changes: number | bigint };
  /** Rows as lists from now on: libsql, node:sqlite of Node 24 and late 22. */
  raw?(isOn: boolean): unknown;
  setReturnArrays?(isOn: boolean): void;
}

interface RawDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): RawStatement;
  close(): void;
}

type Opener = (path: string) => { readonly raw: RawDatabase; readonly takesList: boolean };

interface NodeSqlite {
  readonly DatabaseSync: new (path: string) => RawDatabase;
}

interface Libsql {
  readonly default: new (path: string) => RawDatabase;
}

/** Asked of SQLite's own codes, whatever the driver calls them. https://sqlite.org/rescode.html */
export const SQLITE = {
  error: 1,
  busy: 5,
  locked: 6,
  readonly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  tooBig: 18,
  constraint: 19,
  notADatabase: 26,
} as const;

let opener: Promise<Opener> | undefined;

/** @throws NARU_PACKAGE_MISSING  on a Node without node:sqlite */
async function findDriver(): Promise<Opener> {
  const builtin = process.getBuiltinModule?.('node:sqlite') as NodeSqlite | undefined;
  if (builtin !== undefined) return (path) => ({ raw: new builtin.DatabaseSync(path), takesList: false });
  const { default: Database } = (await importPackage('libsql', 'libsql@^0.5.29', 'sqlite')) as Libsql;
  return (path) => ({ raw: new Database(path), takesList: true });
}

/** SQLite's primary code of an error; undefined: it is none of SQLite's. */
export function sqliteCode(error: unknown): number | undefined {
  const { errcode, rawCode } = (error ?? {}) as { errcode?: unknown; rawCode?: unknown };
  const code = errcode ?? rawCode;
  return typeof code === 'number' ? code & 0xff : undefined;
}

export class Database {
  readonly #raw: RawDatabase;
  readonly #takesList: boolean;
  #isInside = false;

  private constructor(raw: RawDatabase, takesList: boolean) {
    this.#raw = raw;
    this.#takesList = takesList;
  }

  /**
   * Opens or creates the file. Nothing waits inside of SQLite: a lock that somebody else has is an error at once.
   * @throws NARU_PACKAGE_MISSING, and the driver's own errors
   */
  static async open(path: string): Promise<Database> {
    opener ??= findDriver();
    const { raw, takesList } = (await opener)(path);
    return new Database(raw, takesList);
  }

  exec(sql: string): void {
    this.#raw.exec(sql);
  }

  query(sql: string): Query {
    const statement = this.#raw.prepare(sql);
    // Always to the last row: libsql's get() would leave the statement open, and with it a snapshot of the file.
    return {
      all: (...values) =>
        this.#takesList
          ? statement.all(values).map((row) => withBytes(row))
          : statement.all(...(values as [unknown])),
    };
  }

  list(sql: string): ListQuery {
    const statement = this.#raw.prepare(sql);
    if (this.#takesList) statement.raw?.(true);
    else statement.setReturnArrays?.(true);
    return {
      all: (...values) =>
        (this.#takesList ? statement.all(values) : statement.all(...(values as [unknown]))).map(listOf),
    };
  }

  change(sql: string): Change {
    const statement = this.#raw.prepare(sql);
    return {
      run: (...values) =>
        Number((this.#takesList ? statement.run(values) : statement.run(...(values as [unknown]))).changes),
    };
  }

  /**
   * Runs `act` in a transaction that holds the file's lock for writing from its start. A statement that met a lock would stay
   * half done in libsql, and keep back what follows; BEGIN IMMEDIATE leaves nothing behind.
   */
  write<T>(act: () => T): T {
    if (this.#isInside) return act();
    this.#raw.exec('BEGIN IMMEDIATE');
    this.#isInside = true;
    try {
      const result = act();
      this.#raw.exec('COMMIT');
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    } finally {
      this.#isInside = false;
    }
  }

  close(): void {
    this.#raw.close();
    if (this.#takesList) noteClosed();
  }

  #rollBack(): void {
    try {
      this.#raw.exec('ROLLBACK');
    } catch {
      // SQLite has done so itself.
    }
  }
}

/** libsql keeps a closed file's descriptors until its statements are collected. After so many it is made to. */
const CLOSED_MAX = 16;
let closed = 0;

function noteClosed(): void {
  closed += 1;
  if (closed % CLOSED_MAX !== 0) return;
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

function withBytes(row: Row): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, bytesOf(value)]));
}

function listOf(row: Row): unknown[] {
  const list: unknown[] = Array.isArray(row) ? row : Object.values(row);
  for (let i = 0; i < list.length; i += 1) list[i] = bytesOf(list[i]);
  return list;
}

/** libsql gives an ArrayBuffer where others give bytes. */
function bytesOf(value: unknown): unknown {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
}
