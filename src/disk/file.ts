// An open file of a real file system, as the log wants it: whole writes, errors with their errno. One call of libuv each.

import { type BigIntStats, close, fdatasync, fstat, ftruncate, read, writev } from 'node:fs';
import type { DiskFile } from '../log/index.ts';
import { tryNative } from '../native/index.ts';

/** IOV_MAX: more parts at once are refused by writev(2). */
const PARTS_MAX = 1024;
const ZEROS_BYTES = 1 << 20;

type Done = (error: NodeJS.ErrnoException | null) => void;

function call(start: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

export class RealFile implements DiskFile {
  readonly #fd: number;
  #isClosed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async write(parts: readonly Uint8Array[], offset: number): Promise<void> {
    let at = offset;
    for (let first = 0; first < parts.length; first += PARTS_MAX) {
      at += await this.#writeSome(parts.slice(first, first + PARTS_MAX), at);
    }
  }

  /** A write may stop early (a signal, a full disk, 2 GiB at once): what is left is written after it. */
  async #writeSome(parts: readonly Uint8Array[], offset: number): Promise<number> {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    let left = parts;
    for (let done = 0; done < bytes; ) {
      const written = await this.#writev(left, offset + done);
      done += written;
      if (done < bytes) left = rest(left, written);
    }
    return bytes;
  }

  #writev(parts: readonly Uint8Array[], offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      writev(this.#fd, parts, offset, (error, written) => {
        if (error === null) resolve(written);
        else reject(error);
      });
    });
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const count = await this.#read(into, done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  #read(into: Uint8Array, at: number, offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#fd, into, at, into.length - at, offset, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }

  /** fdatasync(2): the data and what is needed to find it, the size included; not the times. */
  sync(): Promise<void> {
    return call((done) => fdatasync(this.#fd, done));
  }

  truncate(bytes: number): Promise<void> {
    return call((done) => ftruncate(this.#fd, bytes, done));
  }

  /** fallocate(2) of the addon; zeros where there is no addon, or the file system cannot. */
  async allocate(bytes: number): Promise<void> {
    if (this.#tryAllocate(bytes)) return;
    // Room that is only promised by the file's length would be missed by a write, when it is too late to keep any for removals.
    const zeros = new Uint8Array(Math.min(bytes, ZEROS_BYTES));
    for (let at = await this.size(); at < bytes; at += zeros.length) {
      await this.write([zeros.subarray(0, Math.min(zeros.length, bytes - at))], at);
    }
  }

  #tryAllocate(bytes: number): boolean {
    try {
      tryNative()?.allocate(this.#fd, 0, bytes);
      return tryNative() !== undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EOPNOTSUPP') return false;
      throw error;
    }
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fstat(this.#fd, { bigint: true }, (error: NodeJS.ErrnoException | null, stats: BigIntStats) => {
        if (error === null) resolve(Number(stats.size));
        else reject(error);
      });
    });
  }

  /** A second call does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await call((done) => close(this.#fd, done));
  }
}

function rest(parts: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let skip = written;
  let index = 0;
  for (; index < parts.length; index += 1) {
    const { length } = parts[index] as Uint8Array;
    if (skip < length) break;
    skip -= length;
  }
  const [first, ...others] = parts.slice(index);
  return first === undefined ? [] : [first.subarray(skip), ...others];
}
