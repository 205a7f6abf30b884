// The statements of one map's table. Each is a transaction of its own; a change tells those who watch in the same statement, and
// only while somebody does: at its commit a NOTIFY makes transactions of the whole database wait for each other.

import type { Statement } from './client.ts';

/** Entries given at a time. */
export const BATCH = 256;
/** For how long after its last sign of life a watcher is told of changes. */
const WATCH_SECONDS = 60;

export interface MapStatements {
  readonly get: Statement;
  readonly page: Statement;
  readonly size: Statement;
  readonly upsert: Statement;
  readonly insert: Statement;
  readonly replace: Statement;
  readonly remove: Statement;
  readonly removeVersion: Statement;
  readonly clear: Statement;
  readonly sweep: Statement;
  /** Says that somebody watches. @returns whether somebody was known to, up to now */
  readonly keepWatch: Statement;
}

/** The channel of a map's notifications. */
export function channelOf(id: number): string {
  return `naru_map_${id}`;
}

export function mapStatements(id: number): MapStatements {
  const table = `naru.map_${id}`;
  const statement = (what: string, text: string): Statement => ({ name: `naru_map_${id}_${what}`, text });
  const alive = '(t.expires IS NULL OR t.expires > clock_timestamp())';
  const columns = 't.value, t.version, (extract(epoch FROM t.expires) * 1000)::float8';
  const expires = "clock_timestamp() + $4::float8 * interval '1 millisecond'";
  const over = 'value = excluded.value, version = excluded.version, expires = excluded.expires';
  const put =
    `INSERT INTO ${table} AS t (key, value, version, expires) VALUES ($1, $2, $3, ${expires}) ` +
    `ON CONFLICT (key) DO UPDATE SET ${over}`;
  const change = (what: string, text: string, payload = "encode($1, 'hex')"): Statement =>
    statement(
      what,
      `WITH done AS (${text} RETURNING 1)
       SELECT (SELECT count(*)::int FROM done), (
         SELECT pg_notify('${channelOf(id)}', ${payload}) FROM naru.maps m
         WHERE m.id = ${id} AND m.watched > clock_timestamp() AND EXISTS (SELECT FROM done))`,
    );
  return {
    get: statement('get', `SELECT ${columns} FROM ${table} t WHERE t.key = $1 AND ${alive}`),
    page: statement(
      'page',
      `SELECT ${columns}, t.key FROM ${table} t WHERE t.key > $1 AND ${alive} ORDER BY t.key LIMIT ${BATCH}`,
    ),
    size: statement('size', `SELECT count(*)::float8 FROM ${table} t WHERE ${alive}`),
    upsert: change('upsert', put),
    insert: change('insert', `${put} WHERE t.expires <= clock_timestamp()`),
    replace: change(
      'replace',
      `UPDATE ${table} t SET value = $2, version = $3, expires = ${expires} WHERE t.key = $1 AND t.version = $5 AND ${alive}`,
    ),
    remove: change('remove', `DELETE FROM ${table} t WHERE t.key = $1 AND ${alive}`),
    removeVersion: change(
      'remove_version',
      `DELETE FROM ${table} t WHERE t.key = $1 AND t.version = $2 AND ${alive}`,
    ),
    clear: change('clear', `DELETE FROM ${table} t`, "''"),
    sweep: statement('sweep', `DELETE FROM ${table} t WHERE t.expires <= clock_timestamp()`),
    keepWatch: statement(
      'keep_watch',
      `UPDATE naru.maps m SET watched = clock_timestamp() + interval '${WATCH_SECONDS} seconds' FROM naru.maps before
       WHERE m.id = ${id} AND before.id = m.id RETURNING before.watched > clock_timestamp()`,
    ),
  };
}
