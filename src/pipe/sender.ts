// The sending end. Messages go in whole, many in one write as far as one write stays together (PIPE_BUF); a longer one goes in piece by
// piece, which only a producer that is alone may do. Who waits for room is woken by the event loop, who waits for a reader by a thread.

import { randomInt } from 'node:crypto';
import { NaruError, type NaruErrorCode } from '../errors/index.ts';
import { Tasks } from '../kernel/object-errors.ts';
import { FULL, NO_READER, type WriteEnd } from '../kernel/pipe-ends.ts';
import { PIPE_BUF } from '../kernel/pipe-writer.ts';
import type { DriverHooks, Outgoing, Sender } from '../mailbox/driver.ts';
import type { PipeEnds } from './ends.ts';
import type { PipePacker } from './format.ts';
import { WrittenBytes } from './written.ts';

/** What a sender needs of its driver. */
export interface SenderInit {
  readonly ends: PipeEnds;
  readonly packer: PipePacker;
  readonly hooks: DriverHooks;
  /** No other producer: relation 1:1 or 1:N. */
  readonly isAlone: boolean;
  /** A reader that has gone makes a send fail, rather than wait for the next one. */
  readonly failsWithoutReader: boolean;
  /** A stream is one message. */
  readonly endsAfterMessage: boolean;
  /** Makes the pipe as large as was asked for. */
  readonly prepare: (end: WriteEnd) => void;
  /** How long close() waits for the rest of a message that is half in, in milliseconds. */
  readonly flushMs: number;
  /** @param lost  messages that were taken and that nobody will read */
  readonly closed: (lost: number, written: WrittenBytes) => void;
}

/** Ends of ranges that producers lock: each a number of its own, one that is alone all of them. */
const CLAIMS = 2 ** 30;

/** A message that is going in piece by piece. */
interface Long {
  readonly message: Outgoing;
  readonly bytes: Buffer;
  at: number;
  /** Its caller has given up: it counts as sent, and goes on by itself. */
  isOrphan: boolean;
}

export class PipeSender implements Sender {
  readonly #init: SenderInit;
  readonly #slab: Buffer = Buffer.allocUnsafeSlow(PIPE_BUF);
  readonly #written = new WrittenBytes();
  readonly #tasks: Tasks;
  #end: WriteEnd | undefined;
  #isGone = false;
  #hadReader = false;
  #long: Long | undefined;
  /** Ends the wait for a reader. */
  #readerWait: AbortController | undefined;
  #flushed: (() => void) | undefined;
  #isEnded = false;
  #isClosed = false;
  #lost = 0;

  constructor(init: SenderInit) {
    this.#init = init;
    this.#tasks = new Tasks(init.ends.name);
  }

  /** Takes the seat, if there is somebody to write to. @throws NARU_LIMIT and what opening raises */
  connect(): void {
    this.#open();
  }

  /** Whether somebody reads. */
  get hasReader(): boolean {
    if (this.#isClosed || this.#isEnded) return false;
    if (this.#end === undefined) return this.#open() !== undefined;
    // The event that tells it may not have come yet.
    if (this.#end.isAbandoned) this.#readerIsGone();
    else this.#readerCame();
    return !this.#isGone;
  }

  /** Calls hooks.peers() when somebody reads. Keeps the process alive meanwhile. */
  awaitReader(): void {
    if (this.#readerWait !== undefined || this.#isClosed) return;
    const wait = new AbortController();
    // A reader has come all the same when it is too late: it must not see its writer go.
    const came = (end: WriteEnd): void => this.#waited(wait, end);
    const waiting = this.#init.ends.waitForReader?.(this.#tasks, wait.signal, came);
    if (waiting === undefined) return;
    this.#readerWait = wait;
    waiting.then(came, (error: unknown) => this.#waitFailed(wait, error));
  }

  offer(batch: readonly Outgoing[], from: number): number {
    if (from >= batch.length) {
      this.#stop();
      return 0;
    }
    if (this.#isEnded) throw this.#error('NARU_CLOSED', 'the stream has ended here');
    let at = from;
    while (at < batch.length) {
      const count = this.#put(batch, at, at > from);
      if (count <= 0) break;
      at += count;
    }
    return at - from;
  }

  /** Half of it is in the pipe already: then the rest must follow. @see R16 */
  withdraw(): boolean {
    const long = this.#long;
    if (long === undefined) return false;
    if (long.at > 0) {
      long.isOrphan = true;
      return true;
    }
    this.#long = undefined;
    return false;
  }

  waitSync(timeoutMs: number): 'ready' | 'timeout' | 'interrupted' {
    if (this.#end !== undefined && !this.#isGone) return this.#end.waitSync(timeoutMs);
    const outcome = this.#init.ends.waitForReaderSync?.(timeoutMs);
    if (outcome === undefined) return 'ready';
    if (typeof outcome === 'string') return outcome;
    this.#adopt(outcome);
    return 'ready';
  }

  async end(): Promise<void> {
    await this.#flush();
    this.#finish();
    this.#init.ends.endWriting?.();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    await this.#flush();
    this.#isClosed = true;
    this.#stop();
    await this.#tasks.close();
    const end = this.#end;
    if (end !== undefined && !end.isClosed && end.isAbandoned) this.#lost += this.#unread(end);
    if (this.#long !== undefined) this.#lost += 1;
    end?.close();
    this.#init.closed(this.#lost, this.#written);
  }

  /** @returns how many went in; 0: no room, or nobody reads */
  #put(batch: readonly Outgoing[], at: number, isLater: boolean): number {
    const end = this.#open();
    if (end === undefined) return this.#nobody(isLater);
    const long = this.#long;
    if (long !== undefined) {
      const outcome = this.#goOn(end, long);
      if (outcome !== 'in') return outcome === FULL ? this.#full(end) : this.#readerWent(isLater);
      return long.message === batch[at] ? 1 : this.#put(batch, at, isLater);
    }
    const { count, bytes, error } = this.#pack(batch, at);
    if (count > 0) return this.#write(end, count, bytes, isLater);
    if (error === undefined) {
      const message = batch[at] as Outgoing;
      this.#long = { message, bytes: this.#init.packer.long(message), at: 0, isOrphan: false };
      return this.#put(batch, at, isLater);
    }
    if (!isLater) throw error;
    // What is wrong with it is for the next offer, which begins with it, to tell.
    setImmediate(() => this.#init.hooks.writable());
    return 0;
  }

  /** As many as one write keeps together. None without an error: the first is too long for that. */
  #pack(batch: readonly Outgoing[], from: number): { count: number; bytes: number; error: unknown } {
    const { packer, endsAfterMessage } = this.#init;
    const most = endsAfterMessage ? from + 1 : batch.length;
    let bytes = 0;
    let at = from;
    try {
      for (; at < most; at += 1) {
        const message = batch[at] as Outgoing;
        const size = packer.size(message);
        if (bytes + size > PIPE_BUF) break;
        bytes = packer.write(message, this.#slab, bytes);
      }
    } catch (error) {
      return { count: at - from, bytes, error };
    }
    return { count: at - from, bytes, error: undefined };
  }

  #write(end: WriteEnd, count: number, bytes: number, isLater: boolean): number {
    const outcome = end.write(this.#slab.buffer, 0, bytes);
    if (outcome === FULL) return this.#full(end);
    if (outcome === NO_READER) return this.#readerWent(isLater);
    this.#wrote(bytes, count);
    return count;
  }

  #goOn(end: WriteEnd, long: Long): 'in' | typeof FULL | typeof NO_READER {
    const { pieceBytes } = this.#init.packer;
    const { bytes } = long;
    while (long.at < bytes.length) {
      const length = Math.min(bytes.length - long.at, pieceBytes || bytes.length);
      const outcome = end.write(bytes.buffer, bytes.byteOffset + long.at, length);
      if (outcome === FULL || outcome === NO_READER) return outcome;
      long.at += outcome;
    }
    this.#long = undefined;
    this.#wrote(bytes.length, 1);
    return 'in';
  }

  #wrote(bytes: number, count: number): void {
    this.#hadReader = true;
    if (this.#isGone) this.#readerCame();
    this.#written.add(bytes, count);
    if (this.#init.endsAfterMessage) this.#finish();
  }

  #full(end: WriteEnd): 0 {
    end.watch(true, () => this.#roomMayBe());
    return 0;
  }

  #roomMayBe(): void {
    const end = this.#end;
    if (end === undefined || end.isClosed) return;
    end.unwatch();
    const long = this.#long;
    if (long !== undefined && (long.isOrphan || this.#flushed !== undefined)) {
      const outcome = this.#goOn(end, long);
      if (outcome === FULL) {
        this.#full(end);
        return;
      }
      if (outcome === NO_READER) this.#loseReader();
      this.#flushed?.();
    }
    this.#watchReader(end);
    this.#init.hooks.writable();
  }

  /** @returns the end, with its seat; undefined: nobody reads @throws NARU_LIMIT  another producer has the seat */
  #open(): WriteEnd | undefined {
    if (this.#end !== undefined) return this.#end;
    const end = this.#init.ends.tryOpenWrite();
    if (end !== undefined) this.#adopt(end);
    return end;
  }

  #adopt(end: WriteEnd): void {
    if (this.#end !== undefined) {
      end.close();
      this.#readerCame();
      return;
    }
    const { isAlone, prepare, hooks } = this.#init;
    try {
      const isMine = isAlone ? end.tryClaim(0, 0) : end.tryClaim(randomInt(1, CLAIMS), 1);
      if (!isMine) {
        const what = isAlone ? 'there is another producer' : 'a producer of relation 1:1 or 1:N has it';
        throw this.#error('NARU_LIMIT', `${what}; relation says how many there may be`);
      }
      prepare(end);
    } catch (error) {
      end.close();
      throw error;
    }
    this.#end = end;
    this.#isGone = false;
    this.#hadReader = true;
    this.#watchReader(end);
    hooks.peers();
  }

  /** An end that nobody waits with learns only of its reader's going. */
  #watchReader(end: WriteEnd): void {
    if (!this.#isGone && !end.isClosed) end.watch(false, () => this.#checkReader());
  }

  #checkReader(): void {
    const end = this.#end;
    if (end === undefined || end.isClosed) return;
    end.unwatch();
    if (end.isAbandoned) this.#readerIsGone();
    else this.#watchReader(end);
  }

  #readerIsGone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    const { hooks, ends } = this.#init;
    hooks.event('disconnect', { reason: `${ends.name}: nobody has it open for reading any more` });
    hooks.peers();
  }

  #readerCame(): void {
    if (!this.#isGone) return;
    this.#isGone = false;
    if (this.#end !== undefined) this.#watchReader(this.#end);
    this.#init.hooks.event('reconnect', { attempts: 1 });
    this.#init.hooks.peers();
  }

  /** A write met nobody. */
  #readerWent(isLater: boolean): 0 {
    this.#loseReader();
    return this.#nobody(isLater);
  }

  #loseReader(): void {
    const long = this.#long;
    if (long !== undefined) {
      if (long.isOrphan) this.#lost += 1;
      if (long.at > 0 && this.#init.packer.isSpoiltByPieces) this.#discard();
      this.#long = undefined;
    }
    this.#end?.unwatch();
    // Last: who hears of it may send again at once.
    this.#readerIsGone();
  }

  /** Its beginning lies in the pipe, and would spoil what comes after it. With the last end the kernel forgets what lies there. */
  #discard(): void {
    const end = this.#end;
    if (end === undefined) return;
    this.#lost += this.#unread(end);
    this.#end = undefined;
    end.close();
  }

  /** Messages that lie in the pipe in whole. */
  #unread(end: WriteEnd): number {
    return this.#written.last(Math.max(0, end.bytes - (this.#long?.at ?? 0)));
  }

  /** @throws NARU_PEER_GONE  there was a reader, and to wait for another was not asked for */
  #nobody(isLater: boolean): 0 {
    const { failsWithoutReader, ends } = this.#init;
    const isOver = ends.waitForReader === undefined || (failsWithoutReader && this.#hadReader);
    if (isOver && !isLater) {
      const hint = ends.endsWithWriters ? '' : '; send again once somebody has';
      throw this.#error('NARU_PEER_GONE', `nobody has it open for reading any more${hint}`);
    }
    if (isOver) setImmediate(() => this.#init.hooks.writable());
    else this.awaitReader();
    return 0;
  }

  #waited(wait: AbortController, end: WriteEnd): void {
    if (this.#readerWait === wait) this.#readerWait = undefined;
    if (this.#isClosed || this.#isEnded) return end.close();
    try {
      this.#adopt(end);
    } catch {
      // The next offer finds out the same and tells it to its caller.
    }
    this.#init.hooks.writable();
  }

  #waitFailed(wait: AbortController, error: unknown): void {
    if (this.#readerWait !== wait) return;
    this.#readerWait = undefined;
    if (wait.signal.aborted || this.#isClosed) return;
    this.#init.hooks.failed(error instanceof Error ? error : new Error(String(error)));
  }

  /** Nobody waits any more. */
  #stop(): void {
    this.#readerWait?.abort();
    this.#readerWait = undefined;
    const end = this.#end;
    if (end === undefined || end.isClosed) return;
    end.unwatch();
    // The rest of a message that is half in follows in any case.
    if (this.#long !== undefined && this.#long.at > 0) this.#full(end);
    else this.#watchReader(end);
  }

  /** Waits until a message that is half in is in, at most `flushMs`. */
  #flush(): Promise<void> {
    const end = this.#end;
    if (this.#long === undefined || this.#long.at === 0 || end === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#flushed?.(), this.#init.flushMs);
      this.#flushed = () => {
        clearTimeout(timer);
        this.#flushed = undefined;
        resolve();
      };
      this.#full(end);
    });
  }

  #finish(): void {
    this.#isEnded = true;
    const end = this.#end;
    this.#stop();
    if (end === undefined || end.isClosed) return;
    if (end.isAbandoned) this.#lost += this.#unread(end);
    end.close();
  }

  #error(code: NaruErrorCode, what: string): NaruError {
    const { name } = this.#init.ends;
    return new NaruError(code, `${name}: ${what}`, { mailbox: name });
  }
}
