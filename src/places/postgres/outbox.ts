// Sending inside of the caller's own transaction: the message is there when that is committed, and never was when it is rolled back.

import { parseUrl, placeOptions } from '../../mailbox/parse-url.ts';
import { OutboxEncoder, type OutboxOptions, type OutboxSendOptions } from '../../sql-queue/outbox.ts';
import { orderIn } from '../../sql-queue/order.ts';
import { PgLink, POSTGRES_DIALECT } from './backend.ts';
import { pgTarget } from './client.ts';
import { factsOf } from './facts.ts';
import { channelOf, findBox, nextOf, tableOf } from './mailbox-tables.ts';
import { postgres } from './capabilities.ts';
import { checkBox } from '../../engine-queue/settings.ts';

/** A client of the package pg, of its pool, or anything that takes a query in the same way. */
export interface TransactionClient {
  query(text: string, values: unknown[]): Promise<unknown>;
}

const OPEN_MS = 10_000;

/** A mailbox that is sent to through connections of the caller. Holds no connection itself. */
export class PostgresOutbox {
  readonly #encoder: OutboxEncoder;
  readonly #insert: string;
  readonly #notify: string;

  /** @internal */
  constructor(encoder: OutboxEncoder, id: number) {
    const { now } = POSTGRES_DIALECT;
    this.#encoder = encoder;
    this.#insert = `INSERT INTO ${tableOf(id)} (id, due, expires, deliveries, size, message)
      VALUES (${orderIn('$1::int', nextOf(id))}, ${now} + $2::bigint, ${now} + $3::bigint, 0, $4, $5)`;
    this.#notify = `SELECT pg_notify('${channelOf(id)}', 'c')`;
  }

  /**
   * Sends in the transaction that `client` is in. Waits for no room: the mailbox's capacity is not asked.
   * @returns the message's id
   * @throws NARU_INVALID_MESSAGE, NARU_TOO_LARGE, NARU_INVALID_ARGUMENT, and what `client` throws
   */
  async send(client: TransactionClient, data: unknown, options?: OutboxSendOptions): Promise<string> {
    const { id, values } = this.#encoder.encode(data, options);
    await client.query(this.#insert, [...values]);
    // Told at the commit, and to nobody when it is rolled back.
    await client.query(this.#notify, []);
    return id;
  }
}

/**
 * Finds or makes the mailbox, for sending through `outbox.send(client, data)`.
 * @throws NARU_INVALID_ARGUMENT, NARU_DISCONNECTED, NARU_DENIED, NARU_PACKAGE_MISSING and what else open() raises
 */
export async function openOutbox(url: string, options: OutboxOptions = {}): Promise<PostgresOutbox> {
  const { parts, stated } = parseUrl(url);
  const resolved = placeOptions(stated, AbortSignal.timeout(OPEN_MS));
  const name = checkBox(parts, resolved);
  const link = await PgLink.open(pgTarget(parts), resolved.signal);
  try {
    const { maxMessageBytes } = postgres.limits;
    const found = await link.reconnecting.run((connection) =>
      findBox(connection, name, parts, resolved, maxMessageBytes),
    );
    const encoder = new OutboxEncoder(factsOf(parts, found), parts.text, options);
    return new PostgresOutbox(encoder, found.settings.id);
  } finally {
    link.reconnecting.close();
  }
}
