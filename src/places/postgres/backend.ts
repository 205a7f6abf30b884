// What PostgreSQL gives to a mailbox in it: statements in a pipeline, NOTIFY for those who sleep, and locks of sessions by which the dead
// are known.

import { Reconnecting } from '../../client/reconnecting.ts';
import { isNaruError, NaruError } from '../../errors/index.ts';
import type { NewRows } from '../../engine-queue/backend.ts';
import { orderIn } from '../../sql-queue/order.ts';
import type { Dialect, SqlBackend, SqlListener, SqlRow, Step } from '../../sql-queue/backend.ts';
import { isMissingTable, PgConnection, type PgTarget, type Statement } from './client.ts';
import { channelOf, nextOf, removeBox, tableOf } from './mailbox-tables.ts';

/** The class of the advisory locks that handles live by: "narl" as a number. */
const LIFE = 1_851_880_044;

export const POSTGRES_DIALECT: Dialect = {
  boxes: 'naru.boxes',
  seats: 'naru.seats',
  answers: 'naru.answers',
  telling: (insert, id) =>
    `WITH kept AS (${insert}) SELECT seat, pg_notify('${channelOf(id)}', 'r' || seat) FROM kept`,
  messages: tableOf,
  parameter: (n) => `$${n}::bigint`,
  text: (n) => `$${n}::text`,
  bytes: (n) => `$${n}::bytea`,
  lock: (n) => `$${n}::int`,
  among: (column, n) => `${column} = ANY ($${n}::bigint[])`,
  takingAtOnce: {
    row: 'ctid',
    isIn: (column, subquery) => `${column} = ANY (ARRAY(${subquery}))`,
    skipLocked: 'FOR UPDATE SKIP LOCKED',
  },
  now: '(extract(epoch FROM clock_timestamp()) * 1000)::bigint',
  forUpdate: 'FOR UPDATE',
};

const NEW_LIFE: Statement = {
  name: '',
  text: `SELECT id, pg_advisory_lock(${LIFE}, id) FROM (SELECT nextval('naru.seat_ids')::int AS id) one`,
};
/** A plan that was made while a table was empty stays right when it is long. */
const PLANS = 'SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan';
const BEGIN: Statement = { name: '', text: 'BEGIN' };
const COMMIT: Statement = { name: '', text: 'COMMIT' };

/** The connection of one handle, which is made before it is known which mailbox it is for. */
export class PgLink {
  readonly reconnecting: Reconnecting<PgConnection>;
  readonly text: string;
  /** Whom a new connection serves. */
  backend: PostgresBackend | undefined;

  private constructor(reconnecting: Reconnecting<PgConnection>, text: string) {
    this.reconnecting = reconnecting;
    this.text = text;
  }

  static async open(target: PgTarget, signal: AbortSignal): Promise<PgLink> {
    let link: PgLink | undefined = undefined;
    const current = (): PgLink | undefined => link;
    const { text } = target;
    const reconnecting = await Reconnecting.open<PgConnection>(
      (lost) => connect(target, lost, () => current()?.backend),
      { place: 'postgres', text },
      signal,
    );
    link = new PgLink(reconnecting, text);
    return link;
  }

  /** From now on a new connection serves this backend before anybody uses it. */
  serve(backend: PostgresBackend): void {
    this.backend = backend;
    this.reconnecting.onLost(() => backend.lost());
    this.reconnecting.onBack((attempts) => backend.back(attempts));
  }
}

async function connect(
  target: PgTarget,
  lost: () => void,
  backend: () => PostgresBackend | undefined,
): Promise<PgConnection> {
  const connection = await PgConnection.connect(target, lost, (payload) => backend()?.hear(payload));
  try {
    await backend()?.prepare(connection);
    return connection;
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

export class PostgresBackend implements SqlBackend {
  readonly #link: PgLink;
  readonly #id: number;
  readonly #listener: SqlListener;
  readonly #channel: string;
  readonly #insert: Statement;
  readonly #wake: Readonly<Record<'c' | 'p', Statement>>;
  readonly #reap: Statement;
  readonly #sleeps: Statement;
  #lock = 0;
  #isClosed = false;

  private constructor(link: PgLink, id: number, listener: SqlListener) {
    this.#link = link;
    this.#id = id;
    this.#listener = listener;
    this.#channel = channelOf(id);
    const { now } = POSTGRES_DIALECT;
    this.#insert = {
      name: `naru_${id}_put`,
      text: `INSERT INTO ${tableOf(id)} (id, due, expires, deliveries, size, message)
        SELECT ${orderIn('priority', nextOf(id))}, ${now} + delay, ${now} + ttl, 0, size,
          substring($6::bytea FROM start FOR length)
        FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::int[], $7::int[])
          AS one (priority, delay, ttl, size, start, length)`,
    };
    const wake = (role: 'c' | 'p'): Statement => ({
      name: `naru_${id}_wake_${role}`,
      text: `WITH woken AS (UPDATE naru.seats SET waits = 0 WHERE box = ${id} AND role = '${role}' AND waits = 1 RETURNING 1)
        SELECT pg_notify('${this.#channel}', '${role}') FROM (SELECT 1 FROM woken LIMIT 1) one`,
    });
    this.#wake = { c: wake('c'), p: wake('p') };
    this.#reap = {
      name: `naru_${id}_reap`,
      text: `DELETE FROM naru.seats WHERE box = ${id}
        AND CASE WHEN lock <> $1::int THEN pg_try_advisory_xact_lock(${LIFE}, lock) ELSE false END RETURNING id`,
    };
    this.#sleeps = {
      name: `naru_${id}_sleeps`,
      text: 'UPDATE naru.seats SET waits = 1 WHERE id = $1::int AND waits = 0',
    };
  }

  /** Takes a lock to live by, and hears of changes from now on. */
  static async start(link: PgLink, id: number, listener: SqlListener): Promise<PostgresBackend> {
    const backend = new PostgresBackend(link, id, listener);
    await link.reconnecting.run((connection) => backend.prepare(connection));
    link.serve(backend);
    return backend;
  }

  get lock(): number {
    return this.#lock;
  }

  /** What a new connection begins with: a lock of its own, and the seats again. */
  async prepare(connection: PgConnection): Promise<void> {
    await connection.execute(`${PLANS}; LISTEN ${this.#channel}`);
    const [row] = await connection.write(NEW_LIFE);
    this.#lock = Number(row?.[0]);
    for (const { statement, values } of this.#listener.seatsAgain(this.#lock))
      await connection.write(statement, values);
  }

  async run(steps: readonly Step[]): Promise<readonly (readonly SqlRow[])[]> {
    return this.#run((connection) => {
      const [first] = steps;
      if (steps.length === 1 && first !== undefined) return send(connection, first).then((rows) => [rows]);
      // One behind the other without waiting: nothing else of this handle comes between.
      const begun = connection.write(BEGIN);
      const done = steps.map((step) => send(connection, step));
      const ended = connection.write(COMMIT);
      return Promise.all([begun, ...done, ended]).then((results) => results.slice(1, -1));
    });
  }

  async put(messages: NewRows): Promise<void> {
    await this.#run((connection) => {
      const inserted = connection.write(this.#insert, valuesOf(messages));
      // Behind the commit: whoever went to sleep before it is seen, whoever goes after it sees the messages.
      connection.write(this.#wake.c).catch(() => undefined);
      return inserted;
    });
  }

  async tell(what: 'message' | 'room' | 'seats'): Promise<void> {
    await this.#run(async (connection) => {
      if (what === 'seats') await connection.execute(`NOTIFY ${this.#channel}, 's'`);
      else await connection.write(what === 'message' ? this.#wake.c : this.#wake.p);
    });
  }

  async sleeps(seat: number): Promise<void> {
    await this.#run((connection) => connection.write(this.#sleeps, [seat]));
  }

  async reap(): Promise<number> {
    const rows = await this.#run((connection) => connection.write(this.#reap, [this.#lock]));
    return rows.length;
  }

  async remove(): Promise<void> {
    await this.#run((connection) => connection.execute(removeBox(this.#id)));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#link.reconnecting.close();
  }

  /**
   * @param payload  what the notification says: 'c' and 'p' for those who sleep, 's' for seats, 'r' and a seat for answers, '' when the mailbox
   * is gone
   */
  hear(payload: string): void {
    if (payload === 's') this.#listener.seatsChanged();
    else if (payload.startsWith('r')) this.#listener.answered(Number(payload.slice(1)));
    else this.#listener.changed();
  }

  lost(): void {
    if (this.#isClosed) return;
    this.#listener.disconnected('the connection to the server broke');
  }

  back(attempts: number): void {
    this.#listener.reconnected(attempts);
  }

  /** @throws NARU_CLOSED when the mailbox was removed, and what `use` throws */
  async #run<T>(use: (connection: PgConnection) => Promise<T>): Promise<T> {
    try {
      return await this.#link.reconnecting.run(use);
    } catch (error) {
      if (!isNaruError(error) || !isMissingTable(error)) throw error;
      const { text } = this.#link;
      throw new NaruError('NARU_CLOSED', `${text}: the mailbox was removed`, {
        place: 'postgres',
        mailbox: text,
        cause: error,
      });
    }
  }
}

function send(connection: PgConnection, { statement, values }: Step): Promise<readonly SqlRow[]> {
  const isReading = statement.text.startsWith('SELECT');
  const sent = values.map((value) => (Array.isArray(value) ? listOf(value) : value));
  return isReading ? connection.read(statement, sent) : connection.write(statement, sent);
}

/** All bodies in one value: a list of them would travel as text. */
function valuesOf({ rows, bytes }: NewRows): unknown[] {
  const rounded = (ms: number | undefined): number | string => (ms === undefined ? 'NULL' : Math.round(ms));
  return [
    listOf(rows.map(({ priority }) => priority)),
    listOf(rows.map(({ delayMs }) => rounded(delayMs))),
    listOf(rows.map(({ ttlMs }) => rounded(ttlMs))),
    listOf(rows.map(({ size }) => size)),
    listOf(rows.map(({ from }) => from + 1)),
    bytes,
    listOf(rows.map(({ from, to }) => to - from)),
  ];
}

/** As PostgreSQL writes an array: pg would quote every number. */
function listOf(values: readonly (number | string)[]): string {
  return `{${values.join(',')}}`;
}
