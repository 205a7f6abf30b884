// The statements of one mailbox, in the words that SQLite and PostgreSQL share. Times are milliseconds since the epoch, by the database's
// clock. A row: id (the order: order.ts), due (not before), expires, deliveries, holder (the seat that has it), lease (until when), size,
// message (envelope with its sender: wire/named-envelope.ts).

import type { Dialect, Statement, TakingAtOnce } from './backend.ts';

/** So many rows are looked at where the whole table may be long. */
export const FRONT = 1_000;

/** About messages. */
interface MessageStatements {
  /**
   * seat, max, lease in ms or 0 → id, deliveries, message. Where acks go with a taking, also: ids that the seat acks, and between which ids
   * nothing is looked at (Floor).
   */
  readonly claim: Statement;
  /** seat, ids */
  readonly ack: Statement;
  /** seat, first id, last id: those and all between them */
  readonly ackRun: Statement;
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
  /** → ids of what seats hold that are not there any more; reads the table through, which holds up nobody */
  readonly orphaned: Statement;
  /** ids of such messages: they go back */
  readonly free: Statement;
  /** Whether there is such a thing among the first rows. */
  readonly orphansInFront: Statement;
  /** seat, the highest id that it ever had: what it has goes back */
  readonly freeSeat: Statement;
  /** seat → ms until a delay is over, ms until a lease is over, how many of the first rows others hold, how many rows these are */
  readonly outlook: Statement;
  /** → messages, bytes */
  readonly room: Statement;
  /** → waiting, bytes of all, unsettled */
  readonly stats: Statement;
  /** max → id, deliveries, message */
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

/** About answers to requests. */
export interface ReplyStatements {
  /** seat, message → the seat; nothing: it is no requester's any more */
  readonly answer: Statement;
  /** seat → id, message of what came for it, which is gone then */
  readonly answers: Statement;
  /** Answers for seats that are not there any more. */
  readonly forgetAnswers: Statement;
}

export type BoxStatements = MessageStatements & SeatStatements & ReplyStatements;

export function boxStatements(dialect: Dialect, id: number): BoxStatements {
  return {
    ...messageStatements(dialect, id),
    ...seatStatements(dialect, id),
    ...replyStatements(dialect, id),
  };
}

function messageStatements(dialect: Dialect, id: number): MessageStatements {
  const { seats, now, parameter: p } = dialect;
  const table = dialect.messages(id);
  const one = maker(id);
  const some = (name: string, text: string, condition: string, returns = false): Statement => ({
    ...one(name, text, returns),
    guard: `SELECT 1 FROM ${table} WHERE ${condition} LIMIT 1`,
  });
  const expired = `holder IS NULL AND expires <= ${now}`;
  const orphaned = `holder IS NOT NULL AND holder NOT IN (SELECT id FROM ${seats} WHERE box = ${id})`;
  const mine = `holder = ${p(1)} AND ${dialect.among('id', 2)}`;
  const front = (columns: string): string =>
    `(SELECT ${columns} FROM ${table} ORDER BY id LIMIT ${FRONT}) front`;
  return {
    ...takingStatements(dialect, id),
    ack: one('ack', `DELETE FROM ${table} WHERE ${mine}`),
    ackRun: one('ack_run', `DELETE FROM ${table} WHERE holder = ${p(1)} AND id BETWEEN ${p(2)} AND ${p(3)}`),
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
      `UPDATE ${table} SET holder = NULL, lease = NULL WHERE holder = ${p(1)} AND NOT (${dialect.among('id', 2)})`,
    ),
    extend: one('extend', `UPDATE ${table} SET lease = ${now} + ${p(3)} WHERE ${mine} AND lease IS NOT NULL`),
    expire: some('expire', `DELETE FROM ${table} WHERE ${expired} RETURNING id`, expired, true),
    orphaned: one('orphaned', `SELECT id FROM ${table} WHERE ${orphaned}`, true),
    free: one(
      'free',
      `UPDATE ${table} SET holder = NULL, lease = NULL WHERE ${dialect.among('id', 1)} AND ${orphaned}`,
    ),
    orphansInFront: one(
      'orphans_in_front',
      `SELECT 1 FROM ${front('holder')} WHERE ${orphaned} LIMIT 1`,
      true,
    ),
    freeSeat: one(
      'free_seat',
      `UPDATE ${table} SET holder = NULL, lease = NULL WHERE holder = ${p(1)} AND id <= ${p(2)}`,
    ),
    outlook: one(
      'outlook',
      `SELECT (SELECT min(due) FROM ${table} WHERE due IS NOT NULL AND holder IS NULL) - ${now}, min(lease) - ${now},
         sum(CASE WHEN holder <> ${p(1)} THEN 1 ELSE 0 END), count(*) FROM ${front('holder, lease')}`,
      true,
    ),
    room: one('room', `SELECT count(*), coalesce(sum(size), 0) FROM ${table}`, true),
    stats: one(
      'stats',
      `SELECT coalesce(sum(CASE WHEN holder IS NULL THEN 1 ELSE 0 END), 0), coalesce(sum(size), 0),
         coalesce(sum(CASE WHEN holder IS NULL THEN 0 ELSE 1 END), 0) FROM ${table}`,
      true,
    ),
    purge: one('purge', `DELETE FROM ${table} WHERE holder IS NULL RETURNING id`, true),
  };
}

const COLUMNS = 'id, deliveries, message';

/** A lease that is over counts as none: its message is taken in its turn, whoever has it. */
function isReady(now: string): string {
  return `(holder IS NULL OR lease <= ${now}) AND (due IS NULL OR due <= ${now}) AND (expires IS NULL OR expires > ${now})`;
}

/** What becomes of a row that is taken, with seat and lease as the first and third parameter. */
function taken({ parameter: p }: Dialect, now: string): string {
  return `holder = ${p(1)}, deliveries = deliveries + 1, lease = CASE WHEN ${p(3)} > 0 THEN ${now} + ${p(3)} END`;
}

function takingStatements(dialect: Dialect, id: number): Pick<MessageStatements, 'claim' | 'peek'> {
  const { now, takingAtOnce, parameter: p } = dialect;
  const ready = isReady(now);
  const peek = `SELECT ${COLUMNS} FROM ${dialect.messages(id)} WHERE ${ready} ORDER BY id LIMIT ${p(1)}`;
  const claim =
    takingAtOnce === undefined ? claimAndMark(dialect, id) : claimAtOnce(dialect, takingAtOnce, id);
  return { claim, peek: maker(id)('peek', peek, true) };
}

function claimAtOnce(dialect: Dialect, { row, isIn, skipLocked }: TakingAtOnce, id: number): Statement {
  const { now, parameter: p } = dialect;
  const table = dialect.messages(id);
  const pick = (where: string, max: string): string =>
    `AS MATERIALIZED (SELECT ${row} FROM ${table} WHERE ${where} AND ${isReady(now)} ORDER BY id LIMIT ${max} ${skipLocked})`;
  const picked = `SELECT ${row} FROM urgent UNION ALL SELECT ${row} FROM others`;
  const claim = `WITH done AS (DELETE FROM ${table} WHERE holder = ${p(1)} AND ${dialect.among('id', 4)}),
    urgent ${pick(`id < ${p(5)}`, p(2))},
    others ${pick(`id >= ${p(6)}`, `${p(2)} - (SELECT count(*) FROM urgent)`)}
    UPDATE ${table} SET ${taken(dialect, now)} WHERE ${isIn(row, picked)} RETURNING ${COLUMNS}`;
  return maker(id)('claim', claim, true);
}

/** The query is all that runs for each row outside of the database's own code: an UPDATE that gives rows back costs several times as much. */
function claimAndMark(dialect: Dialect, id: number): Statement {
  const { now, parameter: p } = dialect;
  const table = dialect.messages(id);
  const one = maker(id);
  const ready = isReady(p(4));
  // Without `id > 0` it would gather rows by the indexes of due and expires, and sort them.
  const query = `SELECT id, deliveries + 1, message FROM ${table} WHERE id > 0 AND ${ready} ORDER BY id LIMIT ${p(2)}`;
  const mark = `UPDATE ${table} SET ${taken(dialect, p(4))} WHERE id BETWEEN ${p(5)} AND ${p(6)} AND ${ready}`;
  return {
    ...one('claim', query, true),
    mark: one('claim_mark', mark),
    guard: `SELECT 1 FROM ${table} WHERE ${isReady(now)} LIMIT 1`,
  };
}

function seatStatements(dialect: Dialect, id: number): SeatStatements {
  const { boxes, seats, forUpdate, among, parameter: p, text, lock } = dialect;
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
    leave: one('leave', `DELETE FROM ${seats} WHERE ${among('id', 1)}`),
    peers: one('peers', `SELECT role, count(*) FROM ${seats} WHERE box = ${id} GROUP BY role`, true),
  };
}

function replyStatements(dialect: Dialect, id: number): ReplyStatements {
  const { answers, seats, parameter: p, bytes } = dialect;
  const one = maker(id);
  const box = `box = ${id}`;
  const insert = `INSERT INTO ${answers} (box, seat, message)
    SELECT ${id}, id, ${bytes(2)} FROM ${seats} WHERE id = ${p(1)} AND ${box} AND role = 'r' RETURNING seat`;
  const forgotten = `${box} AND seat NOT IN (SELECT id FROM ${seats} WHERE ${box})`;
  return {
    answer: one('answer', dialect.telling(insert, id), true),
    answers: {
      ...one('answers', `DELETE FROM ${answers} WHERE ${box} AND seat = ${p(1)} RETURNING id, message`, true),
      guard: `SELECT 1 FROM ${answers} WHERE ${box} LIMIT 1`,
    },
    forgetAnswers: {
      ...one('forget_answers', `DELETE FROM ${answers} WHERE ${forgotten}`),
      guard: `SELECT 1 FROM ${answers} WHERE ${forgotten} LIMIT 1`,
    },
  };
}

function maker(id: number): (name: string, text: string, returns?: boolean) => Statement {
  return (name, text, returns = false) => ({ name: `naru_${id}_${name}`, text, returns });
}
