// A map that lives in a Manager: the contents of state/map-contents.ts, used by clients.

import { MAP_CONTENTS, MapContents } from '../state/map-contents.ts';
import type { MapItem } from '../state/map-driver.ts';
import {
  compareSettings,
  countOf,
  type Desk,
  type Held,
  type HeldInit,
  managerError,
  type Seat,
  strangeVerb,
} from './held.ts';
import { MANAGER } from './limits.ts';
import { encodePage } from './pages.ts';
import { type Answer, type Asked, type Call, DONE, NO, Verb, YES } from './protocol.ts';

const CAPACITY_BYTES_MAX = 2 ** 40;

export class HeldMap implements Held {
  readonly settings: {
    readonly maxEntries: number;
    readonly capacityBytes: number;
    readonly maxValueBytes: number;
  };
  readonly contents: MapContents;
  readonly text: string;

  constructor(asked: Asked, { text, maxValueBytes, budget }: HeldInit) {
    this.text = text;
    this.settings = {
      maxEntries: countOf(asked, 'maxEntries', MAP_CONTENTS.maxEntries, 1, 2 ** 32, text),
      capacityBytes: countOf(asked, 'capacityBytes', MAP_CONTENTS.capacityBytes, 1, CAPACITY_BYTES_MAX, text),
      maxValueBytes: countOf(asked, 'maxValueBytes', maxValueBytes, 1, maxValueBytes, text),
    };
    this.contents = new MapContents({ place: 'manager', ...this.settings, budget, now: () => Date.now() });
  }

  check(asked: Asked): void {
    compareSettings(asked, this.settings, this.text);
  }

  attach(desk: Desk): Seat {
    return new MapSeat(this, desk);
  }

  dispose(): void {
    this.contents.dispose();
  }
}

class MapSeat implements Seat {
  readonly #map: HeldMap;
  readonly #desk: Desk;
  readonly #iterations = new Map<number, Iterator<readonly MapItem[]>>();
  #iteration = 0;
  /** Keys that changed and were not told yet; undefined: any of them. */
  #changed: Set<string> | undefined = new Set();
  #isTold = true;

  constructor(map: HeldMap, desk: Desk) {
    this.#map = map;
    this.#desk = desk;
  }

  serve(call: Call): Answer | undefined {
    const { contents } = this.#map;
    switch (call.verb) {
      case Verb.get:
        return answerOf(contents.get(call.text));
      case Verb.set:
        return this.#set(call);
      case Verb.delete:
        return contents.delete(call.text, call.y === 0 ? undefined : call.y) ? YES : NO;
      case Verb.clear:
        contents.clear();
        return DONE;
      case Verb.size:
        return { x: contents.size };
      case Verb.page:
        return this.#page(call.x);
      case Verb.leave:
        this.#iterations.delete(call.x);
        return undefined;
      case Verb.watch:
        contents.watchers.add(this.#note);
        return DONE;
      case Verb.unwatch:
        contents.watchers.delete(this.#note);
        return undefined;
      default:
        throw strangeVerb(call, this.#map.text);
    }
  }

  leave(): void {
    this.#map.contents.watchers.delete(this.#note);
    this.#iterations.clear();
  }

  #set({ text: key, body, x: ttlMs, y }: Call): Answer {
    const { settings, text, contents } = this.#map;
    // A well-meaning client has checked all this.
    const keyBytes = Buffer.byteLength(key);
    if (keyBytes < 1 || keyBytes > MANAGER.maxKeyBytes)
      throw managerError(
        'NARU_TOO_LARGE',
        text,
        `a key has 1 to ${MANAGER.maxKeyBytes} bytes, this one ${keyBytes}`,
      );
    if (body.byteLength > settings.maxValueBytes)
      throw managerError(
        'NARU_TOO_LARGE',
        text,
        `the value has ${body.byteLength} bytes, the limit of this map is ${settings.maxValueBytes}`,
      );
    if (!(Number.isInteger(ttlMs) && ttlMs >= 0 && ttlMs < 2 ** 31))
      throw managerError('NARU_INVALID_ARGUMENT', text, `a time to live of ${ttlMs} ms`);
    const only = y === 0 ? undefined : y === -1 ? ({ absent: true } as const) : { version: y };
    return contents.set(key, body, { only, ttlMs: ttlMs === 0 ? undefined : ttlMs }, text) ? YES : NO;
  }

  #page(number: number): Answer {
    const { contents, text } = this.#map;
    let iteration = this.#iterations.get(number);
    let id = number;
    if (number === 0) {
      if (this.#iterations.size >= MANAGER.iterationsMax)
        throw managerError(
          'NARU_LIMIT',
          text,
          `one handle has at most ${MANAGER.iterationsMax} iterations open; end some, or open another handle`,
        );
      this.#iteration += 1;
      id = this.#iteration;
      iteration = contents.pages(MANAGER.pageEntries, MANAGER.pageBytes);
      this.#iterations.set(id, iteration);
    }
    if (iteration === undefined)
      throw managerError(
        'NARU_DISCONNECTED',
        text,
        'the connection broke during the iteration; begin it again',
      );
    const next = iteration.next();
    if (next.done === true) {
      this.#iterations.delete(id);
      return { x: 0 };
    }
    const entries = next.value.map((item) => ({
      key: item.key,
      value: item.value,
      version: item.version as number,
      expiresMs: item.expiresMs ?? 0,
    }));
    return { x: id, body: encodePage(entries) };
  }

  /** Tells once a turn at most; a client that does not read gets "any of them" when it does. */
  readonly #note = (key: string | undefined): void => {
    if (key === undefined || (this.#changed !== undefined && this.#changed.size >= MANAGER.changedKeysMax))
      this.#changed = undefined;
    else this.#changed?.add(key);
    if (!this.#isTold) return;
    this.#isTold = false;
    this.#desk.news(() => this.#tell());
  };

  #tell(): void {
    const keys = this.#changed ?? [''];
    this.#changed = new Set();
    this.#isTold = true;
    for (const key of keys) this.#desk.tell(Verb.changed, { text: key });
  }
}

function answerOf(item: MapItem | undefined): Answer {
  if (item === undefined) return NO;
  return { ref: 1, x: item.version as number, y: item.expiresMs ?? 0, body: item.value };
}
