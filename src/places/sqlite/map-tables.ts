// The tables of maps in a file: made once, however many processes start at once; found again by name. A map has a table of its own,
// so that whoever still holds a removed one sees it gone, even when another of the same name was made.

import { NaruError } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import type { Create } from '../../mailbox/options.ts';
import { checkMaxValueBytes, existingMap, missingMap } from '../../client/map-settings.ts';
import type { Database } from './database.ts';

/** Of the tables below. A file with a newer one is refused. */
const FORMAT = 1;

const TABLES = `
  CREATE TABLE IF NOT EXISTS naru_format (part TEXT PRIMARY KEY, version INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS naru_maps (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, max_value_bytes INTEGER NOT NULL);
`;

export interface FoundMap {
  readonly id: number;
  readonly table: string;
  readonly maxValueBytes: number;
  readonly created: boolean;
}

export interface WantedMap {
  readonly url: PlaceUrl;
  readonly name: string;
  readonly create: Create;
  readonly maxValueBytes: number | undefined;
  readonly defaultMaxValueBytes: number;
}

/**
 * Finds a map or makes it, in one transaction.
 * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_CORRUPT (a newer format)
 */
export function findMap(database: Database, wanted: WantedMap): FoundMap {
  return database.write(() => {
    prepareFile(database, wanted.url.text);
    const [row] = database.query('SELECT id, max_value_bytes FROM naru_maps WHERE name = ?').all(wanted.name);
    if (row === undefined) return makeMap(database, wanted);
    if (wanted.create === 'new') throw existingMap(wanted.url, wanted.name);
    const maxValueBytes = Number(row['max_value_bytes']);
    checkMaxValueBytes(wanted.url, wanted.maxValueBytes, maxValueBytes);
    const id = Number(row['id']);
    return { id, table: tableOf(id), maxValueBytes, created: false };
  });
}

/** Removes a map; its other handles find no table. */
export function removeMap(database: Database, { id, table }: FoundMap): void {
  database.write(() => {
    database.exec(`DROP TABLE IF EXISTS ${table}`);
    database.change('DELETE FROM naru_maps WHERE id = ?').run(id);
  });
}

function makeMap(database: Database, wanted: WantedMap): FoundMap {
  if (wanted.create === 'never') throw missingMap(wanted.url, wanted.name);
  const maxValueBytes = wanted.maxValueBytes ?? wanted.defaultMaxValueBytes;
  database
    .change('INSERT INTO naru_maps (name, max_value_bytes) VALUES (?, ?)')
    .run(wanted.name, maxValueBytes);
  const [row] = database.query('SELECT id FROM naru_maps WHERE name = ?').all(wanted.name);
  const id = Number(row?.['id']);
  const table = tableOf(id);
  database.exec(`
    CREATE TABLE ${table} (key BLOB PRIMARY KEY, value BLOB NOT NULL, version BLOB NOT NULL, expires INTEGER);
    CREATE INDEX ${table}_expires ON ${table} (expires) WHERE expires IS NOT NULL;
  `);
  return { id, table, maxValueBytes, created: true };
}

function tableOf(id: number): string {
  return `naru_map_${id}`;
}

function prepareFile(database: Database, text: string): void {
  database.exec(TABLES);
  database
    .change("INSERT INTO naru_format (part, version) VALUES ('map', ?) ON CONFLICT (part) DO NOTHING")
    .run(FORMAT);
  const [row] = database.query("SELECT version FROM naru_format WHERE part = 'map'").all();
  const version = Number(row?.['version']);
  if (version === FORMAT) return;
  throw new NaruError(
    'NARU_CORRUPT',
    `${text}: its maps have format ${version}, this version of Naru knows ${FORMAT}; update Naru, or use another file`,
    { place: 'sqlite', mailbox: text },
  );
}
