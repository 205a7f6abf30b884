// Mailboxes played in one thread from a list of random commands, for the tests of the history checker: they write the logs that
// the processes of a real one would, with deaths in the middle of things.

import {
  ANY_PRODUCER,
  type ConsumerLog,
  type History,
  type LogEntry,
  type MessageName,
  type SettleOutcome,
} from './history.fixture.ts';

/** What to do, who does it, and how: numbers from 0 to 99. */
export type Command = readonly [what: number, who: number, how: number];

const PRODUCERS = 3;
const CONSUMERS = 3;
const PRIORITIES = 2;
const OUTCOMES: readonly SettleOutcome[] = ['ack', 'ack', 'ack', 'nack', 'release', 'reject'];

interface Waiting {
  readonly name: MessageName;
  readonly deliveries: number;
}

class Producer {
  isDead = false;
  readonly entries: LogEntry[] = [];
  readonly id: number;
  readonly #sequences: number[] = [];
  #batch: MessageName[] = [];
  #count = 0;

  constructor(id: number) {
    this.id = id;
  }

  offer(priority: number): void {
    const sequence = this.#sequences[priority] ?? 0;
    this.#sequences[priority] = sequence + 1;
    const name = { producer: this.id, priority, sequence };
    this.entries.push({ kind: 'offer', ...name });
    this.#batch.push(name);
  }

  /** @returns what is out now */
  publish(isLogged: boolean): MessageName[] {
    const out = this.#batch;
    this.#batch = [];
    this.#count += out.length;
    if (isLogged && out.length > 0) this.entries.push({ kind: 'published', count: this.#count });
    return out;
  }

  /** Dies before, or just after, it published: then it had no time to log it. @returns what is out */
  die(isBefore: boolean): MessageName[] {
    this.isDead = true;
    return isBefore ? [] : this.publish(false);
  }

  get log(): { id: number; isDead: boolean; entries: LogEntry[] } {
    return { id: this.id, isDead: this.isDead, entries: this.entries };
  }
}

class Queue {
  readonly producers: readonly Producer[] = Array.from({ length: PRODUCERS }, (_, id) => new Producer(id));
  readonly #consumers: { id: number; isDead: boolean; entries: LogEntry[]; has: Waiting[] }[];
  /** Returned messages come first; fresh ones in order within a lane, the urgent before the others. */
  readonly #returned: Waiting[] = [];
  readonly #fresh: Waiting[] = [];

  constructor() {
    const ids = Array.from({ length: CONSUMERS }, (_, id) => id);
    this.#consumers = ids.map((id) => ({ id, isDead: false, entries: [], has: [] }));
  }

  add(names: readonly MessageName[]): void {
    this.#fresh.push(...names.map((name) => ({ name, deliveries: 1 })));
    this.#fresh.sort((a, b) => b.name.priority - a.name.priority);
  }

  /** @param isLogged  false: it dies before it can write down that it has it */
  take(who: number, isLogged: boolean): void {
    const consumer = this.#consumers[who % CONSUMERS];
    if (consumer === undefined || consumer.isDead) return;
    const one = this.#returned.shift() ?? this.#fresh.shift();
    if (one === undefined) return;
    consumer.has.push(one);
    if (!isLogged) return this.die(who);
    const { name, deliveries } = one;
    consumer.entries.push({ kind: 'received', ...name, deliveries, isWhole: true });
  }

  /** @param end  whether it dies before the settling is done, or before it can write that down */
  settle(who: number, how: number, end: 'before' | 'after' | undefined): void {
    const consumer = this.#consumers[who % CONSUMERS];
    if (consumer === undefined || consumer.isDead) return;
    const one = consumer.has[how % consumer.has.length];
    const outcome = OUTCOMES[how % OUTCOMES.length];
    if (one === undefined || outcome === undefined) return;
    const { name, deliveries } = one;
    consumer.entries.push({ kind: 'settling', outcome, ...name });
    if (end === 'before') return this.die(who);
    consumer.has = consumer.has.filter((other) => other !== one);
    if (outcome === 'nack') this.#returned.push({ name, deliveries: deliveries + 1 });
    if (outcome === 'release') this.#returned.push(one);
    if (end === 'after') return this.die(who);
    consumer.entries.push({ kind: 'settled', outcome, ...name });
  }

  die(who: number): void {
    const consumer = this.#consumers[who % CONSUMERS];
    // The last one lives on.
    if (consumer === undefined || consumer.isDead || consumer.id === 0) return;
    consumer.isDead = true;
    for (const { name, deliveries } of consumer.has.splice(0))
      this.#returned.push({ name, deliveries: deliveries + 1 });
  }

  get history(): History {
    const consumers = this.#consumers.map(({ id, isDead, entries }) => ({ id, isDead, entries }));
    const rest = [...this.#returned, ...this.#fresh].map(({ name }) => name);
    const producers = this.producers.map(({ log }) => log);
    return { deliver: 'one', producers, consumers, rest, unpublished: 250, isExact: true };
  }
}

/** Plays a queue with competing consumers. */
export function playQueue(commands: readonly Command[]): History {
  const queue = new Queue();
  for (const [what, who, how] of commands) {
    const producer = queue.producers[who % PRODUCERS];
    if (producer === undefined) continue;
    const canDie = who % CONSUMERS !== 0;
    if (what < 30) produce(producer, how, (names) => queue.add(names));
    else if (what < 60) queue.take(who, how > 2 || !canDie);
    else if (what < 96)
      queue.settle(who, how, how > 95 && canDie ? (how > 97 ? 'before' : 'after') : undefined);
    else if (what < 98) queue.die(who);
    else if (!producer.isDead) queue.add(producer.die(how < 50));
  }
  for (const producer of queue.producers) if (!producer.isDead) queue.add(producer.publish(true));
  return queue.history;
}

function produce(producer: Producer, how: number, add: (names: MessageName[]) => void): void {
  if (producer.isDead) return;
  producer.offer(how % PRIORITIES);
  if (how % 3 > 0) add(producer.publish(true));
}

/** Plays a topic: every consumer goes through each producer's messages, some from the middle on, some with gaps. */
export function playTopic(commands: readonly Command[], isLossy: boolean, isPooled: boolean): History {
  const producers = Array.from({ length: PRODUCERS }, (_, id) => new Producer(id));
  const lanes = new Map<string, MessageName[]>();
  const add = (names: readonly MessageName[]): void => {
    for (const name of names) {
      const key = `${name.producer}/${name.priority}`;
      lanes.set(key, [...(lanes.get(key) ?? []), name]);
    }
  };
  const readers = Array.from({ length: CONSUMERS }, (_, id) => new TopicReader(id, isPooled));
  // One comes late.
  let lateAt = Math.floor(commands.length / 3);
  for (const [what, who, how] of commands) {
    const producer = producers[who % PRODUCERS];
    const reader = readers[who % CONSUMERS];
    if (producer === undefined || reader === undefined) continue;
    lateAt -= 1;
    if (lateAt === 0) readers.at(-1)?.start(lanes);
    if (what < 40) produce(producer, how, add);
    else if (what < 97) reader.read(lanes, how, isLossy);
    else if (what === 97) reader.isDead = reader.isDead || reader.id === 1;
    else if (!producer.isDead) add(producer.die(how < 50));
  }
  for (const producer of producers) if (!producer.isDead) add(producer.publish(true));
  readers.at(-1)?.start(lanes);
  for (const reader of readers) reader.finish(lanes);
  const unpublished = 250;
  return {
    deliver: 'all',
    producers: producers.map(({ log }) => log),
    consumers: readers.map((reader) => reader.log),
    unpublished,
  };
}

class TopicReader {
  isDead = false;
  readonly id: number;
  readonly #isPooled: boolean;
  readonly #entries: LogEntry[] = [];
  readonly #cursors = new Map<string, number>();
  #isStarted: boolean;

  constructor(id: number, isPooled: boolean) {
    this.id = id;
    this.#isPooled = isPooled;
    this.#isStarted = id !== CONSUMERS - 1;
  }

  start(lanes: ReadonlyMap<string, readonly MessageName[]>): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    for (const [key, lane] of lanes) this.#cursors.set(key, lane.length);
  }

  read(lanes: ReadonlyMap<string, readonly MessageName[]>, how: number, isLossy: boolean): void {
    if (this.isDead || !this.#isStarted || lanes.size === 0) return;
    const [key, lane] = [...lanes][how % lanes.size] as [string, readonly MessageName[]];
    const cursor = this.#cursors.get(key) ?? 0;
    const left = lane.length - cursor;
    if (left === 0) return;
    const missed = isLossy && how % 4 === 0 ? Math.min(1 + (how % 3), left - 1) : 0;
    const name = lane[cursor + missed] as MessageName;
    if (missed > 0) {
      const producer = this.#isPooled ? ANY_PRODUCER : name.producer;
      const priority = this.#isPooled ? 0 : name.priority;
      this.#entries.push({ kind: 'gap', producer, priority, count: missed });
    }
    this.#cursors.set(key, cursor + missed + 1);
    this.#entries.push({ kind: 'received', ...name, deliveries: 1, isWhole: true });
    if (how % 10 === 1) this.#giveBack(name, how);
    else this.#settle(name, 'ack');
  }

  #giveBack(name: MessageName, how: number): void {
    const isNack = how % 20 === 1;
    this.#settle(name, isNack ? 'nack' : 'release');
    this.#entries.push({ kind: 'received', ...name, deliveries: isNack ? 2 : 1, isWhole: true });
    this.#settle(name, 'ack');
  }

  #settle(name: MessageName, outcome: SettleOutcome): void {
    this.#entries.push({ kind: 'settling', outcome, ...name }, { kind: 'settled', outcome, ...name });
  }

  finish(lanes: ReadonlyMap<string, readonly MessageName[]>): void {
    for (let lane = 0; lane < lanes.size; lane += 1) {
      for (let before = -1; before !== this.#entries.length; ) {
        before = this.#entries.length;
        this.read(lanes, lane, false);
      }
    }
  }

  get log(): ConsumerLog {
    const { id, isDead } = this;
    return { id, isDead, entries: this.#entries, isFromStart: id !== CONSUMERS - 1 };
  }
}
