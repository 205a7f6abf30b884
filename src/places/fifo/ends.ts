// The two ends of a FIFO, opened by its path. The name is looked at each time: it may be another object by now.

import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { findOrMakeFifo, openFifo, waitForReader } from '../../kernel/fifo-file.ts';
import { kernelCall, type Tasks } from '../../kernel/object-errors.ts';
import { ReadEnd, WriteEnd } from '../../kernel/pipe-ends.ts';
import { isNaruError } from '../../errors/index.ts';
import { native } from '../../native/index.ts';
import type { PipeEnds } from '../../pipe/ends.ts';

const { O_RDONLY, O_WRONLY } = constants;

export class FifoEnds implements PipeEnds {
  readonly name: string;
  readonly endsWithWriters = false;
  readonly #path: string;

  /** @param text  what errors call it */
  constructor(path: string, text: string) {
    this.name = text;
    this.#path = path;
  }

  /** @returns whether it was made here @throws what findOrMakeFifo() raises */
  findOrMake(create: 'if-missing' | 'new' | 'never', mode: number): boolean {
    return findOrMakeFifo(this.name, this.#path, create, mode);
  }

  openRead(): ReadEnd {
    return new ReadEnd(this.name, openFifo(this.name, this.#path, O_RDONLY) as number);
  }

  tryOpenWrite(): WriteEnd | undefined {
    const fd = openFifo(this.name, this.#path, O_WRONLY);
    return fd === undefined ? undefined : new WriteEnd(this.name, fd);
  }

  async waitForReader(tasks: Tasks, signal: AbortSignal, late: (end: WriteEnd) => void): Promise<WriteEnd> {
    const endOf = (fd: number): WriteEnd => new WriteEnd(this.name, fd);
    return endOf(await waitForReader(this.name, this.#path, tasks, { signal }, (fd) => late(endOf(fd))));
  }

  waitForReaderSync(timeoutMs: number): WriteEnd | 'timeout' | 'interrupted' {
    const fd = kernelCall(this.name, () => openSync('/dev/null', O_WRONLY));
    try {
      const outcome = kernelCall(this.name, () => native(this.name).waitReader(this.#path, fd, timeoutMs));
      if (outcome === 'woken') return new WriteEnd(this.name, fd);
      closeSync(fd);
      return outcome;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  remove(): void {
    try {
      kernelCall(this.name, () => unlinkSync(this.#path));
    } catch (error) {
      if (!isNaruError(error, 'NARU_NOT_FOUND')) throw error;
    }
  }

  close(): void {
    // It holds nothing: ends are opened for who uses them.
  }
}
