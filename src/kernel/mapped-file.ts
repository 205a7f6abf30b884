// A file as memory: view, write back, grow, and notice that another process made it smaller. mmap(2)

import { closeSync, constants, fchmodSync, fstatSync, openSync } from 'node:fs';
import { type NativeAddon, native } from '../native/index.ts';
import { type Create, closedError, invalid, kernelCall, openOrCreate, Tasks } from './object-errors.ts';
import { checkWhole, queueError } from './queue-errors.ts';
import type { QueueWaitOptions } from './queue-wait.ts';

/** How a file is opened or made. */
export interface MappedFileOptions {
  /** Default: `'if-missing'`; then, and for `'new'`, `sizeBytes` is needed. */
  readonly create?: Create | undefined;
  /** Its size when it is made here. What exists must be at least so large; default: all of it. */
  readonly sizeBytes?: number | undefined;
  /** Permission bits when it is made here, whatever the umask. Default: 0o600. */
  readonly mode?: number | undefined;
  /** Writing to `bytes` then kills the process (SIGSEGV). Default: false. */
  readonly readOnly?: boolean | undefined;
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = constants;

/**
 * A file whose bytes lie in memory, shared with everybody who maps it, and which stay when all processes have ended.
 *
 * `bytes` lies over a SharedArrayBuffer on Node 22.23+, 24.16+ and 26.1+, else over an ArrayBuffer; do not post it to a worker.
 * Touching bytes that another process cut off the file is SIGBUS, the death of the process: `check()` looks, at each wake-up for
 * example, and what is cut between the look and the touch nobody can catch. Let nobody make such a file smaller.
 *
 * @see mmap(2), msync(2), fallocate(2)
 */
export class MappedFile {
  /** How errors name it. */
  readonly name: string;
  /** True when this call made it; it is all zeros then. */
  readonly made: boolean;
  readonly #addon: NativeAddon;
  readonly #fd: number;
  readonly #isReadOnly: boolean;
  readonly #tasks: Tasks;
  #bytes: Uint8Array | undefined;
  #buffer: ArrayBuffer | SharedArrayBuffer;

  /**
   * Opens and maps the file, or makes it. All its room is allocated when it is made: a full disk is an error here.
   *
   * @throws NARU_NOT_FOUND; NARU_EXISTS; NARU_DENIED; NARU_LIMIT  no space, or larger than a file may be; NARU_CORRUPT  it is
   *   smaller than `sizeBytes`, or empty; NARU_INVALID_ARGUMENT; NARU_NATIVE_MISSING
   */
  constructor(path: string, options: MappedFileOptions = {}) {
    this.name = `mapped file ${path}`;
    const { create = 'if-missing', sizeBytes, mode = 0o600, readOnly = false } = options;
    checkWhole(this.name, 'mode', mode, 0, 0o777);
    if (sizeBytes !== undefined) checkWhole(this.name, 'sizeBytes', sizeBytes, 1, 2 ** 52);
    this.#addon = native(this.name);
    this.#isReadOnly = readOnly;
    this.#tasks = new Tasks(this.name);
    const { opened, made } = openOrCreate(
      this.name,
      create,
      () => openSync(path, readOnly ? O_RDONLY : O_RDWR),
      () => {
        if (sizeBytes === undefined) throw invalid(this.name, 'sizeBytes is needed to make it');
        const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL, mode);
        fchmodSync(fd, mode);
        return fd;
      },
    );
    this.#fd = opened;
    this.made = made;
    try {
      // Made, but killed before it had its size: whoever opens it with a size gives it that one.
      if (sizeBytes !== undefined && !readOnly && this.#fileSize() === 0) this.#allocate(0, sizeBytes);
      this.#buffer = this.#map(sizeBytes);
      this.#bytes = new Uint8Array(this.#buffer);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** The file's bytes. After `grow()` it is another, longer view; the old one stays valid until the collector takes it. @throws NARU_CLOSED */
  get bytes(): Uint8Array {
    if (this.#bytes === undefined) throw closedError(this.name);
    return this.#bytes;
  }

  /** The memory as the buffer that views of other types are made of. @throws NARU_CLOSED */
  get buffer(): ArrayBufferLike {
    return this.bytes.buffer;
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  /**
   * Looks whether all that is mapped is still there. One fstat(2).
   * @returns the file's size, which is more than `sizeBytes` when another process made it grow
   * @throws NARU_CORRUPT  another process made it smaller: `bytes` must not be touched any more; NARU_CLOSED
   */
  check(): number {
    const mapped = this.sizeBytes;
    const size = this.#fileSize();
    if (size >= mapped) return size;
    const text = `it has ${size} bytes, ${mapped} are mapped: another process made it smaller; do not touch it, close it`;
    throw queueError('NARU_CORRUPT', this.name, text);
  }

  /**
   * Makes the file at least so large and maps all of it; the room is really allocated. Does not make it smaller.
   * @throws NARU_LIMIT  no space; NARU_CORRUPT; NARU_CLOSED; NARU_INVALID_ARGUMENT; NARU_DENIED  it is read-only
   */
  grow(sizeBytes: number): Uint8Array {
    checkWhole(this.name, 'sizeBytes', sizeBytes, 1, 2 ** 52);
    const size = this.check();
    if (sizeBytes > size) {
      if (this.#isReadOnly) throw queueError('NARU_DENIED', this.name, 'it was opened readOnly');
      this.#allocate(size, sizeBytes - size);
    }
    if (Math.max(size, sizeBytes) > this.sizeBytes) {
      // The old memory goes with its last view.
      this.#buffer = this.#map(undefined);
      this.#bytes = new Uint8Array(this.#buffer);
    }
    return this.bytes;
  }

  /**
   * Writes what was changed to the disk, so that it survives a power cut: msync(2), in a thread of its own. What another process
   * reads needs no flush.
   * @throws NARU_CORRUPT  the disk failed, or the file became smaller; NARU_CLOSED; NARU_LIMIT; the signal's reason
   */
  async flush(options: Pick<QueueWaitOptions, 'signal'> = {}): Promise<void> {
    this.check();
    const buffer = this.#buffer;
    await this.#tasks.wait(
      () => this.#addon.flushAsync(buffer, 0, buffer.byteLength),
      { signal: options.signal },
      'not flushed',
      undefined,
      { ENOMEM: ['NARU_CORRUPT', 'a part of it is not mapped any more'] },
    );
  }

  /** Unmaps and closes the file, which stays; ends a flush with NARU_CLOSED. `bytes` must not be used any more. */
  async close(): Promise<void> {
    if (this.#bytes === undefined) return;
    this.#bytes = undefined;
    await this.#tasks.close();
    this.#addon.unmap(this.#buffer);
    closeSync(this.#fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #fileSize(): number {
    return kernelCall(this.name, () => this.#addon.fileSize(this.#fd));
  }

  #allocate(offset: number, length: number): void {
    kernelCall(this.name, () => this.#addon.allocate(this.#fd, offset, length), {
      ENOSPC: ['NARU_LIMIT', `the file system has no room for ${length} bytes more`],
      EOPNOTSUPP: ['NARU_UNSUPPORTED', 'the file system cannot allocate room ahead (fallocate)'],
    });
  }

  #map(asked: number | undefined): ArrayBuffer | SharedArrayBuffer {
    if (!kernelCall(this.name, () => fstatSync(this.#fd)).isFile()) throw invalid(this.name, 'it is no file');
    const size = this.#fileSize();
    if (size < (asked ?? 1)) {
      const text = `it has ${size} bytes, at least ${asked ?? 1} were expected`;
      throw queueError('NARU_CORRUPT', this.name, text);
    }
    return kernelCall(this.name, () => this.#addon.map(this.#fd, size, this.#isReadOnly), {
      ERANGE: ['NARU_CORRUPT', 'another process made it smaller'],
    });
  }
}
