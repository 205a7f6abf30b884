// What a broker may have after a crash, judged from outside: scripts of clients, what they were told, and whether what comes out
// afterwards fits to it. For the crash tests of this folder; not part of the package.

import { settled } from '../log/clock.fixture.ts';
import { seeded } from '../log/sim-disk.fixture.ts';
import type { Got } from './got.fixture.ts';
import { Peer } from './peer.fixture.ts';
import type { Drained, StoredLab } from './stored-lab.fixture.ts';

export type Step =
  | { readonly do: 'publish'; readonly to: Target; readonly count: number; readonly bytes: number }
  | { readonly do: 'get'; readonly queue: string; readonly count: number }
  | { readonly do: 'settle'; readonly how: 'ack' | 'requeue' | 'reject'; readonly part: number }
  | { readonly do: 'purge'; readonly queue: string }
  | { readonly do: 'declare' | 'delete'; readonly name: string }
  | { readonly do: 'transaction'; readonly count: number; readonly from: string }
  | { readonly do: 'lose' | 'wait' | 'pass' };

/** Where a message goes: a queue, or the fanout exchange to `a` and `b`. */
type Target = 'a' | 'b' | 'limited' | 'all';

/** The queues that are there throughout; `b` sends what is rejected to `dead`. */
const QUEUES = ['a', 'b', 'dead', 'limited'] as const;
const REACHED: Readonly<Record<Target, readonly string[]>> = {
  a: ['a'],
  b: ['b'],
  limited: ['limited'],
  all: ['a', 'b'],
};

/** A script from a seed. */
export function scriptOf(seed: number, length: number): Step[] {
  const random = seeded(seed);
  const pick = <T>(...of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const steps: Step[] = [];
  for (let at = 0; at < length; at += 1) {
    const dice = random();
    if (dice < 0.4) {
      const to = pick<Target>('a', 'b', 'limited', 'all');
      steps.push({ do: 'publish', to, count: 1 + Math.floor(random() * 8), bytes: pick(10, 10, 600, 9000) });
    } else if (dice < 0.55)
      steps.push({ do: 'get', queue: pick(...QUEUES), count: 1 + Math.floor(random() * 5) });
    else if (dice < 0.72)
      steps.push({ do: 'settle', how: pick('ack', 'ack', 'requeue', 'reject'), part: random() });
    else if (dice < 0.75) steps.push({ do: 'purge', queue: pick('a', 'b') });
    else if (dice < 0.8) steps.push({ do: pick('declare', 'delete'), name: pick('x', 'y') });
    else if (dice < 0.84) {
      steps.push({ do: 'transaction', count: 1 + Math.floor(random() * 4), from: pick('a', 'b', 'limited') });
    } else steps.push({ do: pick('lose', 'wait', 'wait', 'pass', 'pass') });
  }
  return steps;
}

function persistent(route: Readonly<Record<string, unknown>>, body: string): Buffer {
  return Peer.publication(route, body, { deliveryMode: 2 });
}

/** A transaction: after a crash all of it is there, or nothing. */
interface Transaction {
  readonly published: readonly Copy[];
  readonly acked: readonly Copy[];
  isCommitted: boolean;
}

/** One message in one queue. */
interface Copy {
  readonly id: number;
  readonly queue: string;
  /** The broker said that it is safe. */
  isConfirmed: boolean;
  /** A client was given it. */
  wasDelivered: boolean;
  /** It was acked, purged or dropped: it may be gone, whether or not the client was told. */
  mayBeGone: boolean;
  /** It was rejected: it may be in `dead` instead. */
  mayBeDead: boolean;
}

/** What a history expects of its broker. */
export interface Expectations {
  /** Whether what is confirmed for a queue outlives what happens to the disk. Default: always. */
  readonly isSafe?: (queue: string) => boolean;
}

interface Held {
  readonly tag: number;
  readonly copy: Copy;
}

/** What clients did and were told, over any number of crashes. */
export class History {
  readonly wrong: string[] = [];
  readonly #copies = new Map<string, Copy>();
  #id = 0;
  #held: Held[] = [];
  /** Publishes that wait for their confirm, by their tag. */
  #unconfirmed = new Map<number, readonly Copy[]>();
  #tag = 0;
  /** The queues of the basic.gets that were not answered yet. */
  #asked: string[] = [];
  /** Whether `x` and `y` are there: told so, or unknown. */
  readonly #declared = new Map<string, boolean | undefined>();
  #publisher: Peer | undefined;
  #consumer: Peer | undefined;
  #transactions: Transaction[] = [];
  readonly #isSafe: (queue: string) => boolean;

  constructor({ isSafe = () => true }: Expectations = {}) {
    this.#isSafe = isSafe;
  }

  /** Runs a script, until it is over: the power is off. */
  async run(stored: StoredLab, steps: readonly Step[], isOver: () => boolean = () => false): Promise<void> {
    this.#held = [];
    this.#unconfirmed = new Map();
    this.#tag = 0;
    this.#asked = [];
    this.#publisher = stored.connect();
    this.#consumer = stored.connect();
    await this.#declareAll(stored, this.#publisher, isOver);
    for (const step of steps) {
      if (isOver()) return;
      await this.#do(stored, step);
      this.#listen(this.#publisher.take());
      this.#hear(this.#consumer.take());
    }
    await settled();
    this.#listen(this.#publisher.take());
  }

  async #declareAll(stored: StoredLab, peer: Peer, isOver: () => boolean): Promise<void> {
    const dead = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' };
    const args: Readonly<Record<string, object>> = {
      b: dead,
      limited: { 'x-queue-type': 'quorum', 'x-delivery-limit': 3 },
    };
    await stored.call(peer, 'exchange.declare', { exchange: 'all', type: 'fanout', durable: true });
    for (const queue of QUEUES) {
      const [got] = await stored.call(peer, 'queue.declare', {
        queue,
        durable: true,
        args: args[queue] ?? {},
      });
      if (isOver()) return;
      if (got?.name !== 'queue.declare-ok') this.wrong.push(`declaring ${queue}: ${got?.name ?? 'nothing'}`);
    }
    for (const queue of REACHED.all) await stored.call(peer, 'queue.bind', { queue, exchange: 'all' });
    await stored.call(peer, 'confirm.select');
  }

  async #do(stored: StoredLab, step: Step): Promise<void> {
    const consumer = this.#consumer as Peer;
    switch (step.do) {
      case 'publish':
        for (let count = 0; count < step.count; count += 1) this.#publish(step.to, step.bytes);
        break;
      case 'get':
        for (let count = 0; count < step.count; count += 1) this.#get(consumer, step.queue);
        await settled();
        break;
      case 'settle':
        this.#settle(consumer, step.how, step.part);
        break;
      case 'purge':
        for (const copy of this.#copies.values()) {
          if (copy.queue === step.queue && !this.#isHeld(copy)) copy.mayBeGone = true;
        }
        await stored.call(consumer, 'queue.purge', { queue: step.queue });
        break;
      case 'declare':
      case 'delete':
        await this.#define(stored, step.do, step.name);
        break;
      case 'transaction':
        await this.#transact(stored, step.count, step.from);
        break;
      case 'lose':
        this.#returned();
        consumer.session.disconnected();
        this.#held = [];
        this.#asked = [];
        this.#consumer = stored.connect();
        break;
      case 'wait':
        await settled();
        break;
      case 'pass':
        await stored.pass();
        break;
      default:
        throw new Error(`no such step: ${JSON.stringify(step satisfies never)}`);
    }
  }

  /** A message's body: its number, then filling. */
  #publish(to: Target, bytes: number): void {
    const copies = this.#make(REACHED[to]);
    this.#tag += 1;
    this.#unconfirmed.set(this.#tag, copies);
    const route = to === 'all' ? { exchange: 'all' } : { routingKey: to };
    const publisher = this.#publisher as Peer;
    // A quorum queue stores what is transient too.
    const deliveryMode = to === 'limited' && this.#id % 2 === 0 ? 1 : 2;
    publisher.bytes(Peer.publication(route, `${this.#id} ${'.'.repeat(bytes)}`, { deliveryMode }));
  }

  #make(queues: readonly string[]): Copy[] {
    this.#id += 1;
    const id = this.#id;
    return queues.map((queue) => {
      const copy = {
        id,
        queue,
        isConfirmed: false,
        wasDelivered: false,
        mayBeGone: false,
        mayBeDead: false,
      };
      this.#copies.set(`${queue} ${id}`, copy);
      return copy;
    });
  }

  /** Confirms that came. */
  #listen(got: readonly Got[]): void {
    for (const { name, args } of got) {
      if (name !== 'basic.ack' && name !== 'basic.nack') continue;
      const tag = Number(args['deliveryTag']);
      for (const [each, copies] of this.#unconfirmed) {
        if (each !== tag && !(args['multiple'] === true && each < tag)) continue;
        this.#unconfirmed.delete(each);
        for (const copy of copies) {
          if (name === 'basic.ack') copy.isConfirmed = true;
          else copy.mayBeGone = true;
        }
      }
    }
  }

  #get(consumer: Peer, queue: string): void {
    consumer.send('basic.get', { queue });
    this.#hear(consumer.take(), queue);
  }

  /** Deliveries that came. Answers to basic.get come in order, some later. */
  #hear(got: readonly Got[], asked?: string): void {
    if (asked !== undefined) this.#asked.push(asked);
    for (const { name, args, body } of got) {
      if (name !== 'basic.get-ok' && name !== 'basic.get-empty') continue;
      const queue = this.#asked.shift() ?? '';
      if (name === 'basic.get-empty') continue;
      const copy = this.#delivered(queue, body ?? '', args['redelivered'] === true);
      if (copy !== undefined) this.#held.push({ tag: Number(args['deliveryTag']), copy });
    }
  }

  #delivered(queue: string, body: string, isRedelivered: boolean): Copy | undefined {
    const id = Number.parseInt(body, 10);
    const copy = this.#copies.get(`${queue} ${id}`);
    if (copy === undefined) {
      this.wrong.push(`message ${id} in ${queue} comes from nowhere`);
      return undefined;
    }
    if (copy.wasDelivered && !isRedelivered)
      this.wrong.push(`message ${id} of ${queue} again, without the mark`);
    copy.wasDelivered = true;
    return copy;
  }

  #isHeld(copy: Copy): boolean {
    return this.#held.some((held) => held.copy === copy);
  }

  #settle(consumer: Peer, how: 'ack' | 'requeue' | 'reject', part: number): void {
    const chosen = this.#held.splice(0, Math.ceil(this.#held.length * part));
    for (const { tag, copy } of chosen) {
      if (how === 'ack') {
        copy.mayBeGone = true;
        consumer.send('basic.ack', { deliveryTag: tag });
        continue;
      }
      if (how === 'reject') this.#die(copy);
      // It may have come back too often.
      else if (copy.queue === 'limited') copy.mayBeGone = true;
      consumer.send('basic.nack', { deliveryTag: tag, requeue: how === 'requeue' });
    }
  }

  /** What the consumer has goes back; of a queue with a limit it may go for good. */
  #returned(): void {
    for (const { copy } of this.#held) if (copy.queue === 'limited') copy.mayBeGone = true;
  }

  /** Stops the broker properly. */
  async stop(stored: StoredLab): Promise<void> {
    this.#returned();
    const peers = [this.#publisher, this.#consumer].filter((peer) => peer !== undefined);
    await stored.stop(peers);
    for (const peer of peers) this.#listen(peer.take());
  }

  #die(copy: Copy): void {
    if (copy.queue !== 'b') {
      copy.mayBeGone = true;
      return;
    }
    copy.mayBeDead = true;
    const key = `dead ${copy.id}`;
    if (this.#copies.has(key)) return;
    const made = { ...copy, queue: 'dead', wasDelivered: false, mayBeDead: false, mayBeGone: copy.mayBeGone };
    // One of the two is there, which one is not known: `b`'s copy answers for both.
    this.#copies.set(key, { ...made, isConfirmed: false });
  }

  async #define(stored: StoredLab, what: 'declare' | 'delete', queue: string): Promise<void> {
    this.#declared.set(queue, undefined);
    const peer = this.#consumer as Peer;
    const got = await stored.call(peer, `queue.${what}`, { queue, durable: true });
    if (got.some(({ name }) => name === `queue.${what}-ok`)) this.#declared.set(queue, what === 'declare');
  }

  /** Takes a message, and acks it in a transaction that publishes; what it tells with commit-ok is as good as a confirm. */
  async #transact(stored: StoredLab, count: number, from: string): Promise<void> {
    const peer = stored.connect();
    peer.send('tx.select');
    const acked: Copy[] = [];
    const [got] = await stored.call(peer, 'basic.get', { queue: from });
    if (got?.name === 'basic.get-ok') {
      const copy = this.#delivered(from, got.body ?? '', got.args['redelivered'] === true);
      if (copy !== undefined) acked.push(copy);
      peer.send('basic.ack', { deliveryTag: got.args['deliveryTag'] });
    }
    const published: Copy[] = [];
    for (let at = 0; at < count; at += 1) {
      published.push(...this.#make(REACHED.all));
      peer.bytes(persistent({ exchange: 'all' }, `${this.#id} tx`));
    }
    const transaction = { published, acked, isCommitted: false };
    this.#transactions.push(transaction);
    for (const copy of acked) copy.mayBeGone = true;
    const told = await stored.call(peer, 'tx.commit');
    transaction.isCommitted = told.some(({ name }) => name === 'tx.commit-ok');
    if (transaction.isCommitted) for (const copy of published) copy.isConfirmed = true;
    peer.session.disconnected();
  }

  /** @param fresh  published by it, and by what clients did certainly there when the transaction is */
  #judgeTransaction({ acked, isCommitted }: Transaction, fresh: readonly Copy[], found: Set<string>): void {
    const isThere = ({ queue, id }: Copy): boolean => found.has(`${queue} ${id}`);
    const there = fresh.filter(isThere);
    const name = `transaction of ${fresh.map(({ id }) => id).join()}`;
    if (there.length > 0 && there.length < fresh.length) this.wrong.push(`a part of the ${name}`);
    const isDone = there.length > 0 || isCommitted;
    for (const copy of acked) {
      const { id, queue } = copy;
      if (isDone && isThere(copy)) this.wrong.push(`${id} of ${queue} is there, acked by the ${name}`);
      if (fresh.length > 0 && !isDone && !isThere(copy))
        this.wrong.push(`${id} of ${queue} is gone, acked by the ${name}, which is not there`);
    }
  }

  /** Drains everything after a restart and says what is wrong. */
  async check(stored: StoredLab): Promise<void> {
    if (this.#publisher !== undefined) this.#listen(this.#publisher.take());
    const peer = stored.connect();
    const found = new Set<string>();
    // Before what is drained now counts as delivered.
    const judged = this.#transactions.map((transaction) => {
      const isFresh = (copy: Copy): boolean => !copy.wasDelivered && !copy.mayBeGone && !copy.mayBeDead;
      return { transaction, fresh: transaction.published.filter(isFresh) };
    });
    this.#transactions = [];
    for (const queue of QUEUES) {
      const [told] = await stored.call(peer, 'queue.declare', { queue, passive: true });
      if (told?.name === 'queue.declare-ok') this.#judge(queue, await stored.drain(peer, queue), found);
      // Unless the crash came before the queue was confirmed.
      else if (this.#id > 0 && this.#isSafe(queue)) this.wrong.push(`queue ${queue} is gone`);
      else if (this.#id === 0) return;
    }
    if (this.#isSafe('a')) {
      for (const { transaction, fresh } of judged) this.#judgeTransaction(transaction, fresh, found);
    }
    for (const [key, copy] of this.#copies) {
      const { id, queue, isConfirmed, mayBeGone, mayBeDead } = copy;
      const isThere = found.has(key) || (mayBeDead && found.has(`dead ${id}`));
      if (!isThere && isConfirmed && !mayBeGone && !this.#wasDeadAndGone(copy) && this.#isSafe(queue)) {
        this.wrong.push(`message ${id} of ${queue} was confirmed and is gone`);
      }
    }
    for (const [name, isThere] of this.#declared) {
      const other = stored.connect();
      const [got] = await stored.call(other, 'queue.declare', { queue: name, passive: true });
      const isFound = got?.name === 'queue.declare-ok';
      if (isThere !== undefined && isThere !== isFound && this.#isSafe(name))
        this.wrong.push(`queue ${name} is ${isFound ? '' : 'not '}there`);
      this.#declared.set(name, isFound);
    }
    // Drained without ack: all of it is gone, and nothing of it may come again unmarked.
    for (const copy of this.#copies.values()) copy.mayBeGone = true;
    peer.session.disconnected();
  }

  #wasDeadAndGone({ id, mayBeDead }: Copy): boolean {
    return mayBeDead && this.#copies.get(`dead ${id}`)?.mayBeGone === true;
  }

  #judge(queue: string, drained: readonly Drained[], found: Set<string>): void {
    let last = 0;
    for (const { body, isRedelivered } of drained) {
      const id = Number.parseInt(body, 10);
      const key = `${queue} ${id}`;
      if (found.has(key)) this.wrong.push(`message ${id} is in ${queue} twice`);
      found.add(key);
      this.#delivered(queue, body, isRedelivered);
      if (queue !== 'dead' && id < last) this.wrong.push(`message ${id} of ${queue} comes after ${last}`);
      last = id;
    }
  }
}
