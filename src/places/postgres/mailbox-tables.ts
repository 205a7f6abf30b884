// The tables of mailboxes in a database: made once, however many processes start at once; found again by name. A mailbox has a table of
// its own, so that whoever still holds a removed one sees it gone. Seats are unlogged: when the server crashes, all its sessions end.
// Names reach SQL only after checkName(), and numbers are the server's own.

import { randomBytes } from 'node:crypto';
import { isNaruError } from '../../errors/index.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import type { BoxSettings } from '../../engine-queue/backend.ts';
import type { SqlBoxSettings } from '../../sql-queue/backend.ts';
import {
  existingBox,
  missingBox,
  newSettings,
  refuseDifferences,
  wrongFormat,
} from '../../engine-queue/settings.ts';
import { isMissingTable, type PgConnection, type PgRow, type Statement } from './client.ts';
import { MAKERS_LOCK } from './map-tables.ts';

/** Of the tables below. A database with a newer one is refused. */
const FORMAT = 2;
/** PostgreSQL 12: WITH … AS MATERIALIZED. */
const VERSION_MIN = 120_000;

const FIND: Statement = {
  name: '',
  text: `SELECT b.id, b.relation, b.capacity_bytes, b.capacity_messages, b.max_message_bytes, b.lease_ms, b.maker, f.version
    FROM naru.boxes b, naru.format f WHERE b.name = $1 AND f.part = 'mailbox'`,
};
const VERSION: Statement = { name: '', text: `SELECT current_setting('server_version_num')::int` };

export interface FoundBox {
  readonly settings: SqlBoxSettings;
  readonly created: boolean;
}

/** @throws NARU_UNSUPPORTED  the server is too old */
export function checkVersion(version: number, url: PlaceUrl): void {
  if (version >= VERSION_MIN) return;
  const [is, least] = [version, VERSION_MIN].map((one) => Math.floor(one / 10_000));
  throw refusal('NARU_UNSUPPORTED', url, `the server is PostgreSQL ${is}, mailboxes need ${least} or newer`);
}

/**
 * Finds a mailbox or makes it.
 * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_CORRUPT (a newer format), NARU_UNSUPPORTED (an old server), NARU_DENIED
 */
export async function findBox(
  connection: PgConnection,
  name: string,
  url: PlaceUrl,
  options: PlaceOptions,
  maxMessageBytes: number,
): Promise<FoundBox> {
  const [version] = await connection.read(VERSION);
  checkVersion(Number(version?.[0]), url);
  const maker = randomBytes(8).toString('hex');
  let row = await lookUp(connection, name, url);
  if (row === undefined) {
    if (options.create === 'never') throw missingBox(url, name);
    await connection.execute(makeBox(newSettings(name, options, maxMessageBytes), maker));
    row = await lookUp(connection, name, url);
    // Removed again before it was found.
    if (row === undefined) throw missingBox(url, name);
  }
  const created = row[6] === maker;
  if (options.create === 'new' && !created) throw existingBox(url, name);
  const settings = settingsOf(name, row);
  refuseDifferences(url, options, settings);
  return { settings, created };
}

async function lookUp(connection: PgConnection, name: string, url: PlaceUrl): Promise<PgRow | undefined> {
  try {
    const [row] = await connection.read(FIND, [name]);
    if (row !== undefined && row[7] !== FORMAT) throw wrongFormat(url, row[7], FORMAT);
    return row;
  } catch (error) {
    if (isNaruError(error) && isMissingTable(error)) return undefined;
    throw error;
  }
}

function settingsOf(name: string, row: PgRow): SqlBoxSettings {
  const optional = (value: unknown): number | undefined => (value === null ? undefined : Number(value));
  return {
    id: Number(row[0]),
    name,
    relation: String(row[1]),
    capacityBytes: optional(row[2]),
    capacityMessages: optional(row[3]),
    maxMessageBytes: Number(row[4]),
    leaseMs: Number(row[5]),
  };
}

/**
 * One block: all of it happens, once, or nothing. Others wait for the lock and then find it made. No index knows of `holder` and `lease`, and every
 * page has room for a second version of its rows: taking writes into the page where the message is, and nowhere else (HOT).
 */
function makeBox(settings: BoxSettings, maker: string): string {
  const { name, relation, capacityBytes, capacityMessages, maxMessageBytes, leaseMs } = settings;
  const values = [capacityBytes ?? 'NULL', capacityMessages ?? 'NULL', maxMessageBytes, Math.round(leaseMs)];
  return `DO $make$
    DECLARE made int;
    BEGIN
      PERFORM pg_advisory_xact_lock(${MAKERS_LOCK});
      IF to_regclass('naru.format') IS NULL THEN
        CREATE SCHEMA IF NOT EXISTS naru;
        CREATE TABLE naru.format (part text PRIMARY KEY, version int NOT NULL);
      END IF;
      IF to_regclass('naru.boxes') IS NULL THEN
        CREATE TABLE naru.boxes (id serial PRIMARY KEY, name text NOT NULL UNIQUE, relation text NOT NULL,
          capacity_bytes bigint, capacity_messages bigint, max_message_bytes bigint NOT NULL, lease_ms bigint NOT NULL,
          maker text NOT NULL);
        CREATE SEQUENCE naru.seat_ids AS int CYCLE;
        CREATE UNLOGGED TABLE naru.seats (id int PRIMARY KEY DEFAULT nextval('naru.seat_ids'), box int NOT NULL,
          role text NOT NULL, lock int NOT NULL, identity text NOT NULL, waits int NOT NULL) WITH (fillfactor = 50);
        CREATE UNLOGGED TABLE naru.answers (id bigserial PRIMARY KEY, box int NOT NULL, seat int NOT NULL, message bytea NOT NULL);
        CREATE INDEX ON naru.answers (box, seat);
        INSERT INTO naru.format (part, version) VALUES ('mailbox', ${FORMAT});
      END IF;
      INSERT INTO naru.boxes (name, relation, capacity_bytes, capacity_messages, max_message_bytes, lease_ms, maker)
        VALUES ('${name}', '${relation}', ${values.join(', ')}, '${maker}')
        ON CONFLICT (name) DO NOTHING RETURNING id INTO made;
      IF made IS NOT NULL THEN
        EXECUTE format('CREATE TABLE naru.box_%s (id bigserial PRIMARY KEY, due bigint, expires bigint, '
          'deliveries int NOT NULL, holder int, lease bigint, size bigint NOT NULL, message bytea NOT NULL) '
          'WITH (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.05)', made);
        EXECUTE format('CREATE INDEX ON naru.box_%s (expires) WHERE expires IS NOT NULL', made);
        EXECUTE format('CREATE INDEX ON naru.box_%s (due) WHERE due IS NOT NULL', made);
      END IF;
    END $make$`;
}

/** Removes a mailbox; its other handles find no table. */
export function removeBox(id: number): string {
  return `DO $remove$ BEGIN
      PERFORM pg_advisory_xact_lock(${MAKERS_LOCK});
      DROP TABLE IF EXISTS ${tableOf(id)};
      DELETE FROM naru.boxes WHERE id = ${id};
      DELETE FROM naru.seats WHERE box = ${id};
      DELETE FROM naru.answers WHERE box = ${id};
      PERFORM pg_notify('${channelOf(id)}', '');
    END $remove$`;
}

export function tableOf(id: number): string {
  return `naru.box_${id}`;
}

/** The next sequence number of a mailbox, in SQL. */
export function nextOf(id: number): string {
  return `nextval('${tableOf(id)}_id_seq')`;
}

export function channelOf(id: number): string {
  return `naru_box_${id}`;
}
