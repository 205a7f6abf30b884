// What a consumer has read and nobody was given yet, in the order in which it is given: what came back first, then what is new. Messages
// with one ordering key are given one at a time: the next when the one before is done.

import type { Entry, Window } from './window.ts';

export class Backlog {
  /** New messages, from `#head` on. */
  #fresh: Entry[] = [];
  #head = 0;
  /** Messages that came back, the oldest first. */
  #again: Entry[] = [];
  /** Keys with a message that is handed out or came back. */
  readonly #busy = new Map<string, Entry>();
  /** Messages behind those. */
  readonly #parked = new Map<string, Entry[]>();
  #count = 0;
  #bytes = 0;

  /** Messages that are not handed out, those behind a key included. */
  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(entry: Entry): void {
    this.#fresh.push(entry);
    this.#grow(entry, 1);
  }

  /** The next message at this time; undefined when all that is there must wait. */
  take(now: number): Entry | undefined {
    const index = this.#again.length === 0 ? -1 : this.#again.findIndex((entry) => entry.readyAt <= now);
    if (index >= 0) {
      const [entry] = this.#again.splice(index, 1);
      return this.#hand(entry as Entry);
    }
    // Of what came back and has to wait, nothing overtakes: the others are behind it in their partition only.
    while (this.#head < this.#fresh.length) {
      const entry = this.#fresh[this.#head] as Entry;
      this.#head += 1;
      if (this.#head === this.#fresh.length) this.#clearFresh();
      if (entry.window.isLost) continue;
      const key = entry.fields?.key;
      if (key === undefined || !this.#busy.has(key)) return this.#hand(entry);
      const parked = this.#parked.get(key);
      if (parked === undefined) this.#parked.set(key, [entry]);
      else parked.push(entry);
    }
    return undefined;
  }

  /** A message came back. Its key stays busy: what is behind it keeps behind it. */
  putBack(entry: Entry, readyAt: number): void {
    entry.readyAt = readyAt;
    entry.state = 'waiting';
    const key = entry.fields?.key;
    if (key !== undefined) this.#busy.set(key, entry);
    let at = this.#again.length;
    while (at > 0 && (this.#again[at - 1] as Entry).offset > entry.offset) at -= 1;
    this.#again.splice(at, 0, entry);
    this.#grow(entry, 1);
  }

  /** A message is done: the next of its key may go. */
  done(entry: Entry): void {
    const key = entry.fields?.key;
    if (key === undefined || this.#busy.get(key) !== entry) return;
    this.#busy.delete(key);
    const parked = this.#parked.get(key);
    const next = parked?.shift();
    if (parked?.length === 0) this.#parked.delete(key);
    if (next === undefined) return;
    this.#grow(next, -1);
    this.putBack(next, 0);
  }

  /** When the next of those that came back is due; undefined: none has to wait. */
  nextDue(): number | undefined {
    if (this.#again.length === 0) return undefined;
    return this.#again.reduce<number | undefined>(
      (least, { readyAt }) => (least === undefined || readyAt < least ? readyAt : least),
      undefined,
    );
  }

  /** Whether take() may give something now. */
  hasSome(now: number): boolean {
    return this.#head < this.#fresh.length || this.#again.some(({ readyAt }) => readyAt <= now);
  }

  /** Forgets everything of partitions that are lost. */
  drop(window: Window): void {
    const stays = (entry: Entry): boolean => {
      if (entry.window !== window) return true;
      this.#grow(entry, -1);
      return false;
    };
    this.#fresh = this.#fresh.slice(this.#head).filter(stays);
    this.#head = 0;
    this.#again = this.#again.filter(stays);
    for (const [key, entries] of this.#parked) {
      const left = entries.filter(stays);
      if (left.length === 0) this.#parked.delete(key);
      else this.#parked.set(key, left);
    }
    for (const [key, entry] of this.#busy) if (entry.window === window) this.#busy.delete(key);
  }

  #hand(entry: Entry): Entry {
    this.#grow(entry, -1);
    const key = entry.fields?.key;
    if (key !== undefined) this.#busy.set(key, entry);
    entry.state = 'handed';
    entry.deliveries += 1;
    return entry;
  }

  #grow(entry: Entry, by: 1 | -1): void {
    this.#count += by;
    this.#bytes += by * entry.body.length;
  }

  #clearFresh(): void {
    this.#fresh = [];
    this.#head = 0;
  }
}
