// The connection of one handle to its map: finds or makes the map when it opens, looks again whenever the connection was lost or the
// server says that the map's mark has changed, and knows from then on that it was removed. What is read and written is not here.

import { randomBytes } from 'node:crypto';
import { checkMaxValueBytes, closedMap, existingMap, missingMap } from '../../client/map-settings.ts';
import { type Connected, Reconnecting } from '../../client/reconnecting.ts';
import { isNaruError } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import type { MapPlaceOptions } from '../../state/map-place.ts';
import { RedisConnection, type RedisTarget, redisTarget } from './client.ts';
import { redisMap } from './map-capabilities.ts';
import { entryPrefix, MAKE, markKey, type MapMark, newMark, readMark, REVIVE } from './map-keys.ts';

/** A connection that the server tells when the map's mark changes. */
class Attached implements Connected {
  readonly connection: RedisConnection;
  /** The mark has changed: nothing is sure until this is over. */
  check: Promise<void> | undefined;

  constructor(connection: RedisConnection) {
    this.connection = connection;
  }

  ref(): void {
    this.connection.ref();
  }

  unref(): void {
    this.connection.unref();
  }

  destroy(): void {
    this.connection.destroy();
  }
}

export class MapLink {
  readonly name: string;
  readonly target: RedisTarget;
  readonly #text: string;
  readonly #markKey: string;
  #link: Reconnecting<Attached> | undefined;
  #mark: MapMark | undefined;
  #prefix = '';
  #removed: unknown;
  created = false;

  private constructor(url: PlaceUrl, name: string) {
    this.name = name;
    this.target = redisTarget(url);
    this.#text = url.text;
    this.#markKey = markKey(name);
  }

  /** @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_CORRUPT, and what RedisConnection.connect() throws */
  static async open(url: PlaceUrl, name: string, options: MapPlaceOptions): Promise<MapLink> {
    const self = new MapLink(url, name);
    self.#link = await Reconnecting.open(
      (lost) => self.#attach(lost, (connection) => self.#find(connection, url, options)),
      { place: 'redis', text: url.text },
      options.signal,
    );
    return self;
  }

  get mark(): MapMark {
    return this.#mark as MapMark;
  }

  /** What the keys of all entries begin with. */
  get prefix(): string {
    return this.#prefix;
  }

  /**
   * Uses the connection, and does not come back before it is known that the map was there all the time.
   * @param undo  takes back what was done to a map that is gone
   * @throws NARU_CLOSED (removed, or the handle was closed), NARU_DISCONNECTED, what `use` throws
   */
  run<T>(
    use: (connection: RedisConnection) => Promise<T>,
    undo?: (connection: RedisConnection) => Promise<unknown>,
  ): Promise<T> {
    if (this.#removed !== undefined) return Promise.reject(this.#removed);
    return (this.#link as Reconnecting<Attached>).run(async (attached) => {
      const answer = await use(attached.connection);
      return attached.check === undefined ? answer : this.#checked(attached, answer, undo);
    });
  }

  /**
   * One command, at the least cost: what run() does, without its promises.
   * @param take  makes the result of the server's answer
   */
  call<T>(
    command: readonly (string | Uint8Array)[],
    isWrite: boolean,
    take: (answer: unknown) => T,
    undo?: (connection: RedisConnection) => Promise<unknown>,
  ): Promise<T> {
    const link = this.#link as Reconnecting<Attached>;
    const attached = this.#removed === undefined ? link.current : undefined;
    if (attached === undefined)
      return this.run(
        async (connection) =>
          take(await (isWrite ? connection.write(...command) : connection.read(...command))),
        undo,
      );
    link.enter();
    return attached.connection.send(command).then(
      (answer) => {
        link.leave();
        return attached.check === undefined ? take(answer) : this.#checked(attached, take(answer), undo);
      },
      (error: unknown) => {
        link.leave();
        throw attached.connection.failure(error, isWrite);
      },
    );
  }

  close(): void {
    this.#link?.close();
  }

  async #checked<T>(
    attached: Attached,
    answer: T,
    undo: ((connection: RedisConnection) => Promise<unknown>) | undefined,
  ): Promise<T> {
    try {
      await attached.check;
      return answer;
    } catch (error) {
      await undo?.(attached.connection).catch(() => undefined);
      throw error;
    }
  }

  async #attach(lost: () => void, find: (connection: RedisConnection) => Promise<void>): Promise<Attached> {
    let attached: Attached | undefined;
    const prepare = async (connection: RedisConnection): Promise<void> => {
      // The package has switched it on for every key that is read.
      await connection.read('CLIENT', 'TRACKING', 'OFF');
      await connection.read('CLIENT', 'TRACKING', 'ON', 'OPTIN');
      await (this.#mark === undefined ? find(connection) : this.#findAgain(connection));
    };
    const connection = await RedisConnection.connect(this.target, lost, prepare, (key) => {
      if (attached !== undefined && (key === undefined || key.toString() === this.#markKey))
        this.#recheck(attached);
    });
    attached = new Attached(connection);
    return attached;
  }

  #recheck(attached: Attached): void {
    const before = attached.check ?? Promise.resolve();
    const check = before.then(async () => {
      try {
        await this.#findAgain(attached.connection);
      } catch (error) {
        if (isNaruError(error, 'NARU_CLOSED')) this.#removed = error;
        throw error;
      } finally {
        if (attached.check === check) attached.check = undefined;
      }
    });
    // Whoever has a call under way gets it; when nobody has, it is remembered.
    check.catch(() => undefined);
    attached.check = check;
  }

  /** Reads the mark, and is told from now on when it changes. */
  async #readTracked(connection: RedisConnection): Promise<MapMark | undefined> {
    const [, bytes] = await Promise.all([
      connection.read('CLIENT', 'CACHING', 'YES'),
      connection.read('GET', this.#markKey),
    ]);
    return readMark(bytes, this.#text);
  }

  async #find(connection: RedisConnection, url: PlaceUrl, options: MapPlaceOptions): Promise<void> {
    for (;;) {
      const found = await this.#readTracked(connection);
      if (found !== undefined && found.removed !== true) {
        if (options.create === 'new' && !this.created) throw existingMap(url, this.name);
        checkMaxValueBytes(url, options.maxValueBytes, found.maxValueBytes);
        this.#mark = found;
        this.#prefix = entryPrefix(this.name, found.generation);
        return;
      }
      if (options.create === 'never') throw missingMap(url, this.name);
      const mine = newMark(
        randomBytes(8).toString('hex'),
        options.maxValueBytes ?? redisMap.limits.maxValueBytes,
      );
      this.created = String(await connection.script(MAKE, this.#markKey, mine)) === mine;
    }
  }

  /** After a loss: a server that kept nothing, or evicted the mark, gets it again; one that says "removed" is believed. */
  async #findAgain(connection: RedisConnection): Promise<void> {
    const mark = this.mark;
    let found = await this.#readTracked(connection);
    if (found === undefined) {
      await connection.script(REVIVE, this.#markKey, newMark(mark.generation, mark.maxValueBytes));
      found = await this.#readTracked(connection);
    }
    if (found?.removed === true || found?.generation !== mark.generation)
      throw closedMap('redis', this.#text, 'removed');
  }
}
