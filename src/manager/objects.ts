// The named objects of a Manager: making, finding, counting their handles, removing. One name is one object, of one kind.

import { randomInt } from 'node:crypto';
import { checkName } from '../mailbox/parse-url.ts';
import type { Budget } from '../state/map-contents.ts';
import { type Held, type HeldInit, managerError } from './held.ts';
import { HeldCells } from './held-cells.ts';
import { HeldList } from './held-list.ts';
import { HeldMailbox } from './held-mailbox.ts';
import { HeldMap } from './held-map.ts';
import { HeldEvent, HeldLock, HeldSemaphore } from './held-sync.ts';
import type { Asked, Kind } from './protocol.ts';

/** An object and its users. */
export interface Entry {
  readonly name: string;
  readonly kind: Kind;
  readonly held: Held;
  /** Random, never 0. */
  readonly life: number;
  readonly owner: 'users' | 'system';
  readonly text: string;
  /** Told when it is removed. */
  readonly users: Set<() => void>;
  isRemoved: boolean;
}

type Make = (asked: Asked, init: HeldInit) => Held;

const KINDS: Readonly<Partial<Record<Kind, Make>>> = {
  map: (asked, init) => new HeldMap(asked, init),
  value: (asked, init) => new HeldCells(asked, init),
  array: (asked, init) => new HeldCells(asked, init),
  list: (asked, init) => new HeldList(asked, init),
  mailbox: (asked, { text }) => new HeldMailbox(asked, text),
  lock: (_, { text }) => new HeldLock(text),
  semaphore: (asked, init) => new HeldSemaphore(asked, init),
  event: (_, { text }) => new HeldEvent(text),
};

const LIFE_MAX = 2 ** 47;

export interface ObjectsInit {
  /** The Manager's address, for errors. */
  readonly text: string;
  readonly objectsMax: number;
  readonly maxValueBytes: number;
  readonly memoryBytes: number;
}

export class Objects {
  /** Random: no other Manager has it. */
  readonly id: number = randomInt(1, LIFE_MAX);
  readonly #init: ObjectsInit;
  readonly #entries = new Map<string, Entry>();
  readonly #budget: Budget;

  constructor(init: ObjectsInit) {
    this.#init = init;
    this.#budget = { used: 0, max: init.memoryBytes };
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Bytes that are in use. */
  get usedBytes(): number {
    return this.#budget.used;
  }

  /**
   * The object that a client asks for, made where it is not there.
   * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_LIMIT, NARU_INVALID_ARGUMENT, NARU_FULL; NARU_CLOSED  the one it had was removed
   */
  find(asked: Asked): { readonly entry: Entry; readonly created: boolean } {
    const name = checkName(asked.name, this.#init.text);
    const text = `${asked.kind} "${name}" of ${this.#init.text}`;
    const existing = this.#entries.get(name);
    if (asked.before?.manager === this.id && existing?.life !== asked.before.life)
      throw managerError('NARU_CLOSED', text, 'it was removed');
    if (existing === undefined) {
      if (asked.create === 'never')
        throw managerError('NARU_NOT_FOUND', text, 'it is not there, and create is "never"');
      return { entry: this.#make(asked, name, text), created: true };
    }
    if (existing.kind !== asked.kind)
      throw managerError('NARU_EXISTS', text, `it is a ${existing.kind}; choose another name`);
    if (asked.create === 'new')
      throw managerError('NARU_EXISTS', text, 'it exists already, and create is "new"; choose another name');
    if (asked.owner !== undefined && asked.owner !== existing.owner)
      throw managerError(
        'NARU_EXISTS',
        text,
        `it exists with owner ${existing.owner}, asked was ${asked.owner}`,
      );
    existing.held.check(asked);
    return { entry: existing, created: false };
  }

  /** A handle is closed: what belongs to its users goes with the last one. */
  left(entry: Entry, user: () => void): void {
    entry.users.delete(user);
    if (entry.users.size === 0 && entry.owner === 'users') this.remove(entry);
  }

  /** For everybody. */
  remove(entry: Entry): void {
    if (entry.isRemoved) return;
    entry.isRemoved = true;
    this.#entries.delete(entry.name);
    entry.held.dispose();
    for (const user of entry.users) user();
  }

  /** What is there, for show. */
  list(): { readonly name: string; readonly kind: Kind; readonly handles: number }[] {
    return Array.from(this.#entries.values(), ({ name, kind, users }) => ({
      name,
      kind,
      handles: users.size,
    }));
  }

  /** The Manager stops. */
  dispose(): void {
    for (const entry of this.#entries.values()) this.remove(entry);
  }

  #make(asked: Asked, name: string, text: string): Entry {
    const { objectsMax, maxValueBytes } = this.#init;
    if (this.#entries.size >= objectsMax)
      throw managerError(
        'NARU_LIMIT',
        text,
        `the Manager has ${objectsMax} objects, that is its limit; raise maxObjects`,
      );
    const make = Object.hasOwn(KINDS, asked.kind) ? KINDS[asked.kind] : undefined;
    if (make === undefined)
      throw managerError('NARU_UNSUPPORTED', text, 'a Manager has no such kind of object');
    const entry: Entry = {
      name,
      kind: asked.kind,
      held: make(asked, { text, maxValueBytes, budget: this.#budget }),
      life: randomInt(1, LIFE_MAX),
      owner: asked.owner ?? 'system',
      text,
      users: new Set(),
      isRemoved: false,
    };
    this.#entries.set(name, entry);
    return entry;
  }
}
