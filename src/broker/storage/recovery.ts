// Reading everything back when a broker starts: definitions, then the messages of each queue in order, with what is known of how
// often they were delivered. Bodies stay on the disk until they are needed.

import { NaruError } from '../../errors/index.ts';
import type { Damage } from '../../log/index.ts';
import type { Core } from '../core.ts';
import { deliverLater } from '../delayed.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { readPolicy } from '../queue/arguments.ts';
import type { Queue } from '../queue/queue.ts';
import type { Vhost } from '../vhost.ts';
import { unpackTable, type Change } from './change.ts';
import { DefinitionLog, parseChange } from './definition-log.ts';
import { unpackNote, unpackRemoved, unpackReturns } from './message-record.ts';
import { readRest, writeRunning, type QueueRest } from './rest.ts';
import { STREAM, type Store } from './store.ts';

/** What a start found. */
export interface RecoveryReport {
  /** Nothing was there: a new folder. */
  readonly isNew: boolean;
  /** The last broker stopped properly. Otherwise every message is marked as redelivered: it may have been delivered. */
  readonly isClean: boolean;
  readonly queues: number;
  readonly messages: number;
  readonly damaged: readonly Damage[];
}

/** What is damaged in these is nothing that a queue could be quarantined for. */
const VITAL: ReadonlySet<number> = new Set([STREAM.definitions, STREAM.transactions]);

/** A record of a message that was found. */
interface Found {
  readonly sequence: number;
  readonly stream: number;
  readonly note: number;
  readonly stamp: number;
  readonly bodyBytes: number;
}

/**
 * Fills a core from its store, once, before anybody connects.
 * @throws NARU_CORRUPT  definitions are damaged; NARU_STORAGE
 */
export async function recover(core: Core, store: Store): Promise<RecoveryReport> {
  const recovery = new Recovery(core, store);
  return recovery.run();
}

class Recovery {
  readonly #core: Core;
  readonly #store: Store;
  readonly #byStream = new Map<number, Queue | Exchange>();
  readonly #places = new Map<Queue | Exchange, Vhost>();
  readonly #returns = new Map<string, number>();
  readonly #ordered = new Map<number, Found[]>();
  /** Removed by transactions, as `stream sequence`: that is not written yet. */
  readonly #removed = new Set<string>();
  #rests: ReadonlyMap<number, QueueRest> | undefined;
  #lastSequence = 0;
  #lastSlot = -1;
  #messages = 0;

  constructor(core: Core, store: Store) {
    this.#core = core;
    this.#store = store;
  }

  async run(): Promise<RecoveryReport> {
    const { report } = this.#store.log;
    const damaged = this.#damagedOf(report.damaged);
    const lost = damaged.find(({ streams }) => streams?.some((stream) => VITAL.has(stream)) ?? true);
    if (lost !== undefined) throw this.#corrupt(lost);
    const isNew = await this.#readDefinitions();
    await this.#readTransactions();
    const rests = await readRest(this.#store.log);
    this.#rests = report.isClean ? rests : undefined;
    // From now on this folder was in use: without a proper stop everything may have been delivered. After a crash it says so already, and
    // a start needs no room on the disk.
    if (rests !== undefined) await writeRunning(this.#store.log);
    this.#each(
      (stream) => stream === STREAM.returns,
      (record) => this.#readReturns(record),
    );
    this.#each(
      (stream) => stream >= STREAM.first,
      (record) => this.#readMessage(record),
    );
    this.#store.forgetFound();
    this.#readOrdered();
    for (const damage of damaged) this.#core.quarantine(damage);
    return {
      isNew,
      isClean: isNew || this.#rests !== undefined,
      queues: [...this.#byStream.values()].length,
      messages: this.#messages,
      damaged,
    };
  }

  /** What is damaged and still needed: what was removed may be as it likes. */
  #damagedOf(all: readonly Damage[]): Damage[] {
    if (all.length === 0) return [];
    const needed = new Set<number>();
    this.#each(
      () => true,
      ({ sequence }) => needed.add(sequence),
    );
    return all.filter(({ sequence }) => sequence === undefined || needed.has(sequence));
  }

  #each(isWanted: (stream: number) => boolean, read: (found: Found) => void): void {
    this.#store.eachFound((sequence, stream, note, stamp, bodyBytes) => {
      if (isWanted(stream)) read({ sequence, stream, note, stamp, bodyBytes });
    });
  }

  #corrupt({ file, offset, what }: Damage): NaruError {
    const text = `what the broker cannot do without is damaged: ${file} at byte ${offset}: ${what}. Nothing was changed`;
    return new NaruError('NARU_CORRUPT', `${text}. Restore the folder from a backup, or move it away`);
  }

  /** @returns whether there were none */
  async #readDefinitions(): Promise<boolean> {
    const sequences: number[] = [];
    this.#each(
      (stream) => stream === STREAM.definitions,
      ({ sequence }) => sequences.push(sequence),
    );
    const core = this.#core;
    const store = this.#store;
    const snapshot = await DefinitionLog.read(store);
    const definitions = new DefinitionLog(store, () => core.changes());
    store.knowStream((snapshot?.nextStream ?? 0) - 1);
    for (const change of snapshot?.changes ?? []) this.#apply(change);
    for (const sequence of sequences) {
      if (sequence <= (snapshot?.upTo ?? 0)) {
        store.remove(STREAM.definitions, sequence);
        continue;
      }
      const record = await store.read(sequence);
      if (record === undefined) continue;
      this.#apply(parseChange(record.body));
      definitions.know(sequence);
    }
    core.definitions = definitions;
    // What a clean stop kept of transient things is not kept by what follows.
    if (snapshot?.changes.some((change) => 'durable' in change && !change.durable) === true) {
      await definitions.compact(core.changes());
    }
    return snapshot === undefined && sequences.length === 0;
  }

  /** Transactions that were committed and whose removals a crash may have forgotten: they are made again. */
  async #readTransactions(): Promise<void> {
    const records: number[] = [];
    this.#each(
      (stream) => stream === STREAM.transactions,
      ({ sequence }) => records.push(sequence),
    );
    for (const sequence of records) {
      const record = await this.#store.read(sequence);
      for (const removed of unpackRemoved(record?.body ?? new Uint8Array())) {
        this.#removed.add(`${removed.stream} ${removed.sequence}`);
        this.#store.remove(removed.stream, removed.sequence);
      }
      this.#store.forgetTransaction(sequence);
    }
  }

  /** Does a change again. What it names and is gone meanwhile is left out. */
  #apply(change: Change): void {
    const { users } = this.#core;
    switch (change.do) {
      case 'vhost':
        this.#core.addVhost(change.name);
        break;
      case 'delete-vhost':
        this.#core.deleteVhost(change.name);
        break;
      case 'user':
        users.put(change.user);
        break;
      case 'delete-user':
        users.delete(change.name);
        break;
      case 'permission':
        users.allow(change.user, change.vhost, change.may);
        break;
      case 'delete-permission':
        users.forbid(change.user, change.vhost);
        break;
      default: {
        const place = this.#core.vhosts.get(change.vhost);
        if (place !== undefined) this.#applyIn(place, change);
      }
    }
  }

  #applyIn(
    place: Vhost,
    change: Extract<Change, { readonly vhost: string; readonly do: PlaceChange }>,
  ): void {
    switch (change.do) {
      case 'exchange':
        this.#addExchange(place, change);
        break;
      case 'queue':
        this.#addQueue(place, change);
        break;
      case 'policy':
        place.putPolicy(change.policy);
        break;
      case 'delete-policy':
        place.deletePolicy(change.name);
        break;
      case 'delete-exchange': {
        const exchange = place.exchange(change.name);
        if (exchange !== undefined) place.deleteExchange(exchange);
        break;
      }
      case 'delete-queue': {
        const queue = place.queue(change.name);
        if (queue !== undefined) place.deleteQueue(queue);
        break;
      }
      default: {
        const source = place.exchange(change.source);
        const { kind, destination, key } = change;
        const end = kind === 'queue' ? place.queue(destination) : place.exchange(destination);
        if (source === undefined || end === undefined) break;
        const args = unpackTable(change.args);
        if (change.do === 'bind') place.bind(source, end, key, args);
        else place.unbind(source, end, key, args);
      }
    }
  }

  #addExchange(place: Vhost, change: Extract<Change, { readonly do: 'exchange' }>): void {
    const { name, type, durable, autoDelete, internal, stream } = change;
    const args = unpackTable(change.args);
    const init = { name, vhost: place.name, type, durable, autoDelete, internal, args, stream };
    const exchange = place.exchange(name) ?? place.addExchange(init);
    this.#know(place, exchange, stream);
  }

  #addQueue(place: Vhost, change: Extract<Change, { readonly do: 'queue' }>): void {
    const { name, durable, autoDelete, stream } = change;
    const args = unpackTable(change.args);
    const policy = readPolicy(args, name, place.name);
    const init = { name, vhost: place.name, durable, autoDelete, args, policy, stream };
    const queue = place.queue(name) ?? place.addQueue({ ...init, owner: undefined });
    this.#know(place, queue, stream);
  }

  #know(place: Vhost, end: Queue | Exchange, stream: number): void {
    if (stream === 0) return;
    this.#byStream.set(stream, end);
    this.#places.set(end, place);
    this.#store.knowStream(stream);
  }

  /** Of two records for one message the later counts. */
  #readReturns({ sequence: record, note: stream, stamp }: Found): void {
    const { sequence, returns } = unpackReturns(stamp);
    if (!this.#isKnown(stream)) {
      this.#store.remove(STREAM.returns, record);
      return;
    }
    this.#returns.set(`${stream} ${sequence}`, returns);
    this.#core.keeper?.knowReturns(stream, sequence, record);
  }

  #isKnown(stream: number): boolean {
    const end = this.#byStream.get(stream);
    if (end === undefined) return false;
    return (
      this.#places.get(end)?.[end instanceof Object && 'policy' in end ? 'queue' : 'exchange'](end.name) ===
      end
    );
  }

  #readMessage(found: Found): void {
    const { sequence, stream } = found;
    if (this.#removed.size > 0 && this.#removed.has(`${stream} ${sequence}`)) return;
    const end = this.#isKnown(stream) ? this.#byStream.get(stream) : undefined;
    if (end === undefined) this.#store.remove(stream, sequence);
    else if (!('policy' in end)) this.#delay(end, found);
    else if (this.#rests?.get(stream)?.isOrdered === true) {
      const list = this.#ordered.get(stream) ?? [];
      this.#ordered.set(stream, list);
      list.push(found);
    } else this.#restore(end, found);
  }

  /** Queues in which a clean stop put messages between others: in the order that it wrote down. */
  #readOrdered(): void {
    for (const [stream, list] of this.#ordered) {
      const rest = this.#rests?.get(stream);
      const queue = this.#byStream.get(stream) as Queue;
      const positionOf = ({ sequence }: Found): number => rest?.positionOf(sequence) ?? Infinity;
      for (const found of list.sort((a, b) => positionOf(a) - positionOf(b))) this.#restore(queue, found);
    }
  }

  #restore(queue: Queue, found: Found): void {
    const { sequence, stream, note, stamp } = found;
    const slot = this.#slotOf(found);
    const { clock, messages } = this.#core;
    const { hasTtl } = unpackNote(note);
    const expiresAt = hasTtl ? clock.now() + stamp - clock.wallMs() : Infinity;
    queue.restore(slot, expiresAt, this.#returnsOf(stream, sequence));
    messages.release(slot);
    this.#messages += 1;
  }

  #returnsOf(stream: number, sequence: number): number {
    const known = this.#returns.size === 0 ? 0 : (this.#returns.get(`${stream} ${sequence}`) ?? 0);
    if (this.#rests === undefined) return Math.max(1, known);
    return Math.max(known, this.#rests.get(stream)?.returnsOf(sequence) ?? 0);
  }

  /** Kept once, for the caller. Records of one message come one after the other. */
  #slotOf({ sequence, note, bodyBytes }: Found): number {
    const { messages } = this.#core;
    if (sequence === this.#lastSequence) {
      messages.keep(this.#lastSlot);
      return this.#lastSlot;
    }
    const { headBytes, priority, persistent } = unpackNote(note);
    const slot = messages.addAway(headBytes, bodyBytes - headBytes, sequence);
    messages.describe(slot, priority, persistent);
    this.#lastSequence = sequence;
    this.#lastSlot = slot;
    return slot;
  }

  #delay(exchange: Exchange, found: Found): void {
    const core = this.#core;
    const place = this.#places.get(exchange) as Vhost;
    const slot = this.#slotOf(found);
    const dueInMs = Math.max(0, found.stamp - core.clock.wallMs());
    deliverLater({ core, place, exchange, keys: undefined, slot, ttlMs: undefined }, dueInMs);
    this.#messages += 1;
  }
}

type PlaceChange =
  | 'exchange'
  | 'queue'
  | 'policy'
  | 'delete-exchange'
  | 'delete-queue'
  | 'delete-policy'
  | 'bind'
  | 'unbind';
