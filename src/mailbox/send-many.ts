// sendMany(): a list in order, in batches, with an exact account of what was sent when it fails midway.

import { isNaruError, NaruError } from '../errors/index.ts';
import type { Confirm } from './capabilities.ts';
import type { Diagnostics } from './diagnostics.ts';
import type { Outgoing, Sender } from './driver.ts';
import type { SendOptions } from './lacks.ts';
import type { Encoder } from './outgoing.ts';
import type { Outbox } from './outbox.ts';
import type { SendManyResult } from './receipt.ts';
import { awaitOutcome, nextTurn, turnIsOver, type WaitLimits } from './waiting.ts';

/** What sendMany() needs of its mailbox. */
export interface SendManySource {
  readonly sender: Sender;
  readonly outbox: Outbox;
  readonly encoder: Encoder;
  readonly diagnostics: Diagnostics;
  /** Level to wait for when it is more than what offer() gives. */
  readonly confirm: Confirm | undefined;
  readonly mailbox: string;
}

/** Messages encoded at a time unless the sender says otherwise: enough to make batching pay, few enough to keep memory flat. */
const CHUNK = 512;

/** Receipts of one call: how many came, how many failed. */
class Confirmations {
  confirmed = 0;
  failed = 0;
  #first: Error | undefined;
  #taken = 0;
  #wake: (() => void) | undefined;

  readonly done = (error?: Error): void => {
    if (error === undefined) this.confirmed += 1;
    else {
      this.failed += 1;
      this.#first ??= error;
    }
    if (this.confirmed + this.failed === this.#taken) this.#wake?.();
  };

  /** Resolves when every message that was taken has its answer. @throws NARU_OUTCOME_UNKNOWN, the signal's reason */
  async all(taken: number, limits: WaitLimits, mailbox: string): Promise<void> {
    this.#taken = taken;
    if (this.confirmed + this.failed < taken) {
      const answered = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await awaitOutcome(answered, limits, 'not all receipts came', mailbox);
    }
    if (this.#first !== undefined) throw this.#first;
  }
}

/** The progress of one call. */
class Progress {
  readonly #source: SendManySource;
  readonly #options: SendOptions | undefined;
  readonly confirmations: Confirmations | undefined;
  #pause: NodeJS.Immediate | undefined;
  #early: Promise<void> | undefined;
  #chunk: Outgoing[] = [];
  #time = Date.now();
  /** Taken by the place. */
  taken = 0;
  /** Read from the list. */
  read = 0;

  constructor(source: SendManySource, options: SendOptions | undefined) {
    this.#source = source;
    this.#options = options;
    this.confirmations = source.confirm === undefined ? undefined : new Confirmations();
  }

  get isFull(): boolean {
    return this.#chunk.length >= (this.#source.sender.batch ?? CHUNK);
  }

  /** @param data  as the schema left it */
  add(data: unknown): void {
    const { encoder, confirm } = this.#source;
    this.#chunk.push(encoder.encode(data, this.#time, this.#options, confirm, this.confirmations?.done));
    this.read += 1;
  }

  /** Flushes when the event loop turns: a list that pauses must not hold back what it gave before. */
  flushAtPause(): void {
    this.#pause ??= setImmediate(() => {
      this.#pause = undefined;
      this.#early = this.flush(false);
      // Whoever adds the next one hears of it.
      this.#early.catch(() => undefined);
    });
  }

  /** Waits for what flushAtPause() began. */
  async settleEarly(): Promise<void> {
    clearImmediate(this.#pause);
    this.#pause = undefined;
    await this.#early;
  }

  /** @param isMore  the list goes on: then the event loop turns first */
  async flush(isMore: boolean): Promise<void> {
    const chunk = this.#chunk;
    this.#chunk = [];
    if (chunk.length === 0) return;
    const { outbox, sender, diagnostics } = this.#source;
    let counted = chunk.length;
    try {
      await outbox.sendBatch(sender, chunk, this.#options ?? {}, (count) => {
        counted = count;
      });
    } finally {
      this.taken += counted;
    }
    if (diagnostics.heard('send')) diagnostics.publish('send', 'sendMany', chunk.length);
    // After each chunk of a long list, not when it is high time: a consumer in this thread would otherwise find tens of
    // thousands waiting, which all have survived the young generation. It costs nothing that can be measured elsewhere.
    if (isMore || turnIsOver()) await nextTurn();
    this.#time = Date.now();
  }
}

/** Reads a list that is there. */
async function readAll(progress: Progress, list: Iterable<unknown>, encoder: Encoder): Promise<void> {
  for (const data of list) {
    const checked = encoder.check(data);
    progress.add(checked instanceof Promise ? await checked : checked);
    if (progress.isFull) await progress.flush(true);
  }
}

/** Reads a list whose elements come in their own time. */
async function readAsTheyCome(
  progress: Progress,
  list: AsyncIterable<unknown>,
  encoder: Encoder,
): Promise<void> {
  for await (const data of list) {
    await progress.settleEarly();
    progress.add(await encoder.check(data));
    if (progress.isFull) await progress.flush(true);
    else progress.flushAtPause();
  }
  await progress.settleEarly();
}

/** Sends the list. @throws what send() raises, with `partial` */
export async function sendMany(
  source: SendManySource,
  list: Iterable<unknown> | AsyncIterable<unknown>,
  options: SendOptions | undefined,
  reached: Confirm,
): Promise<SendManyResult> {
  const progress = new Progress(source, options);
  try {
    if (Symbol.asyncIterator in list) await readAsTheyCome(progress, list, source.encoder);
    else await readAll(progress, list, source.encoder);
    await progress.flush(false);
    await progress.confirmations?.all(progress.taken, options ?? {}, source.mailbox);
    return { sent: progress.taken, reached };
  } catch (error) {
    const total = Math.max(Array.isArray(list) ? list.length : 0, progress.read);
    throw withPartial(error, source.mailbox, progress, total);
  }
}

/** Tells exactly what a failed sendMany() achieved. */
function withPartial(
  error: unknown,
  mailbox: string,
  { taken, confirmations }: Progress,
  total: number,
): unknown {
  const sent = confirmations?.confirmed ?? taken;
  const partial = { sent, unknown: taken - sent, unsent: total - taken };
  if (isNaruError(error)) {
    return new NaruError(
      error.code,
      `${error.message} (of ${total} messages ${sent} were sent, ${partial.unknown} are unknown, ${partial.unsent} were not sent)`,
      { place: error.place, mailbox, cause: error.cause, partial },
    );
  }
  // An abort keeps its own reason; what was sent hangs on it where it can.
  if (typeof error === 'object' && error !== null && Object.isExtensible(error))
    Object.assign(error, { partial });
  return error;
}
