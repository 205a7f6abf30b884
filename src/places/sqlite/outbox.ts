// Sending inside of the caller's own transaction: the message is there when that is committed, and never was when it is rolled back.

import { parseUrl, placeOptions } from '../../mailbox/parse-url.ts';
import { OutboxEncoder, type OutboxOptions, type OutboxSendOptions } from '../../sql-queue/outbox.ts';
import { checkBox } from '../../engine-queue/settings.ts';
import { orderIn } from '../../sql-queue/order.ts';
import { SQLITE_DIALECT } from './backend.ts';
import { readBusyTimeout } from './busy-timeout.ts';
import { sqlite } from './capabilities.ts';
import { Connection } from './connection.ts';
import { factsOf } from './facts.ts';
import { checkFile } from './file.ts';
import { findBox, tableOf } from './mailbox-tables.ts';

/** A database of node:sqlite, libsql or better-sqlite3, on the same file. */
export interface TransactionDatabase {
  prepare(sql: string): { run(...values: never[]): unknown };
}

const OPEN_MS = 10_000;

/** A mailbox that is sent to through a database that the caller opened. Holds nothing open itself. */
export class SqliteOutbox {
  readonly #encoder: OutboxEncoder;
  readonly #count: string;
  readonly #insert: string;

  /** @internal */
  constructor(encoder: OutboxEncoder, id: number) {
    const { now } = SQLITE_DIALECT;
    this.#encoder = encoder;
    this.#count = `UPDATE naru_boxes SET next = next + 1 WHERE id = ${id}`;
    this.#insert = `INSERT INTO ${tableOf(id)} (id, due, expires, deliveries, size, message)
      SELECT ${orderIn('?', 'next - 1')}, ${now} + ?, ${now} + ?, 0, ?, ? FROM naru_boxes WHERE id = ${id}`;
  }

  /**
   * Sends in the transaction that `database` is in. Waits for no room: the mailbox's capacity is not asked.
   * @returns the message's id
   * @throws NARU_INVALID_MESSAGE, NARU_TOO_LARGE, NARU_INVALID_ARGUMENT, and what `database` throws
   */
  send(database: TransactionDatabase, data: unknown, options?: OutboxSendOptions): string {
    const { id, values } = this.#encoder.encode(data, options);
    database.prepare(this.#count).run();
    database.prepare(this.#insert).run(...(values as unknown as never[]));
    return id;
  }
}

/**
 * Finds or makes the mailbox, for sending through `outbox.send(database, data)`.
 * @throws NARU_INVALID_ARGUMENT, NARU_NOT_FOUND, NARU_PACKAGE_MISSING, NARU_TIMEOUT and what else open() raises
 */
export async function openOutbox(url: string, options: OutboxOptions = {}): Promise<SqliteOutbox> {
  const { parts, stated } = parseUrl(url);
  const resolved = placeOptions(stated, AbortSignal.timeout(OPEN_MS));
  const name = checkBox(parts, resolved);
  const path = checkFile(parts, resolved.create !== 'never');
  const settings = { path, text: parts.text, busyTimeoutMs: readBusyTimeout(parts), isDurable: true };
  const connection = await Connection.open(settings);
  try {
    const { maxMessageBytes } = sqlite.limits;
    const found = await connection.run((db) => findBox(db, name, parts, resolved, maxMessageBytes));
    const encoder = new OutboxEncoder(factsOf(parts, path, found, resolved), parts.text, options);
    return new SqliteOutbox(encoder, found.settings.id);
  } finally {
    connection.close();
  }
}
