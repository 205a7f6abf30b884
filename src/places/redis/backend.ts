// What Redis gives to a mailbox in it: a stream with one consumer group, scripts in a pipeline, and publish/subscribe for those who sleep and
// as proof of life. What the scripts do is said in box-scripts.ts and seat-scripts.ts.

import { randomBytes, randomInt } from 'node:crypto';
import { Reconnecting } from '../../client/reconnecting.ts';
import type {
  Backend,
  ChangeListener,
  NewRow,
  NewRows,
  Replies,
  Room,
  SeatRole,
  Settling,
  Stored,
  Taken,
  TakenRow,
  Taking,
} from '../../engine-queue/backend.ts';
import { isNaruError } from '../../errors/index.ts';
import { boxKey, type FoundBox, findAgain, newsChannel, removeBox, streamKey } from './box-keys.ts';
import * as box from './box-scripts.ts';
import { RedisConnection, type RedisTarget } from './client.ts';
import { lengthsOf, type Script } from './script.ts';
import * as seats from './seat-scripts.ts';

const SEAT_MAX = 2 ** 47;
const LIFE = /^naru:life:[\w-]{12}$/;
const SCRIPTS = [
  box.PUT, box.TAKE, box.SIFT, box.ACK, box.RELEASE, box.REQUEUE, box.FORGET, box.EXTEND, box.TEND, box.SLEEP,
  box.ROOM, box.STATS, box.PEEK, box.PURGE, seats.ENTER, seats.ENTER_AGAIN, seats.LEAVE, seats.REAP, seats.PEERS,
]; // biome-ignore format: a list

const NOTHING: Taken = { rows: [], expired: 0, outlook: undefined };

/** An id, and names and values of fields. */
type StreamEntry = readonly [Buffer, readonly Buffer[]];

type Argument = string | Uint8Array;

export interface RedisBackendInit {
  readonly target: RedisTarget;
  readonly identity: string;
  readonly found: FoundBox;
  readonly dropsOldest: boolean;
  readonly listener: ChangeListener;
}

export class RedisBackend implements Backend {
  /** Answers come on the channel that this handle lives by; nobody publishes elsewhere because a request says so. */
  readonly replies: Replies = {
    open: (heard) => {
      this.#answered = heard;
      return Promise.resolve(this.#life);
    },
    answer: async (address, message) => {
      if (!LIFE.test(address)) return false;
      return Number(await this.#run((connection) => connection.write('PUBLISH', address, message))) > 0;
    },
  };
  readonly #init: RedisBackendInit;
  /** The channel that this handle lives by. */
  readonly #life = `naru:life:${randomBytes(9).toString('base64url')}`;
  readonly #key: string;
  readonly #capacityBytes: string;
  readonly #hasLimits: boolean;
  /** There are limits or leases: what is settled is counted. */
  readonly #isCounted: boolean;
  /** Of what this handle's consumers have in hand. */
  readonly #sizes = new Map<number, number>();
  /** Something may have gone back since this was looked at last. */
  #mayBeBack = true;
  readonly #stream: string;
  #answered: ((message: Uint8Array) => void) | undefined;
  #link: Reconnecting<RedisConnection> | undefined;
  /** The connection broke once: seats may have been taken for dead, and what they had be somebody else's. */
  #mayHaveLost = false;
  #isClosed = false;

  private constructor(init: RedisBackendInit) {
    this.#init = init;
    const { settings, generation } = init.found;
    this.#key = boxKey(settings.name);
    this.#stream = streamKey(settings.name, generation);
    const { capacityBytes, capacityMessages, leaseMs } = settings;
    this.#hasLimits = capacityBytes !== undefined || capacityMessages !== undefined;
    this.#isCounted = this.#hasLimits || leaseMs > 0;
    this.#capacityBytes = String(init.found.settings.capacityBytes ?? -1);
  }

  /** Connects, and hears of changes from now on. */
  static async start(init: RedisBackendInit, signal: AbortSignal): Promise<RedisBackend> {
    const backend = new RedisBackend(init);
    const { text } = init.target;
    backend.#link = await Reconnecting.open<RedisConnection>(
      (lost) => backend.#connect(lost),
      { place: 'redis', text },
      signal,
    );
    const { listener } = init;
    backend.#link.onLost(() => listener.disconnected('the connection to the server broke'));
    backend.#link.onBack((attempts) => listener.reconnected(attempts));
    return backend;
  }

  async enter(role: SeatRole, identity: string, most: number): Promise<number | undefined> {
    const seat = randomInt(1, SEAT_MAX);
    const answer = await this.#call(seats.ENTER, String(seat), role, this.#life, identity, String(most));
    return answer === 1 ? seat : undefined;
  }

  async leave(seat: number): Promise<void> {
    await this.#call(seats.LEAVE, String(seat));
  }

  async peers(): Promise<{ producers: number; consumers: number }> {
    const [producers = 0, consumers = 0] = numbers(await this.#call(seats.PEERS));
    return { producers, consumers };
  }

  async reap(): Promise<number> {
    return Number(await this.#call(seats.REAP, this.#life));
  }

  async put({ rows, bytes }: NewRows): Promise<Stored> {
    const { capacityMessages } = this.#init.found.settings;
    const [placed = 0, dropped = 0] = numbers(
      await this.#call(
        box.PUT,
        String(capacityMessages ?? -1),
        this.#capacityBytes,
        this.#init.dropsOldest ? '1' : '',
        timesOf(rows),
        lengthsOf(rows),
        bytes,
      ),
    );
    return { placed, dropped };
  }

  async room(): Promise<Room> {
    const { capacityBytes, capacityMessages } = this.#init.found.settings;
    const [count = 0, bytes = 0] = numbers(await this.#call(box.ROOM));
    return {
      messages: (capacityMessages ?? Number.POSITIVE_INFINITY) - count,
      bytes: (capacityBytes ?? Number.POSITIVE_INFINITY) - bytes,
    };
  }

  async take(taking: Taking): Promise<Taken> {
    const { seat, settling, known } = taking;
    const before: Promise<unknown>[] = [this.settle(seat, settling)];
    if (known !== undefined) before.push(this.#forget(seat, known));
    const [taken] = await Promise.all([this.#read(taking), ...before] as const);
    if (taken.rows.length > 0) return taken;
    // There was nothing new, or it was expired or delayed: now all is looked at, and who has to sleep says so.
    let { expired } = taken;
    let next: Taken & { readonly isMore: boolean };
    do {
      next = await this.#take(taking);
      expired += next.expired;
    } while (next.isMore && next.rows.length === 0);
    return { rows: next.rows, expired, outlook: next.outlook };
  }

  async settle(seat: number, { gone, released, requeued }: Settling): Promise<void> {
    const me = String(seat);
    const calls = chunks(gone).map((ids) => this.#ack(me, ids));
    for (const ids of chunks(released)) calls.push(this.#call(box.RELEASE, me, ...names(ids)));
    for (const [delayMs, all] of requeued) {
      const delay = String(Math.round(delayMs));
      for (const ids of chunks(all)) calls.push(this.#call(box.REQUEUE, me, delay, ...names(ids)));
    }
    if (calls.length === 0) return;
    await Promise.all(calls);
    for (const ids of [gone, released, ...requeued.values()]) for (const id of ids) this.#sizes.delete(id);
  }

  async extend(seat: number, id: number, ms: number): Promise<void> {
    await this.#call(box.EXTEND, String(seat), nameOf(id), String(Math.round(ms)));
  }

  /** What has expired is found when it is taken. */
  async tend(): Promise<number> {
    await this.#call(box.TEND);
    return 0;
  }

  async sleeps(seat: number): Promise<void> {
    const role = this.#init.listener.seats().find(({ id }) => id === seat)?.role;
    if (role !== undefined) await this.#call(box.SLEEP, role);
  }

  /** Every script tells those who sleep by itself. */
  tell(): Promise<void> {
    return Promise.resolve();
  }

  async stats(): Promise<{ depth: number; depthBytes: number; unsettled: number }> {
    const [depth = 0, depthBytes = 0, unsettled = 0] = numbers(await this.#call(box.STATS));
    return { depth, depthBytes: this.#hasLimits ? depthBytes : -1, unsettled };
  }

  async peek(max: number): Promise<readonly TakenRow[]> {
    const rows: TakenRow[] = [];
    readRows((await this.#call(box.PEEK, String(max))) as readonly unknown[], 0, rows);
    return rows;
  }

  async purge(): Promise<number> {
    for (let sum = 0; ; ) {
      const count = Number(await this.#call(box.PURGE, this.#capacityBytes));
      sum += count;
      if (count === 0) return sum;
    }
  }

  remove(): Promise<void> {
    return this.#run((connection) => removeBox(connection, this.#init.found));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#link?.close();
  }

  #connect(lost: () => void): Promise<RedisConnection> {
    return RedisConnection.connect(this.#init.target, lost, (connection) => this.#prepare(connection));
  }

  /** What a new connection begins with: the scripts, the channels, and the seats again. */
  async #prepare(connection: RedisConnection): Promise<void> {
    const { found, listener, identity } = this.#init;
    const isFirst = this.#link === undefined;
    await connection.prepare(SCRIPTS);
    const news = newsChannel(found.settings.name);
    await connection.subscribe([news, this.#life], (message, channel) => {
      if (channel === news) this.#hear(message.toString());
      else this.#answered?.(message);
    });
    if (isFirst) return;
    if (!(await findAgain(connection, found))) throw connection.failure(new Error('NARUGONE removed'), false);
    this.#mayHaveLost = true;
    this.#mayBeBack = true;
    const { generation } = found;
    for (const { id, role } of listener.seats())
      await connection.script(
        seats.ENTER_AGAIN,
        this.#key,
        generation,
        String(id),
        role,
        this.#life,
        identity,
      );
  }

  /** @param payload  'c' and 'p' for those who sleep, 'b' when something went back, 's' for seats, 'x' when the mailbox is gone */
  #hear(payload: string): void {
    const { listener } = this.#init;
    if (payload === 'b') this.#mayBeBack = true;
    if (payload === 's') listener.seatsChanged();
    else if (payload === 'x') void this.#call(seats.PEERS).catch(() => undefined);
    else listener.changed();
  }

  /** The quick way, as long as there is nothing but new messages. */
  async #read(taking: Taking): Promise<Taken> {
    if (this.#mayBeBack || taking.leaseMs > 0) return this.#take(taking);
    const { seat, max } = taking;
    const answer = await this.#run((connection) =>
      connection.write(
        'XREADGROUP',
        'GROUP',
        'g',
        String(seat),
        'COUNT',
        String(max),
        'STREAMS',
        this.#stream,
        '>',
      ),
    );
    if (answer === null) return NOTHING;
    const [entries] = Object.values(answer as Readonly<Record<string, readonly StreamEntry[]>>);
    const rows: TakenRow[] = [];
    const timed: StreamEntry[] = [];
    for (const entry of entries ?? []) {
      if (entry[1].length > 2) timed.push(entry);
      const message = entry[1][1] as Buffer;
      rows.push({ id: numberOf(entry[0]), deliveries: 1, message });
    }
    this.#remember(rows);
    return timed.length === 0 ? { rows, expired: 0, outlook: undefined } : this.#sift(rows, timed);
  }

  /** What has expired, or is not due, is not given out. */
  async #sift(rows: readonly TakenRow[], timed: readonly StreamEntry[]): Promise<Taken> {
    const args = timed.flatMap(([id, [, message, , expires, , due]]) => [
      id,
      expires ?? '0',
      due ?? '0',
      String(this.#sizes.get(numberOf(id)) ?? message?.byteLength ?? 0),
    ]);
    const [expired = 0, ...kept] = numbers(await this.#call(box.SIFT, ...args));
    const lost = new Set(timed.map(([id]) => numberOf(id)));
    for (const id of kept) lost.delete(id);
    for (const id of lost) this.#sizes.delete(id);
    return { rows: rows.filter(({ id }) => !lost.has(id)), expired, outlook: undefined };
  }

  async #take({ seat, max, leaseMs, sleeps }: Taking): Promise<Taken & { readonly isMore: boolean }> {
    const args = [seat, max, Math.round(leaseMs)].map(String);
    this.#mayBeBack = false;
    const answer = await this.#call(box.TAKE, ...args, this.#capacityBytes, sleeps ? '1' : '');
    const [expired, isMore, due, held, isMoreBack] = answer as readonly number[];
    const rows: TakenRow[] = [];
    readRows(answer as readonly unknown[], 5, rows);
    this.#remember(rows);
    if (isMoreBack === 1) this.#mayBeBack = true;
    return {
      rows,
      expired: expired as number,
      isMore: isMore === 1,
      outlook: due === -2 ? undefined : { dueMs: due === -1 ? undefined : due, othersHold: held === 1 },
    };
  }

  #remember(rows: readonly TakenRow[]): void {
    if (!this.#isCounted) return;
    const limit = this.#init.found.settings.capacityBytes ?? Number.POSITIVE_INFINITY;
    for (const { id, message } of rows) this.#sizes.set(id, Math.min(limit, message.byteLength));
  }

  #ack(seat: string, ids: readonly number[]): Promise<unknown> {
    let sum = 0;
    for (const id of ids) sum += this.#sizes.get(id) ?? 0;
    const hasLeases = this.#init.found.settings.leaseMs > 0;
    const isUnsure = this.#mayHaveLost || hasLeases;
    return this.#call(
      box.ACK,
      seat,
      isUnsure ? '1' : '',
      this.#capacityBytes,
      hasLeases ? '1' : '',
      String(-sum),
      isRun(ids) ? nameOf((ids.at(-1) as number) + 1) : '',
      ...names(ids),
    );
  }

  #forget(seat: number, known: readonly number[]): Promise<unknown> {
    const isKnown = new Set(known);
    for (const id of this.#sizes.keys()) if (!isKnown.has(id)) this.#sizes.delete(id);
    return this.#call(box.FORGET, String(seat), ...names(known));
  }

  #call(script: Script, ...args: readonly Argument[]): Promise<unknown> {
    const { generation } = this.#init.found;
    return this.#run((connection) => connection.script(script, this.#key, generation, ...args));
  }

  /** A mailbox that was removed is the end of the handle, whichever call learns of it. */
  async #run<T>(use: (connection: RedisConnection) => Promise<T>): Promise<T> {
    try {
      return await (this.#link as Reconnecting<RedisConnection>).run(use);
    } catch (error) {
      if (isNaruError(error, 'NARU_CLOSED')) this.#init.listener.gone(error);
      throw error;
    }
  }
}

/** Times of single messages by their number, as the script reads them; most have none. */
function timesOf(rows: readonly NewRow[]): string {
  let times: Record<string, readonly [number, number]> | undefined;
  for (const [at, { ttlMs, delayMs }] of rows.entries()) {
    if (ttlMs === undefined && delayMs === undefined) continue;
    times ??= {};
    times[String(at + 1)] = [Math.round(ttlMs ?? -1), Math.round(delayMs ?? -1)];
  }
  return times === undefined ? '' : JSON.stringify(times);
}

function readRows(answer: readonly unknown[], from: number, rows: TakenRow[]): void {
  for (let at = from; at < answer.length; at += 3) {
    const [id, deliveries, message] = [answer[at], answer[at + 1], answer[at + 2]];
    rows.push({ id: id as number, deliveries: deliveries as number, message: message as Buffer });
  }
}

function numbers(answer: unknown): number[] {
  return (answer as readonly unknown[]).map(Number);
}

/** `0-<number>` */
function numberOf(id: Buffer): number {
  return Number(id.toString('latin1', 2));
}

/** A message's number as the stream has it. */
function nameOf(id: number): string {
  return `0-${id}`;
}

function names(ids: readonly number[]): string[] {
  return ids.map(nameOf);
}

/** Each follows the one before. */
function isRun(ids: readonly number[]): boolean {
  const first = ids[0] as number;
  return ids.every((id, at) => id === first + at);
}

function chunks(ids: readonly number[]): (readonly number[])[] {
  if (ids.length <= box.CHUNK) return ids.length === 0 ? [] : [ids];
  const parts: (readonly number[])[] = [];
  for (let from = 0; from < ids.length; from += box.CHUNK) parts.push(ids.slice(from, from + box.CHUNK));
  return parts;
}
