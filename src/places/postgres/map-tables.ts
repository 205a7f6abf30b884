// The tables of maps in a database: made once, however many processes start at once; found again by name. A map has a table of its own,
// so that whoever still holds a removed one sees it gone, even when another of the same name was made.
// Names reach SQL only after checkName(), and numbers are the server's own.

import { randomBytes } from 'node:crypto';
import { checkMaxValueBytes, existingMap, missingMap } from '../../client/map-settings.ts';
import { isNaruError, NaruError } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import type { MapPlaceOptions } from '../../state/map-place.ts';
import { isMissingTable, type PgConnection, type PgRow, type Statement } from './client.ts';

/** Of the tables below. A database with a newer one is refused. */
const FORMAT = 1;
/** The advisory lock of whoever makes tables: "naru" as a number. */
export const MAKERS_LOCK = 1_851_879_029;

export interface FoundMap {
  readonly id: number;
  readonly maxValueBytes: number;
  readonly created: boolean;
}

const FIND: Statement = {
  name: '',
  text: `SELECT m.id, m.max_value_bytes, m.maker, f.version FROM naru.maps m, naru.format f WHERE m.name = $1 AND f.part = 'map'`,
};

/**
 * Finds a map or makes it.
 * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_CORRUPT (a newer format), NARU_DENIED
 */
export async function findMap(
  connection: PgConnection,
  name: string,
  url: PlaceUrl,
  options: MapPlaceOptions,
  defaultMaxValueBytes: number,
): Promise<FoundMap> {
  const maker = randomBytes(8).toString('hex');
  let row = await lookUp(connection, name, url);
  if (row === undefined) {
    if (options.create === 'never') throw missingMap(url, name);
    await connection.execute(makeMap(name, options.maxValueBytes ?? defaultMaxValueBytes, maker));
    row = await lookUp(connection, name, url);
    // Removed again before it was found.
    if (row === undefined) throw missingMap(url, name);
  }
  const [id, maxValueBytes, itsMaker] = row;
  const created = itsMaker === maker;
  if (options.create === 'new' && !created) throw existingMap(url, name);
  checkMaxValueBytes(url, options.maxValueBytes, Number(maxValueBytes));
  return { id: Number(id), maxValueBytes: Number(maxValueBytes), created };
}

async function lookUp(connection: PgConnection, name: string, url: PlaceUrl): Promise<PgRow | undefined> {
  try {
    const [row] = await connection.read(FIND, [name]);
    const version = row?.[3];
    if (row === undefined || version === FORMAT) return row;
    throw new NaruError(
      'NARU_CORRUPT',
      `${url.text}: its maps have format ${String(version)}, this version of Naru knows ${FORMAT}; update Naru, or use another database`,
      { place: 'postgres', mailbox: url.text },
    );
  } catch (error) {
    if (isNaruError(error) && isMissingTable(error)) return undefined;
    throw error;
  }
}

/** One block: all of it happens, once, or nothing. Others wait for the lock and then find it made. */
function makeMap(name: string, maxValueBytes: number, maker: string): string {
  return `DO $make$
    DECLARE made int;
    BEGIN
      PERFORM pg_advisory_xact_lock(${MAKERS_LOCK});
      IF to_regclass('naru.format') IS NULL THEN
        CREATE SCHEMA IF NOT EXISTS naru;
        CREATE TABLE naru.format (part text PRIMARY KEY, version int NOT NULL);
      END IF;
      IF to_regclass('naru.maps') IS NULL THEN
        CREATE TABLE naru.maps (id serial PRIMARY KEY, name text NOT NULL UNIQUE, max_value_bytes bigint NOT NULL,
          maker text NOT NULL, watched timestamptz NOT NULL DEFAULT '-infinity');
        INSERT INTO naru.format (part, version) VALUES ('map', ${FORMAT});
      END IF;
      INSERT INTO naru.maps (name, max_value_bytes, maker) VALUES ('${name}', ${maxValueBytes}, '${maker}')
        ON CONFLICT (name) DO NOTHING RETURNING id INTO made;
      IF made IS NOT NULL THEN
        EXECUTE format('CREATE TABLE naru.map_%s (key bytea PRIMARY KEY, value bytea NOT NULL, version bytea NOT NULL, '
          'expires timestamptz) WITH (fillfactor = 70)', made);
        EXECUTE format('CREATE INDEX ON naru.map_%s (expires) WHERE expires IS NOT NULL', made);
      END IF;
    END $make$`;
}

/** Removes a map; its other handles find no table. */
export function removeMap(id: number): string {
  return `DO $remove$ BEGIN
      PERFORM pg_advisory_xact_lock(${MAKERS_LOCK});
      DROP TABLE IF EXISTS naru.map_${id};
      DELETE FROM naru.maps WHERE id = ${id};
      PERFORM pg_notify('naru_map_${id}', '');
    END $remove$`;
}
