// The tables of mailboxes in a file: made once, however many processes start at once; found again by name. A mailbox has a table of its
// own, so that whoever still holds a removed one sees it gone, even when another of the same name was made.

import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import type { BoxSettings } from '../../engine-queue/backend.ts';
import type { SqlBoxSettings } from '../../sql-queue/backend.ts';
import {
  existingBox,
  missingBox,
  newSettings,
  refuseDifferences,
  wrongFormat,
} from '../../engine-queue/settings.ts';
import type { Database, Row } from './database.ts';

/** Of the tables below. A file with a newer one is refused. */
const FORMAT = 2;

const TABLES = `
  CREATE TABLE IF NOT EXISTS naru_format (part TEXT PRIMARY KEY, version INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS naru_boxes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, relation TEXT NOT NULL, capacity_bytes INTEGER,
    capacity_messages INTEGER, max_message_bytes INTEGER NOT NULL, lease_ms INTEGER NOT NULL,
    next INTEGER NOT NULL DEFAULT 1);
  CREATE TABLE IF NOT EXISTS naru_seats (
    id INTEGER PRIMARY KEY AUTOINCREMENT, box INTEGER NOT NULL, role TEXT NOT NULL, lock TEXT NOT NULL,
    identity TEXT NOT NULL, waits INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS naru_answers (
    id INTEGER PRIMARY KEY, box INTEGER NOT NULL, seat INTEGER NOT NULL, message BLOB NOT NULL);
`;

export interface FoundBox {
  readonly settings: SqlBoxSettings;
  readonly created: boolean;
}

/**
 * Finds a mailbox or makes it, in one transaction.
 * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_CORRUPT (a newer format)
 */
export function findBox(
  database: Database,
  name: string,
  url: PlaceUrl,
  options: PlaceOptions,
  maxMessageBytes: number,
): FoundBox {
  return database.write(() => {
    prepareFile(database, url);
    const [row] = database.query('SELECT * FROM naru_boxes WHERE name = ?1').all(name);
    if (row === undefined) {
      if (options.create === 'never') throw missingBox(url, name);
      return makeBox(database, newSettings(name, options, maxMessageBytes));
    }
    if (options.create === 'new') throw existingBox(url, name);
    const settings = settingsOf(row);
    refuseDifferences(url, options, settings);
    return { settings, created: false };
  });
}

/** Removes a mailbox; its other handles find no table. */
export function removeBox(database: Database, id: number): void {
  database.write(() => {
    database.exec(`DROP TABLE IF EXISTS ${tableOf(id)}`);
    database.change('DELETE FROM naru_boxes WHERE id = ?1').run(id);
    database.change('DELETE FROM naru_seats WHERE box = ?1').run(id);
    database.change('DELETE FROM naru_answers WHERE box = ?1').run(id);
  });
}

/** Takes so many sequence numbers, and gives the one behind them. */
export function nextOf(id: number): string {
  return `UPDATE naru_boxes SET next = next + ?1 WHERE id = ${id} RETURNING next`;
}

export function tableOf(id: number): string {
  return `naru_box_${id}`;
}

function makeBox(database: Database, settings: BoxSettings): FoundBox {
  const { name, relation, capacityBytes, capacityMessages, maxMessageBytes, leaseMs } = settings;
  database
    .change(
      `INSERT INTO naru_boxes (name, relation, capacity_bytes, capacity_messages, max_message_bytes, lease_ms)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6)`,
    )
    .run(name, relation, capacityBytes ?? null, capacityMessages ?? null, maxMessageBytes, leaseMs);
  const [row] = database.query('SELECT id FROM naru_boxes WHERE name = ?1').all(name);
  const id = Number(row?.['id']);
  const table = tableOf(id);
  database.exec(`
    CREATE TABLE ${table} (id INTEGER PRIMARY KEY, due INTEGER, expires INTEGER, deliveries INTEGER NOT NULL,
      holder INTEGER, lease INTEGER, size INTEGER NOT NULL, message BLOB NOT NULL);
    CREATE INDEX ${table}_expires ON ${table} (expires) WHERE expires IS NOT NULL;
    CREATE INDEX ${table}_due ON ${table} (due) WHERE due IS NOT NULL;
  `);
  return { settings: { id, ...settings }, created: true };
}

function settingsOf(row: Row): SqlBoxSettings {
  const optional = (value: unknown): number | undefined => (value === null ? undefined : Number(value));
  return {
    id: Number(row['id']),
    name: String(row['name']),
    relation: String(row['relation']),
    capacityBytes: optional(row['capacity_bytes']),
    capacityMessages: optional(row['capacity_messages']),
    maxMessageBytes: Number(row['max_message_bytes']),
    leaseMs: Number(row['lease_ms']),
  };
}

function prepareFile(database: Database, url: PlaceUrl): void {
  database.exec(TABLES);
  database
    .change("INSERT INTO naru_format (part, version) VALUES ('mailbox', ?1) ON CONFLICT (part) DO NOTHING")
    .run(FORMAT);
  const [row] = database.query("SELECT version FROM naru_format WHERE part = 'mailbox'").all();
  const version = Number(row?.['version']);
  if (version !== FORMAT) throw wrongFormat(url, version, FORMAT);
}
