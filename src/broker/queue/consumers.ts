// The consumers of one queue: whose turn it is. Fair within a priority, higher priorities first; who cannot take now is set aside
// until it says it can, so that finding the next is constant time. A queue with a single active consumer has one at a time.

/** Who takes messages from a queue, as the queue sees it. */
export interface Consumer {
  readonly tag: string;
  /** Higher ones are served first. */
  readonly priority: number;
  readonly exclusive: boolean;
  readonly noAck: boolean;
  /** Set aside; the list's own mark. */
  parked: boolean;
  /** Whether it has credit, and its connection room. */
  canTake(): boolean;
  /** Gives it a message; the message's slot is its to release from now on. */
  take(slot: number, position: number, expiresAt: number, returns: number): void;
  /** The queue is gone, or ended it. */
  cancelled(): void;
}

interface Group {
  readonly priority: number;
  readonly ready: Consumer[];
  next: number;
}

export class Consumers {
  readonly #all: Consumer[] = [];
  /** Highest priority first. */
  readonly #groups: Group[] = [];
  readonly #single: boolean;

  /** @param single  only the first consumer gets messages, until it is gone */
  constructor(single: boolean) {
    this.#single = single;
  }

  get size(): number {
    return this.#all.length;
  }

  get all(): readonly Consumer[] {
    return this.#all;
  }

  /** The one that is served, in a queue with a single active consumer. */
  get active(): Consumer | undefined {
    return this.#single ? this.#all[0] : undefined;
  }

  isActive(consumer: Consumer): boolean {
    return !this.#single || this.#all[0] === consumer;
  }

  add(consumer: Consumer): void {
    this.#all.push(consumer);
    consumer.parked = false;
    let group = this.#groups.find(({ priority }) => priority === consumer.priority);
    if (group === undefined) {
      group = { priority: consumer.priority, ready: [], next: 0 };
      this.#groups.push(group);
      this.#groups.sort((a, b) => b.priority - a.priority);
    }
    enter(group, consumer);
  }

  /** @returns false when it was not there */
  remove(consumer: Consumer): boolean {
    const index = this.#all.indexOf(consumer);
    if (index < 0) return false;
    this.#all.splice(index, 1);
    const at = this.#groups.findIndex(({ priority }) => priority === consumer.priority);
    const group = this.#groups[at] as Group;
    const place = group.ready.indexOf(consumer);
    if (place >= 0) {
      group.ready.splice(place, 1);
      if (place < group.next) group.next -= 1;
    }
    if (!this.#all.some(({ priority }) => priority === consumer.priority)) this.#groups.splice(at, 1);
    return true;
  }

  /** A consumer that was set aside can take again. */
  wake(consumer: Consumer): void {
    if (!consumer.parked) return;
    consumer.parked = false;
    const group = this.#groups.find(({ priority }) => priority === consumer.priority);
    if (group !== undefined) enter(group, consumer);
  }

  /** Whose turn it is; undefined when nobody can take. */
  next(): Consumer | undefined {
    if (this.#single) {
      const first = this.#all[0];
      return first?.canTake() === true ? first : undefined;
    }
    for (let at = 0; at < this.#groups.length; at += 1) {
      const group = this.#groups[at] as Group;
      const { ready } = group;
      while (ready.length > 0) {
        if (group.next >= ready.length) group.next = 0;
        const consumer = ready[group.next] as Consumer;
        if (consumer.canTake()) {
          group.next += 1;
          return consumer;
        }
        consumer.parked = true;
        ready.splice(group.next, 1);
      }
    }
    return undefined;
  }
}

/** Behind all others: it is served when each of them was. */
function enter(group: Group, consumer: Consumer): void {
  const { ready } = group;
  if (group.next === 0 || group.next >= ready.length) {
    group.next = 0;
    ready.push(consumer);
    return;
  }
  ready.splice(group.next, 0, consumer);
  group.next += 1;
}
