// The moving of messages between the two sides of a bridge: in batches, each settled in the source after the target's
// receipts, and again from where it stopped when a side was lost. Says nothing on standard output.

import { isNaruError, NaruError } from '../errors/index.ts';
import type { SendOptions } from '../mailbox/lacks.ts';
import type { Message } from '../mailbox/message.ts';
import type { Reached } from '../mailbox/receipt.ts';
import type { Ending } from './exit.ts';
import { Freight, type Field } from './freight.ts';
import { Moved } from './moved.ts';
import { isPassing, type Side } from './side.ts';

/** What `--map` names: the new body, or undefined to drop the message. */
export type MapMessage = (message: Message<Uint8Array>) => unknown;

/** How a bridge works. */
export interface HaulOptions {
  readonly concurrency: number;
  /** Ends when the source gave nothing for so long. */
  readonly idleMs: number | undefined;
  readonly map: MapMessage | undefined;
  readonly without: readonly Field[];
}

/** What it has done. */
export interface HaulCounts {
  /** Messages of which the target gave its receipt. */
  readonly moved: number;
  /** Bytes of their bodies. */
  readonly bytes: number;
  /** Messages that the map dropped, or a drop policy of the target. */
  readonly dropped: number;
  /** Those of the moved ones that the source had handed out before. */
  readonly redelivered: number;
  /** Messages that were sent again because their receipt did not come. */
  readonly resent: number;
  /** Messages that are in neither mailbox any more: only from a source whose reading deletes. */
  readonly lost: number;
  /** From the start to the last receipt, in milliseconds. */
  readonly ms: number;
}

/** Why it came to its end. */
export type HaulEnd = 'counted' | 'idle' | 'ended';

/** A stopped bridge gives the target so long to take what is in transfer, in milliseconds. */
const GRACE_MS = 2_000;

/** A bridge that is done waits so long for messages whose acks did not arrive, in milliseconds. */
const AGAIN_MS = 2_000;

/** Messages moved one by one before the event loop turns. */
const RUSH = 512;

/** A message on its way. */
interface Parcel {
  readonly message: Message<Uint8Array>;
  readonly body: Uint8Array;
  readonly options: SendOptions | undefined;
}

/** A parcel that did not get its receipt. */
interface Failed {
  readonly parcel: Parcel;
  readonly error: unknown;
}

export class Haul {
  readonly #source: Side;
  readonly #target: Side;
  readonly #options: HaulOptions;
  readonly #ending: Ending;
  readonly #onMoved: () => void;
  readonly #startedAt = performance.now();
  #movedAt = this.#startedAt;
  readonly #counts = { moved: 0, bytes: 0, dropped: 0, redelivered: 0, resent: 0, lost: 0 };
  readonly #moved: Moved;
  #freight: Freight;
  #answersAtOnce = false;
  #requests = 0;
  #taken = 0;

  constructor(source: Side, target: Side, options: HaulOptions, ending: Ending, onMoved: () => void) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#ending = ending;
    this.#onMoved = onMoved;
    this.#moved = new Moved(options.concurrency);
    this.#freight = this.#newFreight();
  }

  get freight(): Freight {
    return this.#freight;
  }

  /** Messages that asked for an answer; it cannot find its way back. */
  get requests(): number {
    return this.#requests;
  }

  get counts(): HaulCounts {
    return { ...this.#counts, ms: this.#movedAt - this.#startedAt };
  }

  /** Nothing can be given back to the source: whatever was taken must be moved. */
  get readingDeletes(): boolean {
    return this.#source.mailbox.capabilities.features.ack === 'none';
  }

  /**
   * Moves until `count` messages were taken, the source is idle or has ended.
   * @throws what no further attempt would change; the Ending's reason
   */
  async run(count: number): Promise<HaulEnd> {
    const { signal } = this.#ending;
    // Whatever waits for room when the time is over is refused in one go, so that nothing overtakes.
    const giveUp = (): void => {
      setTimeout(() => void this.#target.close(), GRACE_MS).unref();
    };
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      while (this.#taken < count) {
        try {
          if (await this.#moveUpTo(count - this.#taken)) return 'ended';
        } catch (error) {
          if (!(error instanceof SourceError)) throw error;
          signal.throwIfAborted();
          if (this.#isIdle(error.reason)) return 'idle';
          await this.#recoverSource(error.reason);
        }
      }
      return 'counted';
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /**
   * One loop over the source, which never takes more than is wanted.
   * @returns true when the source has ended
   */
  async #moveUpTo(wanted: number): Promise<boolean> {
    const max = Math.min(wanted, this.readingDeletes ? 1 : this.#options.concurrency);
    const { idleMs } = this.#options;
    const batches = this.#source.mailbox.batches({
      max,
      signal: this.#ending.signal,
      ...(idleMs === undefined ? {} : { timeoutMs: idleMs }),
    });
    let left = wanted;
    try {
      for (;;) {
        const next = await batches.next().catch(asSourceError);
        if (next.done === true) return true;
        const batch = next.value;
        this.#source.works();
        let taken = await this.#move(batch);
        if (this.readingDeletes) taken += await this.#rush(left - 1);
        this.#movedAt = performance.now();
        this.#onMoved();
        this.#taken += taken;
        left -= taken;
        if (left >= max && this.#ending.stopped === undefined) continue;
        const late = await ackAll(batch);
        this.#ending.signal.throwIfAborted();
        if (left === 0 && late > 0 && !this.readingDeletes) await this.#settleAgain(late);
        return false;
      }
    } finally {
      // What was not settled by now goes back.
      await batches.return();
    }
  }

  /**
   * The source did not hear `late` of the last acks, as its host went: those messages come again, and are settled then. Any that do not come
   * in time are a duplicate with the same id for whoever gets them.
   */
  async #settleAgain(late: number): Promise<void> {
    const limits = { signal: this.#ending.signal, timeoutMs: AGAIN_MS };
    const batches = this.#source.mailbox.batches({ max: late, ...limits });
    try {
      for (let left = late; left > 0; ) {
        const next = await batches.next();
        if (next.done === true) return;
        const known = next.value.filter((message) => this.#moved.has(message));
        left -= known.length - (await ackAll(known));
        // They come before all others: whoever was given another one has had the last of them.
        if (known.length < next.value.length) return;
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
    } finally {
      await batches.return();
    }
  }

  /**
   * One at a time as ever, and without waiting: as long as the source has one and the target has room.
   * @returns how many messages it took
   */
  async #rush(wanted: number): Promise<number> {
    const { mailbox } = this.#source;
    if (mailbox.capabilities.features.trySync !== 'native' || this.#options.map !== undefined) return 0;
    for (let taken = 0; ; taken += 1) {
      // The event loop turns in between, for signals.
      if (taken === wanted || taken === RUSH || this.#ending.stopped !== undefined) return taken;
      const message = mailbox.tryReceive();
      if (message === undefined) return taken;
      if (!this.#sendAtOnce(message, this.#freight.optionsAtOnce(message))) await this.#move([message]);
    }
  }

  /**
   * What was moved before is only settled, for the source did not hear of it.
   * @returns how many were new
   * @throws unless every message of the batch has its receipt or was dropped; those that have theirs are settled then
   */
  async #move(batch: readonly Message<Uint8Array>[]): Promise<number> {
    const { map } = this.#options;
    let parcels: readonly Parcel[] = [];
    const done = batch.filter((message) => this.#moved.has(message));
    const fresh = done.length === 0 ? batch : batch.filter((message) => !this.#moved.has(message));
    try {
      if (map !== undefined) parcels = await this.#mapAll(map, fresh, done);
      else parcels = this.#pack(fresh);
      await this.#deliver(parcels);
      if (!this.readingDeletes) this.#moved.remember(batch);
      return fresh.length;
    } catch (error) {
      const stuck = error instanceof Undelivered ? error.parcels : parcels;
      await ackAll(settledOf(batch, parcels, stuck, done));
      if (this.readingDeletes) this.#counts.lost += stuck.length || 1;
      throw error instanceof Undelivered ? error.reason : error;
    }
  }

  #pack(batch: readonly Message<Uint8Array>[]): Parcel[] {
    const freight = this.#freight;
    const parcels: Parcel[] = [];
    for (let index = 0; index < batch.length; index += 1) {
      const message = batch[index] as Message<Uint8Array>;
      parcels.push({ message, body: message.body, options: freight.optionsOf(message) });
    }
    return parcels;
  }

  /** @param settled  gets those that are not to be sent */
  async #mapAll(
    map: MapMessage,
    batch: readonly Message<Uint8Array>[],
    settled: Message<Uint8Array>[],
  ): Promise<Parcel[]> {
    const bodies = await Promise.all(batch.map(async (message) => toBody(await map(message), message)));
    const parcels: Parcel[] = [];
    for (const [index, message] of batch.entries()) {
      const body = bodies[index];
      if (body !== undefined) parcels.push({ message, body, options: this.#freight.optionsOf(message) });
      else {
        settled.push(message);
        this.#counts.dropped += 1;
      }
    }
    return parcels;
  }

  /** Sends in order, again after each loss of the target. @throws Undelivered */
  async #deliver(parcels: readonly Parcel[]): Promise<void> {
    const large = parcels.findIndex(({ body }) => body.byteLength > this.#target.mailbox.maxMessageBytes);
    let rest = large < 0 ? parcels : parcels.slice(0, large);
    while (rest.length > 0) {
      const failed = await this.#sendAll(rest);
      if (failed.length === 0) break;
      rest = failed.map(({ parcel }) => parcel);
      const stuck = large < 0 ? rest : [...rest, ...parcels.slice(large)];
      await this.#recoverTarget(failed, stuck);
      this.#counts.resent += rest.length;
    }
    if (large >= 0) throw new Undelivered(parcels.slice(large), this.#tooLarge(parcels[large] as Parcel));
  }

  /** @returns those that did not get their receipt, in order */
  async #sendAll(parcels: readonly Parcel[]): Promise<readonly Failed[]> {
    const { mailbox } = this.#target;
    const failed: Failed[] = [];
    const sends = parcels.slice(this.#sendNow(parcels)).map((parcel) =>
      mailbox.send(parcel.body, parcel.options).then(
        ({ reached }) => this.#count(parcel.message, parcel.body, reached),
        (error: unknown) => void failed.push({ parcel, error }),
      ),
    );
    await Promise.all(sends);
    if (failed.length < parcels.length) this.#target.works();
    if (failed.length < 2) return failed;
    // They failed in their own time, and are sent again in their order.
    const errors = new Map(failed.map(({ parcel, error }) => [parcel, error]));
    return parcels.flatMap((parcel) => (errors.has(parcel) ? [{ parcel, error: errors.get(parcel) }] : []));
  }

  /**
   * The fast path: without a promise for each message, where the target answers at once.
   * @returns how many of the first ones were taken; what became of the next one a send that waits will tell
   */
  #sendNow(parcels: readonly Parcel[]): number {
    let taken = 0;
    for (; taken < parcels.length; taken += 1) {
      const { message, body, options } = parcels[taken] as Parcel;
      if (!this.#sendAtOnce(message, options, body)) break;
    }
    return taken;
  }

  /** @returns false when the target does not take it now: a send that waits will tell why */
  #sendAtOnce(
    message: Message<Uint8Array>,
    options: SendOptions | undefined,
    body: Uint8Array = message.body,
  ): boolean {
    if (!this.#answersAtOnce) return false;
    try {
      if (!this.#target.mailbox.trySend(body, options)) return false;
    } catch {
      // Gone, or a receipt is wanted that takes time: the next attempts wait, and tell.
      this.#answersAtOnce = false;
      return false;
    }
    this.#count(message, body, 'placed');
    return true;
  }

  #count(message: Message<Uint8Array>, body: Uint8Array, reached: Reached): void {
    if (reached === 'dropped') {
      this.#counts.dropped += 1;
      return;
    }
    this.#counts.moved += 1;
    this.#counts.bytes += body.byteLength;
    if (message.redelivered) this.#counts.redelivered += 1;
    if (message.replyTo !== undefined) this.#requests += 1;
  }

  /** @throws Undelivered */
  async #recoverTarget(failed: readonly Failed[], stuck: readonly Parcel[]): Promise<void> {
    const { stopped } = this.#ending;
    if (stopped !== undefined) throw new Undelivered(stuck, stopped);
    const final = failed.find(({ error }) => !isPassing(error));
    if (final !== undefined) throw new Undelivered(stuck, refused(final));
    try {
      await this.#target.recover(failed[0]?.error as NaruError);
      this.#freight = this.#newFreight();
    } catch (error) {
      throw new Undelivered(stuck, error);
    }
  }

  async #recoverSource(error: unknown): Promise<void> {
    if (!isPassing(error)) throw error;
    await this.#source.recover(error, this.#options.idleMs);
    this.#freight = this.#newFreight();
  }

  /** @throws NARU_DISCONNECTED  the source cannot be reached: who asked for an end when it is idle must learn that it may not be */
  #isIdle(error: unknown): boolean {
    const { idleMs } = this.#options;
    if (idleMs === undefined || !isNaruError(error, 'NARU_TIMEOUT')) return false;
    if (!this.#source.isAway) return true;
    const { address } = this.#source.mailbox;
    const text = `${address}: gave no message for ${idleMs} ms, and cannot be reached; it may have some`;
    throw new NaruError('NARU_DISCONNECTED', text, { mailbox: address });
  }

  #newFreight(): Freight {
    const [from, to] = [this.#source.mailbox, this.#target.mailbox];
    this.#answersAtOnce = to.capabilities.features.trySync === 'native';
    return new Freight(from, to, this.#options.without, from.identity);
  }

  #tooLarge({ message, body }: Parcel): NaruError {
    const { address, maxMessageBytes } = this.#target.mailbox;
    return new NaruError(
      'NARU_TOO_LARGE',
      `${address}: message ${message.id} has ${body.byteLength} bytes, the limit is ${maxMessageBytes}; it stays in the source: create the target with a larger capacity or size`,
      { mailbox: address },
    );
  }
}

/** The source failed, rather than the moving. */
class SourceError extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('the source failed', { cause: reason });
    this.reason = reason;
  }
}

function asSourceError(reason: unknown): never {
  throw new SourceError(reason);
}

/** Some messages did not get their receipt and will not. */
class Undelivered extends Error {
  readonly parcels: readonly Parcel[];
  readonly reason: unknown;

  constructor(parcels: readonly Parcel[], reason: unknown) {
    super('not delivered', { cause: reason });
    this.parcels = parcels;
    this.reason = reason;
  }
}

/** What is not to be sent, and what was sent and is not stuck. */
function settledOf(
  batch: readonly Message<Uint8Array>[],
  parcels: readonly Parcel[],
  stuck: readonly Parcel[],
  settled: readonly Message<Uint8Array>[],
): readonly Message<Uint8Array>[] {
  const keep = new Set(stuck.map(({ message }) => message));
  const gone = new Set([...settled, ...parcels.map(({ message }) => message)]);
  return batch.filter((message) => gone.has(message) && !keep.has(message));
}

/** What cannot be settled comes again, and that is no reason to fail. @returns how many those are */
async function ackAll(batch: readonly Message<Uint8Array>[]): Promise<number> {
  const acks = await Promise.allSettled(batch.map((message) => message.ack()));
  return acks.filter(({ status }) => status === 'rejected').length;
}

/** The error of a message that this target will never take as it is. */
function refused({ parcel, error }: Failed): unknown {
  if (!isNaruError(error)) return error;
  // For the command line it would be wrong usage; here it is a message.
  if (error.code !== 'NARU_INVALID_ARGUMENT' && error.code !== 'NARU_UNSUPPORTED') return error;
  return new NaruError(
    'NARU_INVALID_MESSAGE',
    `message ${parcel.message.id} was refused and stays in the source: ${error.message}; --without leaves a field behind`,
    { mailbox: error.mailbox, cause: error },
  );
}

/** @throws NARU_INVALID_MESSAGE  the map returned neither text nor bytes nor undefined */
function toBody(mapped: unknown, message: Message<Uint8Array>): Uint8Array | undefined {
  if (mapped === undefined || mapped instanceof Uint8Array) return mapped;
  if (typeof mapped === 'string') return Buffer.from(mapped, 'utf8');
  throw new NaruError(
    'NARU_INVALID_MESSAGE',
    `the map returned ${mapped === null ? 'null' : `a value of type ${typeof mapped}`} for message ${message.id}; return text, bytes, or undefined to drop it`,
  );
}
