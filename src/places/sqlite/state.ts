// Maps of sqlite:///file.db?map=name: a table in a file that several processes of this machine use at once. Every call is one
// statement or one short transaction; nothing stays open between two calls, so no reader holds up a writer.

import { randomBytes } from 'node:crypto';
import type { PlaceUrl } from '../../mailbox/place.ts';
import { checkEngineMap, closedMap } from '../../client/map-settings.ts';
import { versionBytes, Versions, versionText } from '../../client/versions.ts';
import type {
  MapDriver,
  MapFacts,
  MapItem,
  MapSetOptions,
  MapVersion,
  Maybe,
} from '../../state/map-driver.ts';
import type { MapPlace } from '../../state/map-place.ts';
import { readBusyTimeout } from './busy-timeout.ts';
import { Connection } from './connection.ts';
import { type Change, type Database, type Query, type Row, SQLITE, sqliteCode } from './database.ts';
import { FileWatch } from './file-watch.ts';
import { checkFile } from './file.ts';
import { sqliteMap } from './map-capabilities.ts';
import { findMap, type FoundMap, removeMap } from './map-tables.ts';

/** Entries given at a time by entries(). */
const BATCH = 256;
/** After so many sets the handle removes what has expired. */
const SWEEP_EVERY = 200;

export const mapPlace: MapPlace = {
  capabilities: sqliteMap,
  parameters: ['map', 'busyTimeoutMs'],
  async open(url, options) {
    const name = checkEngineMap(url, options);
    const create = options.create ?? 'if-missing';
    const path = checkFile(url, create !== 'never');
    const connection = await Connection.open({
      path,
      text: url.text,
      busyTimeoutMs: readBusyTimeout(url),
      isDurable: options.survives !== 'process',
    });
    try {
      const wanted = { url, name, create, maxValueBytes: options.maxValueBytes };
      const defaultMaxValueBytes = sqliteMap.limits.maxValueBytes;
      const found = await connection.run((db) => findMap(db, { ...wanted, defaultMaxValueBytes }));
      options.signal.throwIfAborted();
      return new SqliteMap(connection, found, factsOf(url, path, name, found));
    } catch (error) {
      connection.close();
      throw error;
    }
  },
};

function factsOf(url: PlaceUrl, path: string, name: string, found: FoundMap): MapFacts {
  return {
    capabilities: sqliteMap,
    text: url.text,
    address: `sqlite://${encodeURI(path)}?map=${name}`,
    maxKeyBytes: sqliteMap.limits.maxKeyBytes,
    maxValueBytes: found.maxValueBytes,
    created: found.created,
  };
}

/** The statements of one table, compiled once. `?1` is the key wherever there is one. */
class Statements {
  readonly get: Query;
  readonly page: Query;
  readonly count: Query;
  readonly upsert: Change;
  readonly insert: Change;
  readonly replace: Change;
  readonly remove: Change;
  readonly removeVersion: Change;
  readonly sweep: Change;
  readonly clear: Change;
  readonly dataVersion: Query;

  constructor(db: Database, table: string) {
    const alive = (now: string): string => `(expires IS NULL OR expires > ${now})`;
    const put = `INSERT INTO ${table} (key, value, version, expires) VALUES (?1, ?2, ?3, ?4)`;
    const over =
      'DO UPDATE SET value = excluded.value, version = excluded.version, expires = excluded.expires';
    this.get = db.query(`SELECT value, version, expires FROM ${table} WHERE key = ?1 AND ${alive('?2')}`);
    this.page = db.query(
      `SELECT key, value, version, expires FROM ${table} WHERE key > ?1 AND ${alive('?2')} ORDER BY key LIMIT ${BATCH}`,
    );
    this.count = db.query(`SELECT count(*) AS count FROM ${table} WHERE ${alive('?1')}`);
    this.upsert = db.change(`${put} ON CONFLICT (key) ${over}`);
    this.insert = db.change(`${put} ON CONFLICT (key) ${over} WHERE ${table}.expires <= ?5`);
    this.replace = db.change(
      `UPDATE ${table} SET value = ?2, version = ?3, expires = ?4 WHERE key = ?1 AND version = ?6 AND ${alive('?5')}`,
    );
    this.remove = db.change(`DELETE FROM ${table} WHERE key = ?1 AND ${alive('?2')}`);
    this.removeVersion = db.change(`DELETE FROM ${table} WHERE key = ?1 AND ${alive('?2')} AND version = ?3`);
    this.sweep = db.change(`DELETE FROM ${table} WHERE expires <= ?1`);
    this.clear = db.change(`DELETE FROM ${table}`);
    this.dataVersion = db.query('PRAGMA data_version');
  }
}

class SqliteMap implements MapDriver {
  readonly facts: MapFacts;
  readonly #connection: Connection;
  readonly #found: FoundMap;
  readonly #versions = new Versions(randomBytes);
  readonly #watchers = new Set<(key: string | undefined) => void>();
  #compiled: Statements | undefined;
  #fileWatch: FileWatch | undefined;
  #sets = 0;
  #isClosed = false;

  constructor(connection: Connection, found: FoundMap, facts: MapFacts) {
    this.#connection = connection;
    this.#found = found;
    this.facts = facts;
  }

  get(key: string): Maybe<MapItem | undefined> {
    return this.#run((statements) => {
      const [row] = statements.get.all(Buffer.from(key), Date.now());
      return row === undefined ? undefined : itemOf(key, row);
    });
  }

  set(key: string, value: Uint8Array, options: MapSetOptions): Maybe<boolean> {
    // A step that waits for the file runs later than this call returns: by then the caller's bytes may be others.
    let kept = value;
    const done = this.#write((statements) => this.#store(statements, key, kept, options));
    if (done instanceof Promise) kept = Uint8Array.prototype.slice.call(value);
    return this.#told(done, key);
  }

  delete(key: string, version: MapVersion | undefined): Maybe<boolean> {
    const bytes = Buffer.from(key);
    const done = this.#write(({ remove, removeVersion }) => {
      if (version === undefined) return remove.run(bytes, Date.now()) === 1;
      return removeVersion.run(bytes, Date.now(), versionBytes(version)) === 1;
    });
    return this.#told(done, key);
  }

  async *entries(): AsyncGenerator<readonly MapItem[]> {
    let after: Uint8Array = Buffer.alloc(0);
    for (;;) {
      const from = after;
      const rows = await this.#run(({ page }) => page.all(from, Date.now()));
      if (rows.length > 0) yield rows.map((row) => itemOf(textOf(row['key']), row));
      if (rows.length < BATCH) return;
      after = rows.at(-1)?.['key'] as Uint8Array;
    }
  }

  clear(): Maybe<void> {
    const done = this.#write(({ clear }) => clear.run() > 0);
    const told = this.#told(done, undefined);
    return told instanceof Promise ? told.then(() => undefined) : undefined;
  }

  size(): Maybe<number> {
    return this.#run(({ count }) => Number(count.all(Date.now())[0]?.['count']));
  }

  async watch(changed: (key: string | undefined) => void): Promise<() => void> {
    if (this.#fileWatch === undefined) {
      const { path } = this.#connection.settings;
      const { dataVersion } = await this.#run((statements) => statements);
      this.#fileWatch ??= new FileWatch(
        path,
        () => readVersion(dataVersion),
        () => this.#tell(undefined),
      );
    }
    this.#watchers.add(changed);
    return () => {
      this.#watchers.delete(changed);
      if (this.#watchers.size > 0) return;
      this.#fileWatch?.close();
      this.#fileWatch = undefined;
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#fileWatch?.close();
    this.#connection.close();
  }

  async unlink(): Promise<void> {
    await this.#run(() => undefined);
    await this.#connection.run((db) => removeMap(db, this.#found));
    this.#tell(undefined);
  }

  #store(statements: Statements, key: string, value: Uint8Array, { only, ttlMs }: MapSetOptions): boolean {
    const now = Date.now();
    const values = [
      Buffer.from(key),
      value,
      this.#versions.next(),
      ttlMs === undefined ? null : now + ttlMs,
    ] as const;
    this.#sets += 1;
    if (this.#sets % SWEEP_EVERY === 0) statements.sweep.run(now);
    if (only === undefined) return statements.upsert.run(...values) === 1;
    if ('absent' in only) return statements.insert.run(...values, now) === 1;
    return statements.replace.run(...values, now, versionBytes(only.version)) === 1;
  }

  /** One step; a table that is not there any more is a map that was removed. */
  #run<T>(act: (statements: Statements, database: Database) => T): Maybe<T> {
    if (this.#isClosed) throw closedMap('sqlite', this.facts.text, 'closed');
    return this.#connection.run((db) => {
      try {
        this.#compiled ??= new Statements(db, this.#found.table);
        return act(this.#compiled, db);
      } catch (error) {
        if (sqliteCode(error) !== SQLITE.error || !/no such table/.test((error as Error).message))
          throw error;
        throw closedMap('sqlite', this.facts.text, 'removed');
      }
    });
  }

  #write<T>(act: (statements: Statements) => T): Maybe<T> {
    return this.#run((statements, db) => db.write(() => act(statements)));
  }

  /** Changes of this connection are not seen in the file's data_version. */
  #told(done: Maybe<boolean>, key: string | undefined): Maybe<boolean> {
    if (done instanceof Promise) return done.then((did) => this.#told(did, key));
    if (done) this.#tell(key);
    return done;
  }

  #tell(key: string | undefined): void {
    for (const watcher of this.#watchers) watcher(key);
  }
}

function itemOf(key: string, row: Row): MapItem {
  const expires = row['expires'];
  return {
    key,
    value: row['value'] as Uint8Array,
    version: versionText(row['version'] as Uint8Array),
    expiresMs: expires === null ? undefined : Number(expires),
  };
}

function textOf(key: unknown): string {
  return Buffer.from(key as Uint8Array).toString();
}

function readVersion(dataVersion: Query): number | undefined {
  try {
    return Number(dataVersion.all()[0]?.['data_version']);
  } catch {
    return undefined;
  }
}
