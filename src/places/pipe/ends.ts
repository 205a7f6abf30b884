// The ends of pipes that this process has open already, by number. Each handle opens them anew (/proc/self/fd), so that what it does with
// them (not blocking, locks) is not done to the other processes that share the inherited ones.

import { constants, fstatSync, openSync } from 'node:fs';
import { NaruError, type NaruErrorCode } from '../../errors/index.ts';
import { errnoOf, kernelCall, objectError } from '../../kernel/object-errors.ts';
import { ReadEnd, WriteEnd } from '../../kernel/pipe-ends.ts';
import type { Create } from '../../mailbox/options.ts';
import { native } from '../../native/index.ts';
import type { PipeEnds } from '../../pipe/ends.ts';

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
const READS = 0;
const WRITES = 1;
/** Standard input, output and error stay open: others of this process use them. */
const STANDARD_MAX = 2;

/** Descriptors that mailboxes of this thread use, and how many do: the last one closes it. */
const users = new Map<number, number>();

export class DescriptorEnds implements PipeEnds {
  readonly name: string;
  readonly endsWithWriters = true;
  readonly #descriptors: readonly number[];
  readonly #reads: number | undefined;
  #writes: number | undefined;
  #isClosed = false;

  /** No other mailbox of this thread uses them. */
  readonly isFirst: boolean;

  /**
   * Takes the descriptors over: they are closed with the last mailbox that uses them.
   * @throws NARU_NOT_FOUND  they are not open; NARU_INVALID_ARGUMENT  they are no pipes, or both of one direction; NARU_EXISTS  as
   *   `create` says
   */
  constructor(descriptors: readonly number[], text: string, create: Create | undefined) {
    this.name = text;
    this.#descriptors = descriptors;
    const directions = descriptors.map((fd) => this.#directionOf(fd));
    const isPair = descriptors.length === 2;
    if (isPair && (directions[0] !== READS || directions[1] !== WRITES)) {
      throw this.#error(
        'NARU_INVALID_ARGUMENT',
        'of two descriptors the first must read and the second must write',
      );
    }
    this.#reads = descriptors.find((_, i) => directions[i] === READS);
    this.#writes = descriptors.find((_, i) => directions[i] === WRITES);
    this.isFirst = !descriptors.some((fd) => users.has(fd));
    if (create === 'new' && !this.isFirst) {
      throw this.#error('NARU_EXISTS', 'another mailbox of this thread uses them (create: "new")');
    }
    for (const fd of descriptors) users.set(fd, (users.get(fd) ?? 0) + 1);
  }

  openRead(): ReadEnd {
    if (this.#reads === undefined) throw this.#error('NARU_UNSUPPORTED', 'the descriptor only writes');
    return new ReadEnd(this.name, this.#reopen(this.#reads, O_RDONLY));
  }

  tryOpenWrite(): WriteEnd | undefined {
    if (this.#writes === undefined) {
      if (this.#reads === undefined || this.#descriptors.length === 2) {
        throw this.#error('NARU_CLOSED', 'the end that writes was closed');
      }
      throw this.#error('NARU_UNSUPPORTED', 'the descriptor only reads');
    }
    return new WriteEnd(this.name, this.#reopen(this.#writes, O_WRONLY));
  }

  endWriting(): void {
    const fd = this.#writes;
    this.#writes = undefined;
    // For every handle of this thread: no more comes from here.
    if (fd !== undefined && users.has(fd)) this.#closeOriginal(fd);
  }

  remove(): void {
    // It has no name: it goes when the last end is closed.
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const fd of this.#descriptors) {
      const count = users.get(fd);
      if (count === undefined) continue;
      if (count > 1) users.set(fd, count - 1);
      else this.#closeOriginal(fd);
    }
  }

  #closeOriginal(fd: number): void {
    users.delete(fd);
    if (fd > STANDARD_MAX) native(this.name).closeDescriptor(fd);
  }

  #directionOf(fd: number): number {
    let isPipe: boolean;
    try {
      isPipe = fstatSync(fd).isFIFO();
    } catch (error) {
      throw this.#error('NARU_NOT_FOUND', `this process has no open descriptor ${fd}`, error);
    }
    const direction = isPipe ? native(this.name).accessMode(fd) : -1;
    if (direction === READS || direction === WRITES) return direction;
    const what = `descriptor ${fd} is no end of a pipe; what spawn() of Node makes for "pipe" is a socket: use pipe() of naru/kernel`;
    throw this.#error('NARU_INVALID_ARGUMENT', what);
  }

  #reopen(fd: number, access: number): number {
    if (!users.has(fd)) throw this.#error('NARU_CLOSED', `descriptor ${fd} was closed`);
    try {
      return openSync(`/proc/self/fd/${fd}`, access | O_NONBLOCK);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== 'EACCES' && errno !== 'ENOENT') throw objectError(error, this.name);
      // Made by another user, or there is no /proc: then it is shared with whoever else has it.
      const addon = native(this.name);
      const copy = kernelCall(this.name, () => addon.duplicate(fd));
      addon.unblock(copy);
      return copy;
    }
  }

  #error(code: NaruErrorCode, what: string, cause?: unknown): NaruError {
    return new NaruError(code, `${this.name}: ${what}`, { place: 'pipe', mailbox: this.name, cause });
  }
}
