// Maps of postgres://user:password@host/database?map=name: a table in PostgreSQL, reached over one connection per handle. Statements
// are sent one behind the other without waiting; the server answers in order.

import { randomBytes } from 'node:crypto';
import { checkEngineMap, closedMap } from '../../client/map-settings.ts';
import { Reconnecting } from '../../client/reconnecting.ts';
import { versionBytes, Versions, versionText } from '../../client/versions.ts';
import { isNaruError } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import type { MapDriver, MapFacts, MapItem, MapSetOptions, MapVersion } from '../../state/map-driver.ts';
import type { MapPlace } from '../../state/map-place.ts';
import { addressOf, isMissingTable, PgConnection, type PgRow, type PgTarget, pgTarget } from './client.ts';
import { postgresMap } from './map-capabilities.ts';
import { BATCH, channelOf, mapStatements, type MapStatements } from './map-statements.ts';
import { findMap, type FoundMap, removeMap } from './map-tables.ts';
import { PgWatch } from './watch.ts';

/** After so many sets the handle removes what has expired. */
const SWEEP_EVERY = 200;

export const mapPlace: MapPlace = {
  capabilities: postgresMap,
  parameters: ['map', 'sslmode', 'host'],
  async open(url, options) {
    const name = checkEngineMap(url, options);
    const target = pgTarget(url);
    const watch = new PgWatch();
    const link = await Reconnecting.open<PgConnection>(
      (lost) => connect(target, lost, watch),
      { place: 'postgres', text: url.text },
      options.signal,
    );
    try {
      const { maxValueBytes } = postgresMap.limits;
      const found = await link.run((connection) => findMap(connection, name, url, options, maxValueBytes));
      return new PostgresMap(link, watch, found, factsOf(url, name, found));
    } catch (error) {
      link.close();
      throw error;
    }
  },
};

/** A new connection hears the notifications before anybody uses it. */
async function connect(target: PgTarget, lost: () => void, watch: PgWatch): Promise<PgConnection> {
  const connection = await PgConnection.connect(target, lost, (payload) => watch.hear(payload));
  try {
    await watch.listen(connection);
    return connection;
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

function factsOf(url: PlaceUrl, name: string, found: FoundMap): MapFacts {
  return {
    capabilities: postgresMap,
    text: url.text,
    address: addressOf(url, 'map', name),
    maxKeyBytes: postgresMap.limits.maxKeyBytes,
    maxValueBytes: found.maxValueBytes,
    created: found.created,
  };
}

class PostgresMap implements MapDriver {
  readonly facts: MapFacts;
  readonly #link: Reconnecting<PgConnection>;
  readonly #watch: PgWatch;
  readonly #id: number;
  readonly #statements: MapStatements;
  readonly #versions = new Versions(randomBytes);
  #sets = 0;

  constructor(link: Reconnecting<PgConnection>, watch: PgWatch, { id }: FoundMap, facts: MapFacts) {
    this.#link = link;
    this.#watch = watch;
    this.#id = id;
    this.#statements = mapStatements(id);
    this.facts = facts;
    link.onBack(() => watch.hear(''));
  }

  async get(key: string): Promise<MapItem | undefined> {
    const [row] = await this.#run((connection) => connection.read(this.#statements.get, [Buffer.from(key)]));
    return row === undefined ? undefined : itemOf(key, row);
  }

  async set(key: string, value: Uint8Array, { only, ttlMs }: MapSetOptions): Promise<boolean> {
    const { upsert, insert, replace } = this.#statements;
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const values = [Buffer.from(key), bytes, this.#versions.next(), ttlMs ?? null];
    const done = await this.#run((connection) => {
      if (only === undefined) return connection.write(upsert, values);
      if ('absent' in only) return connection.write(insert, values);
      return connection.write(replace, [...values, versionBytes(only.version)]);
    });
    this.#sets += 1;
    if (this.#sets % SWEEP_EVERY === 0)
      await this.#run((connection) => connection.write(this.#statements.sweep));
    return done[0]?.[0] === 1;
  }

  async delete(key: string, version: MapVersion | undefined): Promise<boolean> {
    const { remove, removeVersion } = this.#statements;
    const bytes = Buffer.from(key);
    const done = await this.#run((connection) =>
      version === undefined
        ? connection.write(remove, [bytes])
        : connection.write(removeVersion, [bytes, versionBytes(version)]),
    );
    return done[0]?.[0] === 1;
  }

  async *entries(): AsyncGenerator<readonly MapItem[]> {
    let after: Buffer = Buffer.alloc(0);
    for (;;) {
      const from = after;
      const rows = await this.#run((connection) => connection.read(this.#statements.page, [from]));
      if (rows.length > 0) yield rows.map((row) => itemOf((row[3] as Buffer).toString(), row));
      if (rows.length < BATCH) return;
      after = rows.at(-1)?.[3] as Buffer;
    }
  }

  async clear(): Promise<void> {
    await this.#run((connection) => connection.write(this.#statements.clear));
  }

  async size(): Promise<number> {
    const [row] = await this.#run((connection) => connection.read(this.#statements.size));
    return Number(row?.[0]);
  }

  watch(changed: (key: string | undefined) => void): Promise<() => void> {
    return this.#watch.add(changed, {
      channel: channelOf(this.#id),
      listen: (act) => this.#run(act),
      keepWatch: async () => {
        const [row] = await this.#run((connection) => connection.write(this.#statements.keepWatch));
        return row?.[0] === true;
      },
    });
  }

  close(): void {
    this.#watch.close();
    this.#link.close();
  }

  async unlink(): Promise<void> {
    await this.#run((connection) => connection.execute(removeMap(this.#id)));
  }

  /** @throws NARU_CLOSED when the map was removed, and what `use` throws */
  async #run<T>(use: (connection: PgConnection) => Promise<T>): Promise<T> {
    try {
      return await this.#link.run(use);
    } catch (error) {
      if (isNaruError(error) && isMissingTable(error))
        throw closedMap('postgres', this.facts.text, 'removed');
      throw error;
    }
  }
}

function itemOf(key: string, [value, version, expires]: PgRow): MapItem {
  return {
    key,
    value: value as Buffer,
    version: versionText(version as Buffer),
    expiresMs: expires === null ? undefined : Number(expires),
  };
}
