// The statements of one mailbox, in the words that SQLite and PostgreSQL share. Times are milliseconds since the epoch, by the database's
// clock. A row: id (the order), priority, due (not before), expires, deliveries, holder (the seat that has it), lease (until when), size,
// message (envelope with its sender: wire/named-envelope.ts).

import type { Dialect, Statement } from './backend.ts';

/** About messages. */
interface MessageStatements {
  /** seat, max, lease in ms or 0 → id, deliveries, message, priority */
  readonly claim: Statement;
  /** seat, ids */
  readonly ack: Statement;
  /** seat, ids, delay in ms */
  readonly requeue: Statement;
  /** seat, ids: as if never taken */
  readonly release: Statement;
  /** seat, ids: all that the seat has but these, of which it never heard, or has forgotten */
  readonly forget: Statement;
  /** seat, ids, ms */
  readonly extend: Statement;
  /** → how many have outlived their time */
  readonly expire: Statement;
  /** Leases that are over. */
  readonly endLeases: Statement;
  /** What seats hold that are not there any more. */
  readonly free: Statement;
  /** seat → ms until something changes by itself, whether others hold messages */
  readonly outlook: Statement;
  /** → messages, bytes */
  readonly room: Statement;
  /** → waiting, bytes of all, unsettled */
  readonly stats: Statement;
  /** max → id, deliveries, message, priority */
  readonly peek: Statement;
  readonly purge: Statement;
}

/** About who is there. */
interface SeatStatements {
  /** Makes those who come and go wait for each other. → id */
  readonly lockBox: Statement;
  /** role, lock, identity, most → id */
  readonly enter: Statement;
  /** id, role, lock, identity: a seat taken again after its connection broke */
  readonly enterAgain: Statement;
  readonly leave: Statement;
  /** → role, number */
  readonly peers: Statement;
}

export type BoxStatements = MessageStatements & SeatStatements;

export function boxStatements(dialect: Dialect, id: number): BoxStatements {
  return { ...messageStatements(dialect, id), ...seatStatements(dialect, id) };
}

function messageStatements(dialect: Dialect, id: number): MessageStatements {
  const { seats, now, skipLocked, list, parameter: p } = dialect;
  const table = dialect.messages(id);
  const one = maker(id);
  const some = (name: string, text: string, condition: string, returns = false): Statement => ({
    ...one(name, text, returns),
    guard: `SELECT 1 FROM ${table} WHERE ${condition} LIMIT 1`,
  });
  const ready = `holder IS NULL AND (due IS NULL OR due <= ${now}) AND (expires IS NULL OR expires > ${now})`;
  const first = 'ORDER BY priority DESC, id';
  const expired = `holder IS NULL AND expires <= ${now}`;
  const over = `lease <= ${now}`;
  const orphaned = `holder IS NOT NULL AND holder NOT IN (SELECT id FROM ${seats} WHERE box = ${id})`;
  const mine = `holder = ${p(1)} AND id IN (${list(2)})`;
  return {
    claim: some(
      'claim',
      `WITH picked AS MATERIALIZED (SELECT id FROM ${table} WHERE ${ready} ${first} LIMIT ${p(2)} ${skipLocked})
       UPDATE ${table} SET holder = ${p(1)}, deliveries = deliveries + 1,
         lease = CASE WHEN ${p(3)} > 0 THEN ${now} + ${p(3)} END
       WHERE id IN (SELECT id FROM picked) RETURNING id, deliveries, message, priority`,
      ready,
      true,
    ),
    ack: one('ack', `DELETE FROM ${table} WHERE ${mine}`),
    requeue: one(
      'requeue',
      `UPDATE ${table} SET holder = NULL, lease = NULL,
         due = CASE WHEN ${p(3)} > 0 THEN ${now} + ${p(3)} END WHERE ${mine}`,
    ),
    release: one(
      'release',
      `UPDATE ${table} SET holder = NULL, lease = NULL, deliveries = deliveries - 1 WHERE ${mine}`,
    ),
    forget: one(
      'forget',
      `UPDATE ${table} SET holder = NULL, lease = NULL WHERE holder = ${p(1)} AND id NOT IN (${list(2)})`,
    ),
    extend: one('extend', `UPDATE ${table} SET lease = ${now} + ${p(3)} WHERE ${mine} AND lease IS NOT NULL`),
    expire: some('expire', `DELETE FROM ${table} WHERE ${expired} RETURNING id`, expired, true),
    endLeases: some('end_leases', `UPDATE ${table} SET holder = NULL, lease = NULL WHERE ${over}`, over),
    free: some('free', `UPDATE ${table} SET holder = NULL, lease = NULL WHERE ${orphaned}`, orphaned),
    outlook: one(
      'outlook',
      `SELECT min(CASE WHEN holder IS NULL THEN due ELSE lease END) - ${now},
         sum(CASE WHEN holder <> ${p(1)} THEN 1 ELSE 0 END)
       FROM ${table} WHERE holder IS NOT NULL OR due IS NOT NULL`,
      true,
    ),
    room: one('room', `SELECT count(*), coalesce(sum(size), 0) FROM ${table}`, true),
    stats: one(
      'stats',
      `SELECT coalesce(sum(CASE WHEN holder IS NULL THEN 1 ELSE 0 END), 0), coalesce(sum(size), 0),
         coalesce(sum(CASE WHEN holder IS NULL THEN 0 ELSE 1 END), 0) FROM ${table}`,
      true,
    ),
    peek: one(
      'peek',
      `SELECT id, deliveries, message, priority FROM ${table} WHERE ${ready} ${first} LIMIT ${p(1)}`,
      true,
    ),
    purge: one('purge', `DELETE FROM ${table} WHERE holder IS NULL RETURNING id`, true),
  };
}

function seatStatements(dialect: Dialect, id: number): SeatStatements {
  const { boxes, seats, forUpdate, list, parameter: p, text, lock } = dialect;
  const one = maker(id);
  return {
    lockBox: one('lock_box', `SELECT id FROM ${boxes} WHERE id = ${id} ${forUpdate}`, true),
    enter: one(
      'enter',
      `INSERT INTO ${seats} (box, role, lock, identity, waits) SELECT ${id}, ${text(1)}, ${lock(2)}, ${text(3)}, 0
       WHERE (SELECT count(*) FROM ${seats} WHERE box = ${id} AND role = ${text(1)}) < ${p(4)} RETURNING id`,
      true,
    ),
    enterAgain: one(
      'enter_again',
      `INSERT INTO ${seats} (id, box, role, lock, identity, waits)
       VALUES (${p(1)}, ${id}, ${text(2)}, ${lock(3)}, ${text(4)}, 0)
       ON CONFLICT (id) DO UPDATE SET lock = excluded.lock, waits = 0`,
    ),
    leave: one('leave', `DELETE FROM ${seats} WHERE id IN (${list(1)})`),
    peers: one('peers', `SELECT role, count(*) FROM ${seats} WHERE box = ${id} GROUP BY role`, true),
  };
}

function maker(id: number): (name: string, text: string, returns?: boolean) => Statement {
  return (name, text, returns = false) => ({ name: `naru_${id}_${name}`, text, returns });
}
