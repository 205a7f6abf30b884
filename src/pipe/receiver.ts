// The receiving end. It looks into the pipe and takes exactly what it hands out, so that whoever reads after it, or after its death,
// begins with a whole message. What it took and nobody got is kept for the next take().

import { EMPTY, NO_WRITER, type ReadEnd } from '../kernel/pipe-ends.ts';
import { PIPE_BUF } from '../kernel/pipe-writer.ts';
import { NaruError } from '../errors/index.ts';
import type { Delivery, DriverHooks, Receiver } from '../mailbox/driver.ts';
import type { Envelope } from '../wire/envelope-types.ts';
import type { PipeCutter } from './format.ts';

const SLAB_BYTES = 64 * 1024;
/** With less room than this a look could miss the end of a message that is there. */
const WINDOW_BYTES_MIN = 2 * PIPE_BUF;
/** The beginning of a message is left in the pipe for so long; then it is taken, should it be that which leaves no room for the rest. */
const PATIENCE_MS = 20;

/** What a receiver needs of its driver. */
export interface ReceiverInit {
  readonly end: ReadEnd;
  readonly cutter: PipeCutter;
  readonly hooks: DriverHooks;
  /** The last writer has gone: the end of the mailbox. */
  readonly endsWithWriters: boolean;
  /** Whether anybody writes, when that was learned. */
  readonly onWriters: (areThere: boolean) => void;
  /** @param unread  messages that were taken and that nobody got */
  readonly closed: (unread: number) => void;
}

export class PipeReceiver implements Receiver {
  readonly #init: ReceiverInit;
  /** What was looked at, and behind it what is looked at now. Messages are parts of it. */
  #slab: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Taken from the pipe and not given, oldest first. */
  #kept: Delivery[] = [];
  #token = 0;
  #wanted = 0;
  /** Bytes of an unfinished message that were left in the pipe at the last look. */
  #tail = 0;
  /** They have been there long enough, or grew. */
  #takesTail = false;
  /** That the writers have gone can be seen: it was seen once that one was there, or that none was. fifo(7), poll(2) */
  #isSure: boolean;
  #mayHaveMore = false;
  /** The last look found nothing, and somebody who may write. */
  #isQuiet = false;
  #ended = false;
  #patience: NodeJS.Timeout | undefined;
  #soon: NodeJS.Immediate | undefined;
  readonly #onChange = (): void => this.#init.hooks.readable();
  #isClosed = false;

  constructor(init: ReceiverInit) {
    this.#init = init;
    this.#isSure = init.endsWithWriters;
  }

  get ended(): boolean {
    return this.#ended && this.#kept.length === 0;
  }

  take(max: number, out: Delivery[]): number {
    if (this.#isClosed) return 0;
    const before = out.length;
    if (this.#kept.length > 0) out.push(...this.#kept.splice(0, max));
    const missing = max - (out.length - before);
    if (missing > 0 && !this.#ended) this.#lookFor(missing, out);
    return out.length - before;
  }

  want(count: number): void {
    this.#wanted = count;
    if (count === 0 || this.#isClosed) return this.#rest();
    if (this.#kept.length > 0 || this.#mayHaveMore || this.#ended) this.#tellSoon();
    if (this.#tail > 0) this.#patience ??= setTimeout(() => this.#takeTail(), PATIENCE_MS);
    if (!this.#ended) this.#init.end.watch(this.#isQuiet, this.#onChange);
  }

  waitSync(timeoutMs: number): 'ready' | 'timeout' | 'interrupted' {
    if (this.#kept.length > 0 || this.#ended) return 'ready';
    if (this.#tail > 0) {
      this.#takesTail = true;
      this.#lookFor(1, this.#kept);
      if (this.#kept.length > 0 || this.#ended) return 'ready';
    }
    return this.#init.end.waitSync(timeoutMs);
  }

  putBack(delivery: Delivery): void {
    const { token } = delivery;
    let at = this.#kept.findIndex((kept) => kept.token > token);
    if (at < 0) at = this.#kept.length;
    this.#kept.splice(at, 0, delivery);
  }

  settle(): void {
    // Reading has taken it for good; only places that declare `ack` are asked.
  }

  ackAll(): void {
    // As settle().
  }

  received(): void {
    // Nobody waits for a receipt.
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#rest();
    this.#isClosed = true;
    this.#init.closed(this.#kept.length);
    this.#kept = [];
    return Promise.resolve();
  }

  #lookFor(most: number, out: Delivery[]): void {
    const found: Envelope[] = [];
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#mayHaveMore = false;
    this.#isQuiet = false;
    try {
      this.#look(most, found);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const text = `${this.#init.end.name}: it cannot be read any more: ${why}`;
      this.#init.hooks.failed(new NaruError('NARU_CORRUPT', text, { cause }));
    }
    for (const { body, sender, sequence, time, fields } of found) {
      this.#token += 1;
      const token = this.#token;
      out.push({ body, sender, sequence, time, fields, deliveries: 1, receipt: false, token });
    }
    // Something else is to be waited for now.
    if (this.#wanted > 0 && !this.#isQuiet && !this.#mayHaveMore) this.want(this.#wanted);
  }

  /** Until there are enough, or there is nothing more. */
  #look(most: number, found: Envelope[]): void {
    const { end, cutter } = this.#init;
    const left = this.#tail;
    this.#tail = 0;
    while (found.length < most) {
      const room = this.#window();
      const length = end.peek(this.#slab.buffer, this.#at, room);
      if (length === EMPTY || length === NO_WRITER) return this.#nothing(length, found);
      const bytes = this.#slab.subarray(this.#at, this.#at + length);
      const used = cutter.cut(bytes, found, most - found.length);
      this.#taken(used);
      if (found.length >= most) this.#mayHaveMore = true;
      // What was seen may have ended before what is there: only after a look that brought nothing it is known what is left.
      else if (used === 0 && this.#leave(length, left)) return;
      else if (used === 0) {
        cutter.hold(bytes);
        this.#taken(length);
        this.#takesTail = false;
      }
    }
  }

  /** Room to look at what is there. */
  #window(): number {
    if (this.#slab.length - this.#at < WINDOW_BYTES_MIN) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#at = 0;
    }
    return this.#slab.length - this.#at;
  }

  #taken(count: number): void {
    if (count === 0) return;
    this.#init.end.skip(count);
    this.#at += count;
  }

  /**
   * Leaves the beginning of a message in the pipe, so that it is not lost with this process: not when it is long, nor for ever, or there
   * would be no room for the rest; nor when its writer has gone, or may have gone before anybody could see it.
   * @returns false: it is to be taken
   */
  #leave(tail: number, left: number): boolean {
    if (this.#takesTail || tail >= PIPE_BUF || (left > 0 && tail > left)) return false;
    const { end } = this.#init;
    if (!this.#isSure || end.isAbandoned || end.bytes > tail) return false;
    this.#tail = tail;
    return true;
  }

  #nothing(why: typeof EMPTY | typeof NO_WRITER, found: Envelope[]): void {
    this.#isSure = true;
    this.#takesTail = false;
    this.#isQuiet = why === EMPTY;
    const { cutter, endsWithWriters, onWriters } = this.#init;
    onWriters(this.#isQuiet);
    if (this.#isQuiet) return;
    cutter.end(found);
    this.#ended = endsWithWriters;
    if (this.#ended && this.#wanted > 0) this.#tellSoon();
  }

  #takeTail(): void {
    this.#patience = undefined;
    this.#takesTail = true;
    this.#init.hooks.readable();
  }

  #tellSoon(): void {
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.#init.hooks.readable();
    });
  }

  /** Nobody waits. */
  #rest(): void {
    clearTimeout(this.#patience);
    clearImmediate(this.#soon);
    this.#patience = undefined;
    this.#soon = undefined;
    if (!this.#init.end.isClosed) this.#init.end.unwatch();
  }
}
