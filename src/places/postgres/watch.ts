// Who watches a map in PostgreSQL, and what the server's notifications mean for them. Others send notifications only while the map's row
// says that somebody watches, so that is said again from time to time.

import type { PgConnection } from './client.ts';

const RENEW_MS = 20_000;
/** A change that began before the row said so, and ended after, tells nobody: watchers look once more, well within a second. */
const LOOK_AGAIN_MS = 700;

type Changed = (key: string | undefined) => void;

/** What a watch needs of the map. */
export interface WatchedMap {
  readonly channel: string;
  listen(act: (connection: PgConnection) => Promise<void>): Promise<void>;
  /** Says that somebody watches. @returns whether that was known up to now */
  keepWatch(): Promise<boolean>;
}

export class PgWatch {
  readonly #watchers = new Set<Changed>();
  #map: WatchedMap | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;

  /** @returns a function that ends it */
  async add(changed: Changed, map: WatchedMap): Promise<() => void> {
    this.#watchers.add(changed);
    const remove = (): void => {
      this.#watchers.delete(changed);
      if (this.#watchers.size === 0) this.close();
    };
    try {
      if (this.#map === undefined) {
        this.#map = map;
        await map.listen((connection) => this.listen(connection));
        this.#renewal = setInterval(() => void this.#renew(map), RENEW_MS).unref();
      }
      await this.#renewOrThrow(map);
      return remove;
    } catch (error) {
      remove();
      throw error;
    }
  }

  /** Makes a connection hear the notifications, when anybody watches. */
  async listen(connection: PgConnection): Promise<void> {
    if (this.#map !== undefined) await connection.execute(`LISTEN ${this.#map.channel}`);
  }

  /** @param payload  a key's bytes in hexadecimal; '': any may have changed */
  hear(payload: string): void {
    const key = payload === '' ? undefined : Buffer.from(payload, 'hex').toString();
    for (const watcher of this.#watchers) watcher(key);
  }

  close(): void {
    clearInterval(this.#renewal);
    clearTimeout(this.#look);
    this.#map = undefined;
  }

  async #renew(map: WatchedMap): Promise<void> {
    try {
      await this.#renewOrThrow(map);
    } catch {
      // When the connection is back everybody looks anyway, and the next time is soon.
    }
  }

  async #renewOrThrow(map: WatchedMap): Promise<void> {
    if (await map.keepWatch()) return;
    clearTimeout(this.#look);
    this.#look = setTimeout(() => this.hear(''), LOOK_AGAIN_MS).unref();
  }
}
