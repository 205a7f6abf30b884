// FIFOs by path and pipes to a child process, as one end that reads and one that writes. fifo(7), pipe(7)

import { closeSync, constants, unlinkSync } from 'node:fs';
import { native } from '../native/index.ts';
import { findOrMakeFifo, openFifo, waitForReader } from './fifo-file.ts';
import { type Create, closedError, kernelCall, Tasks } from './object-errors.ts';
import { PipeReader } from './pipe-reader.ts';
import { PipeWriter } from './pipe-writer.ts';
import { checkWhole, queueError } from './queue-errors.ts';
import { checkWaitOptions, type QueueWaitOptions } from './queue-wait.ts';

/** How a FIFO is opened or made. */
export interface NamedPipeOptions {
  /** Default: `'if-missing'`. */
  readonly create?: Create | undefined;
  /** Permission bits when it is made here, whatever the umask. Default: 0o600. */
  readonly mode?: number | undefined;
}

/** How an end that reads is opened. */
export interface PipeReaderOptions {
  /** The end of all writers is not the end of the data: others may come. Default: false. */
  readonly keepOpen?: boolean | undefined;
}

/** How an end that writes is opened. */
export interface PipeWriterOptions extends QueueWaitOptions {
  /** Without a reader: wait for one (the default), or fail with NARU_PEER_GONE. */
  readonly nobody?: 'wait' | 'fail' | undefined;
}

const { O_RDONLY, O_WRONLY, O_RDWR } = constants;

/**
 * A FIFO: a pipe with a name in the file system. Bytes without borders between messages; one direction; two make a duplex.
 *
 * @see fifo(7), pipe(7), mkfifo(3)
 */
export class NamedPipe {
  readonly path: string;
  /** How errors name it. */
  readonly name: string;
  readonly #ends = new Set<PipeReader | PipeWriter>();
  readonly #tasks: Tasks;
  #isClosed = false;

  /**
   * Finds the FIFO, or makes it. Opens no end yet.
   * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_INVALID_ARGUMENT  it is no FIFO; NARU_DENIED  also for a symbolic link, which is not
   *   followed; NARU_NATIVE_MISSING
   */
  constructor(path: string, options: NamedPipeOptions = {}) {
    this.path = path;
    this.name = `FIFO ${path}`;
    const { create = 'if-missing', mode = 0o600 } = options;
    checkWhole(this.name, 'mode', mode, 0, 0o777);
    findOrMakeFifo(this.name, path, create, mode);
    this.#tasks = new Tasks(this.name);
  }

  /**
   * Opens the end that reads; never waits for a writer.
   * @throws NARU_NOT_FOUND, NARU_DENIED, NARU_LIMIT, NARU_CLOSED
   */
  reader(options: PipeReaderOptions = {}): PipeReader {
    this.#check();
    // Our own end that could write keeps the kernel from telling the end: fifo(7).
    const access = options.keepOpen === true ? O_RDWR : O_RDONLY;
    const fd = openFifo(this.name, this.path, access) as number;
    return this.#add(new PipeReader(this.name, fd));
  }

  /**
   * Opens the end that writes; waits until somebody reads, in a thread that the kernel wakes.
   * @throws NARU_PEER_GONE  nobody reads, with `nobody: 'fail'`; NARU_TIMEOUT; NARU_NOT_FOUND; NARU_DENIED; NARU_LIMIT;
   *   NARU_CLOSED; the signal's reason
   */
  async writer(options: PipeWriterOptions = {}): Promise<PipeWriter> {
    checkWaitOptions(this.name, options);
    const writer = this.tryWriter();
    if (writer !== undefined) return writer;
    if (options.nobody === 'fail') {
      throw queueError('NARU_PEER_GONE', this.name, 'nobody has it open for reading');
    }
    const { signal, timeoutMs } = options;
    const fd = await waitForReader(this.name, this.path, this.#tasks, { signal, timeoutMs });
    return this.#add(new PipeWriter(this.name, fd));
  }

  /** Opens the end that writes. @returns undefined when nobody reads. @throws NARU_NOT_FOUND, NARU_DENIED, NARU_LIMIT, NARU_CLOSED */
  tryWriter(): PipeWriter | undefined {
    this.#check();
    const fd = openFifo(this.name, this.path, O_WRONLY);
    return fd === undefined ? undefined : this.#add(new PipeWriter(this.name, fd));
  }

  /** Removes the name; who has it open goes on. unlink(2) @throws NARU_NOT_FOUND, NARU_DENIED */
  remove(): void {
    kernelCall(this.name, () => unlinkSync(this.path));
  }

  /** Closes the ends that were opened here. The FIFO stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#tasks.close();
    await Promise.all(Array.from(this.#ends, (end) => end.close()));
    this.#ends.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #add<T extends PipeReader | PipeWriter>(end: T): T {
    this.#ends.add(end);
    return end;
  }

  #check(): void {
    if (this.#isClosed) throw closedError(this.name);
  }
}

/** Two pipes to a child process: what it reads and what it writes. */
export interface ChildPipe extends AsyncDisposable {
  /** For `stdio` of spawn(): the child's end that reads, then the one that writes. */
  readonly stdio: readonly [reads: number, writes: number];
  /** Our end that reads what the child writes. */
  readonly reader: PipeReader;
  /** Our end that writes what the child reads. */
  readonly writer: PipeWriter;
  /** After spawn(): closes the child's ends here, so that its end is seen. */
  release(): void;
  /**
   * Gives our two ends to somebody else, who closes them: `open('pipe://fd/<reader>/<writer>')` makes a mailbox of them. `reader` and
   * `writer` are closed thereby.
   * @throws NARU_CLOSED; NARU_INVALID_ARGUMENT  they are in use
   */
  handOver(): { readonly reader: number; readonly writer: number };
  close(): Promise<void>;
}

/**
 * Two unnamed pipes for a child process. Its ends block, as programs expect; ours do not. pipe2(2)
 * @throws NARU_LIMIT  no descriptor left; NARU_NATIVE_MISSING
 */
export function pipe(): ChildPipe {
  const name = 'pipe';
  const addon = native(name);
  const down = kernelCall(name, () => addon.makePipe(false, true));
  const up = kernelCall(name, () => addon.makePipe(true, false));
  const reader = new PipeReader(name, addon.duplicate(up[0]));
  const writer = new PipeWriter(name, addon.duplicate(down[1]));
  closeSync(up[0]);
  closeSync(down[1]);
  let isReleased = false;
  const release = (): void => {
    if (isReleased) return;
    isReleased = true;
    closeSync(down[0]);
    closeSync(up[1]);
  };
  const close = async (): Promise<void> => {
    release();
    await Promise.all([reader.close(), writer.close()]);
  };
  const handOver = (): { reader: number; writer: number } => {
    return { reader: reader.handOver(), writer: writer.handOver() };
  };
  return { stdio: [down[0], up[1]], reader, writer, release, handOver, close, [Symbol.asyncDispose]: close };
}
