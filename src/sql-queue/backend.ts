// What a database gives to a mailbox that is a table in it: running statements, telling of changes, knowing who is dead. Each of sqlite://
// and postgres:// has one; everything else of such a mailbox is in this folder and in src/engine-queue/.

import type { BoxSettings, NewRows } from '../engine-queue/backend.ts';

export type SqlValue = string | number | Uint8Array | null | readonly number[];
export type SqlRow = readonly unknown[];

/** How one database writes what both can do. */
export interface Dialect {
  /** The table of mailboxes, the table of seats. */
  readonly boxes: string;
  readonly seats: string;
  /** The table of answers to requests. */
  readonly answers: string;
  /** An INSERT of such a row that gives its seat; whom it is for is told at the commit. */
  readonly telling: (insert: string, id: number) => string;
  /** The table of one mailbox. */
  readonly messages: (id: number) => string;
  /** The nth parameter, from 1: a number, or a text. */
  readonly parameter: (n: number) => string;
  readonly text: (n: number) => string;
  /** The nth parameter, which is bytes. */
  readonly bytes: (n: number) => string;
  /** The nth parameter as the lock of a seat. */
  readonly lock: (n: number) => string;
  /** Whether a column has one of the numbers of the nth parameter, which is a list. */
  readonly among: (column: string, n: number) => string;
  /**
   * Acks go with the taking in one statement (WITH … AS (DELETE …)), and deleted rows stay in the way until a vacuum. Undefined: statements of one
   * transaction cost little, and rows that are gone are gone. What is taken is looked up first and marked behind that (Statement.mark), and numbers
   * without gaps are acked by the first and the last.
   */
  readonly takingAtOnce: TakingAtOnce | undefined;
  /** Now, in milliseconds since the epoch, by the clock that all users of the database share. */
  readonly now: string;
  /** Behind a SELECT: whoever wants the same row waits until this transaction is over. */
  readonly forUpdate: string;
}

/** How a database takes rows in one statement. */
export interface TakingAtOnce {
  /** What a row is found again by in the same statement, in the fastest way. */
  readonly row: string;
  /** Whether that column has one of the values of a subquery. */
  readonly isIn: (column: string, subquery: string) => string;
  /** Behind a SELECT: the rows are this transaction's; those that others have are left out. */
  readonly skipLocked: string;
}

/** One statement with its values. */
export interface Step {
  readonly statement: Statement;
  readonly values: readonly SqlValue[];
}

export interface Statement {
  /** Unique among the statements of one mailbox; the database may keep its plan under it. */
  readonly name: string;
  readonly text: string;
  /** Whether rows come back. */
  readonly returns: boolean;
  /** A query that gives a row when the statement would change something: where only one may write at a time, it is asked first. */
  readonly guard?: string;
  /**
   * What takes the rows that this query gives, in the same transaction: it changes those between the first and the last that the query's condition
   * holds for. Both are given the time behind their own values, so that it holds for the same rows; this one also the first row's number and the
   * last one's.
   */
  readonly mark?: Statement;
}

/** What may have changed, as a database tells it. */
export interface SqlListener {
  /** Messages may be there, or room. */
  changed(): void;
  /** Who is attached has changed. */
  seatsChanged(): void;
  /** There may be answers for this seat; undefined: for any. */
  answered(seat: number | undefined): void;
  disconnected(reason: string): void;
  /** The connection is there again, and the seats with it. */
  reconnected(attempts: number): void;
  /** What takes the seats of this handle again on a new connection, which lives by another lock. */
  seatsAgain(lock: number | string): readonly Step[];
}

export interface SqlBackend {
  /** As a backend of engine-queue/ says it. */
  readonly waitsForPut?: boolean;
  /** By which others see that this handle lives; changes with the connection. */
  readonly lock: number | string;
  /** Runs the steps in one transaction, in order. @returns the rows of each @throws NaruError */
  run(steps: readonly Step[]): Promise<readonly (readonly SqlRow[])[]>;
  /** Inserts messages in order, all of them or none, and tells those who sleep. `isDurable`: it has come back when a power cut cannot undo it. */
  put(messages: NewRows, isDurable: boolean): Promise<void>;
  /** Tells the others: `message` there may be something to take, `room` room came free, `seats` who is attached changed. */
  tell(what: 'message' | 'room' | 'seats'): Promise<void>;
  /** Says that this seat sleeps until it is told. */
  sleeps(seat: number): Promise<void>;
  /** Removes the seats of those whose death is proved. @returns how many */
  reap(): Promise<number>;
  /** Destroys the mailbox. */
  remove(): Promise<void>;
  close(): void;
}

/** Of a mailbox that is a table. */
export interface SqlBoxSettings extends BoxSettings {
  /** Of its row among the mailboxes; in the name of its table. */
  readonly id: number;
}
